from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention
from segment_anything.utils.transforms import ResizeLongestSide

from desam_model.encoder.chunked_attention import attend_in_chunks
from desam_model.encoder.fused_vit import attend_in_one_kernel, fused_attention
from desam_model.encoder.registry import build_encoder, encoder_entry
from desam_model.encoder.sam_vit import FrozenSamEncoder, build_image_encoder
from desam_model.encoder.sam_vit_entries import VIT_TINY_FINGERPRINT


@pytest.fixture(scope="module")
def encoder() -> FrozenSamEncoder:
    return build_encoder("vit_tiny")


@pytest.fixture
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8, generator=generator)


def test_neck_is_bit_for_bit_what_the_packages_encoder_yields(encoder, image):
    plain = build_image_encoder(encoder_entry("vit_tiny")).eval()
    plain.load_state_dict(encoder.image_encoder.state_dict())
    with torch.no_grad():
        expected = plain(encoder.preprocess(image))
    assert torch.equal(encoder(image).neck, expected)


def test_taps_are_the_outputs_of_the_first_three_global_blocks(encoder, image):
    plain = encoder.image_encoder
    with torch.no_grad():
        x = plain.patch_embed(encoder.preprocess(image)) + plain.pos_embed
        expected = []
        for index, block in enumerate(plain.blocks):
            x = block(x)
            if index in (1, 3, 5):
                expected.append(x.permute(0, 3, 1, 2))
    taps = encoder(image).taps
    assert len(taps) == 3
    assert all(torch.equal(tap, want) for tap, want in zip(taps, expected, strict=True))


def test_vit_tiny_has_the_same_weights_on_every_machine(encoder):
    assert encoder.fingerprint == VIT_TINY_FINGERPRINT


def test_taps_vary_across_the_image_and_stay_in_half_precisions_range(encoder, image):
    for tap in encoder(image).taps:
        assert tap.std(dim=(2, 3)).median() > 0.3
        assert tap.abs().max() < 1000


def test_images_are_resized_like_the_release_does_with_pil(image):
    encoder = FrozenSamEncoder(
        image_encoder=torch.nn.ModuleDict(
            {"blocks": torch.nn.ModuleList([torch.nn.Identity()] * 9)}
        ),
        entry=encoder_entry("vit_b"),
    )
    wide = image[:, :, :200]
    pil = ResizeLongestSide(1024).apply_image(wide[0].permute(1, 2, 0).numpy())
    expected = (torch.from_numpy(pil).permute(2, 0, 1) - encoder.pixel_mean) / encoder.pixel_std
    prepared = encoder.preprocess(wide)[0]
    assert torch.equal(prepared[:, :800], expected)
    assert prepared.shape == (3, 1024, 1024)
    assert not prepared[:, 800:].any()


def test_a_grey_image_becomes_three_equal_channels(encoder, image):
    grey = image[:, :1]
    assert torch.equal(encoder(grey).neck, encoder(grey.expand(-1, 3, -1, -1)).neck)


def test_of_two_channels_the_first_fills_two_inputs_and_four_are_refused(encoder, image):
    two = image[:, :2]
    assert torch.equal(encoder(two).neck, encoder(image[:, [0, 0, 1]]).neck)
    assert not torch.equal(encoder(two).neck, encoder(two.flip(1)).neck)
    with pytest.raises(ValueError, match=r"shape \(1, 4, .*expected \(B, 1 to 3, H, W\)"):
        encoder(image[:1, [0, 1, 2, 0]])


def test_the_encoder_stays_frozen_and_in_eval_mode(encoder):
    encoder.train()
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_sizes_are_those_of_the_packages_builders(name):
    from segment_anything import sam_model_registry

    entry = encoder_entry(name)
    sizes = entry.sizes
    with torch.device("meta"):
        plain = sam_model_registry[name]().image_encoder
    is_global = [i for i, b in enumerate(plain.blocks) if b.window_size == 0]
    assert tuple(is_global) == sizes.global_blocks
    assert plain.blocks[0].window_size == sizes.window
    assert plain.blocks[0].attn.num_heads == sizes.num_heads
    assert plain.patch_embed.proj.out_channels == entry.taps[0].channels
    assert plain.neck[0].out_channels == entry.neck.channels
    assert sum(p.numel() for p in plain.parameters()) == entry.parameters
    assert len(plain.blocks) == sizes.depth


def test_an_image_that_is_not_uint8_is_refused(encoder):
    with pytest.raises(TypeError, match="expected uint8"):
        encoder(torch.zeros(1, 3, 256, 256))


def test_a_large_encoder_without_a_checkpoint_says_how_to_get_one():
    with pytest.raises(ValueError, match="sweeper weights get vit_b"):
        build_encoder("vit_b")


@pytest.mark.parametrize(
    ("compute", "tolerance"),
    [("float32-fused", 1e-5), ("bf16-fused", 1e-2), ("fp16-fused", 3e-3)],
)
def test_fused_blocks_compute_the_same(encoder, image, compute, tolerance):
    fused = build_encoder("vit_tiny", compute=compute)(image)
    plain = encoder(image)
    for got, want in zip((*fused.taps, fused.neck), (*plain.taps, plain.neck), strict=True):
        assert (got.float() - want).norm() / want.norm() < tolerance
    assert fused.neck.shape == plain.neck.shape


def test_fusing_does_not_change_the_identity(encoder):
    assert build_encoder("vit_tiny", compute="bf16-fused").fingerprint == encoder.fingerprint


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("side", [14, 32], ids=["window", "all tokens"])
@pytest.mark.parametrize("attend", [attend_in_one_kernel, attend_in_chunks])
def test_attention_of_vit_hs_heads_is_the_packages(attend, side, dtype, tolerance, monkeypatch):
    monkeypatch.setattr("desam_model.encoder.fused_vit.attend_in_chunks", attend)
    monkeypatch.setattr(
        "desam_model.encoder.chunked_attention._CHUNK_SCORES", 2**17
    )  # several chunks
    torch.manual_seed(0)
    plain = Attention(160, num_heads=2, use_rel_pos=True, input_size=(side, side))  # 80 a head
    for table in (plain.rel_pos_h, plain.rel_pos_w):
        torch.nn.init.normal_(table, std=0.2)
    x = torch.randn(2, side, side, 160)
    with torch.no_grad():
        expected = plain(x)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            found = plain.proj(fused_attention(plain.qkv(x), plain)).float()
    assert (found - expected).norm() / expected.norm() < tolerance
