"""Checkpoints under the authors' names, from files."""

from __future__ import annotations

import pytest
import torch

from desam_model.checkpoint_file import write_atomically
from desam_model.desam.checkpoint import (
    load_reference_checkpoint,
    reference_state_dict,
    save_reference_checkpoint,
)
from desam_model.desam.reference_names import load_sam_decoder


def test_a_model_survives_the_authors_file_format(small_desam, tmp_path):
    model = small_desam(seed=3)
    save_reference_checkpoint(model, tmp_path / "desam.pth")
    back = load_reference_checkpoint(tmp_path / "desam.pth", num_heads=1)
    assert model.state_dict().keys() == back.state_dict().keys()
    assert all(torch.equal(back.state_dict()[k], v) for k, v in model.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["desam.pth"]


def test_image_encoder_weights_are_left_but_tell_the_grid(small_desam):
    weights = reference_state_dict(small_desam())
    weights["image_encoder.pos_embed"] = torch.zeros(1, 8, 8, 4)
    weights["image_encoder.blocks.0.attn.qkv.weight"] = torch.zeros(4, 4)
    assert load_reference_checkpoint(weights).prompts.encoder.image_embedding_size == (8, 8)


def test_a_missing_weight_is_named(small_desam):
    weights = reference_state_dict(small_desam())
    del weights["mask_decoder.pimm.seg_outputs.1.weight"]
    with pytest.raises(ValueError, match=r"seg_outputs\.1\.weight is missing"):
        load_reference_checkpoint(weights)


def test_a_sam_checkpoint_is_told_apart(tmp_path):
    write_atomically(tmp_path / "sam.pth", {"image_encoder.pos_embed": torch.zeros(1)})
    with pytest.raises(ValueError, match="not a checkpoint of DeSAM's released code"):
        load_reference_checkpoint(tmp_path / "sam.pth")


def test_a_truncated_file_gets_one_clear_line(small_desam, tmp_path):
    path = tmp_path / "desam.pth"
    save_reference_checkpoint(small_desam(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"desam\.pth cannot be read as a checkpoint"):
        load_reference_checkpoint(path)


def test_sam_starts_prim_and_the_prompt_encoder_and_leaves_pdmm(small_desam):
    sam, model, untouched = small_desam(seed=1), small_desam(seed=2), small_desam(seed=2)
    load_sam_decoder(model, reference_state_dict(sam))
    for name, value in model.state_dict().items():
        source = untouched if name.startswith("pdmm.") else sam
        assert torch.equal(value, source.state_dict()[name])


def test_a_sam_checkpoint_of_another_width_is_refused(small_desam):
    weights = reference_state_dict(small_desam())
    weights["mask_decoder.iou_token.weight"] = torch.zeros(1, 256)
    with pytest.raises(ValueError, match=r"iou_token\.weight has shape \(1, 256\)"):
        load_sam_decoder(small_desam(), weights)


def test_a_model_can_be_built_from_a_sam_file(small_desam, tmp_path):
    sam = small_desam(seed=1)
    save_reference_checkpoint(sam, tmp_path / "sam.pth")
    model = small_desam(seed=2, sam_checkpoint=tmp_path / "sam.pth")
    assert torch.equal(model.prim.iou_token.weight, sam.prim.iou_token.weight)
    assert torch.equal(model.pdmm.head.weight, small_desam(seed=2).pdmm.head.weight)
