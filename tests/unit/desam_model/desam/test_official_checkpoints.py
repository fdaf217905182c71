"""SAM's official checkpoints: files with the very names and shapes, built by SAM's own builders."""

from __future__ import annotations

import hashlib

import pytest
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT

from desam_model.desam.checkpoint import load_reference_checkpoint, save_reference_checkpoint
from desam_model.desam.desam import build_desam
from desam_model.encoder.fused_vit import fuse_blocks
from desam_model.encoder.registry import build_encoder, encoder_entry
from desam_model.encoder.sam_vit import FrozenSamEncoder

DECODER = ("mask_decoder.", "prompt_encoder.")


def official_state(name, seed=0):
    """The state dict of SAM's file; the encoder's tensors share one number, so files are small."""
    with torch.device("meta"):
        shapes = sam_model_registry[name]().state_dict()
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.randn(value.shape, generator=generator) / 8
        if key.startswith(DECODER)
        else torch.full((), 0.01).expand(value.shape)
        for key, value in shapes.items()
    }


@pytest.fixture(scope="module")
def vit_b_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sam") / "sam_vit_b_01ec64.pth"
    torch.save(official_state("vit_b"), path)
    return path


@pytest.mark.parametrize("tap_channels", [768, 1024, 1280])
def test_prim_and_the_prompt_encoder_start_from_an_official_file(vit_b_file, tap_channels):
    sam = torch.load(vit_b_file, weights_only=True)
    model = build_desam(tap_channels=tap_channels, sam_checkpoint=vit_b_file)
    parts = {"mask_decoder.": model.prim, "prompt_encoder.": model.prompts.encoder}
    started = {
        prefix + name: value
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }
    assert all(torch.equal(value, sam[name]) for name, value in started.items())
    left = {name for name in sam if name.startswith(DECODER)} - started.keys()
    unused = {"output_upscaling", "output_hypernetworks_mlps"}
    assert {name.split(".")[1] for name in left} == unused


def test_what_is_trained_holds_no_image_encoder(vit_b_file):
    model = build_desam(tap_channels=768, sam_checkpoint=vit_b_file)
    kinds = {type(module) for module in model.modules()}
    assert kinds.isdisjoint({ImageEncoderViT, FrozenSamEncoder})
    assert sum(p.numel() for p in model.parameters()) < 12e6  # the image encoder alone has 90e6


def test_an_official_vit_b_file_loads_with_its_hash_as_fingerprint(vit_b_file):
    encoder = build_encoder("vit_b", vit_b_file)
    assert encoder.fingerprint == hashlib.sha256(vit_b_file.read_bytes()).hexdigest()
    assert sum(p.numel() for p in encoder.parameters()) == encoder_entry("vit_b").parameters
    assert {float(p.flatten()[0]) for p in encoder.parameters()} == {float(torch.tensor(0.01))}


def test_a_whole_released_file_at_vit_h_sizes_comes_and_goes(tmp_path):
    own = build_desam(tap_channels=1280, seed=4)
    save_reference_checkpoint(own, tmp_path / "own.pth")
    released = torch.load(tmp_path / "own.pth", weights_only=True)
    # the authors' files hold the frozen image encoder too
    sam = official_state("vit_h")
    torch.save({**sam, **released}, tmp_path / "desam_model_best.pth")
    model = load_reference_checkpoint(tmp_path / "desam_model_best.pth")
    assert same(model.state_dict(), own.state_dict())
    assert model.prompts.encoder.image_embedding_size == (64, 64)
    # a strict load by the authors' code finds every decoder weight of SAM, in its shape
    for name, value in sam.items():
        if name.startswith(DECODER):
            assert released[name].shape == value.shape


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(("held", "asked"), [("vit_l", "vit_b"), ("vit_b", "vit_h")])
def test_another_models_official_file_gets_one_clear_line(tmp_path, held, asked):
    path = tmp_path / "sam.pth"
    torch.save(official_state(held), path)
    with pytest.raises(ValueError, match=f"does not hold the image encoder of {asked}") as caught:
        build_encoder(asked, path)
    assert f"weights get {asked}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_code_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("code of a checkpoint was run",))

    torch.save({"image_encoder.pos_embed": Harm()}, tmp_path / "sam.pth")
    with pytest.raises(ValueError, match="cannot be read"):
        build_encoder("vit_b", tmp_path / "sam.pth")


@pytest.mark.slow
def test_the_neck_of_vit_b_at_1024_px_is_the_packages_own_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    sam = sam_model_registry["vit_b"]().eval()
    torch.save(sam.state_dict(), tmp_path / "sam.pth")
    encoder = build_encoder("vit_b", tmp_path / "sam.pth")
    image = torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8)
    kept = []
    for index in (2, 5, 8):
        sam.image_encoder.blocks[index].register_forward_hook(lambda *args: kept.append(args[2]))
    with torch.no_grad():
        frames = encoder.preprocess(image)
        assert torch.equal(frames, sam.preprocess(full_size(image)))
        neck = sam.image_encoder(frames)
    embedding = encoder(image)
    assert torch.equal(embedding.neck, neck)
    for tap, block in zip(embedding.taps, kept, strict=True):
        assert tap.shape == (1, 768, 64, 64)
        assert torch.equal(tap, block.permute(0, 3, 1, 2))
    lower_precision_stays_near(sam, embedding, frames)


def full_size(image):
    """As SAM's predictor resizes: PIL, uint8."""
    from segment_anything.utils.transforms import ResizeLongestSide

    resized = ResizeLongestSide(1024).apply_image(image[0].permute(1, 2, 0).numpy())
    return torch.from_numpy(resized).permute(2, 0, 1)[None].float()


def lower_precision_stays_near(sam, exact, frames):
    fuse_blocks(sam.image_encoder)
    near = FrozenSamEncoder(
        image_encoder=sam.image_encoder,
        entry=encoder_entry("vit_b"),
        fingerprint="same",
        compute="bf16-fused",
    ).encode(frames)
    for got, want in zip((*near.taps, near.neck), (*exact.taps, exact.neck), strict=True):
        assert (got.float() - want).norm() / want.norm() < 3e-2
