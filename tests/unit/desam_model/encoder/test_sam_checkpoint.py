"""A SAM checkpoint is read under the encoder's names; anything else is refused in one line."""

from __future__ import annotations

import pytest
import torch

from desam_model.encoder.registry import encoder_entry
from desam_model.encoder.sam_checkpoint import check_sam_checkpoint, image_encoder_weights

VIT_B = encoder_entry("vit_b")
EXPECTED = {"neck.weight": torch.empty(2, 3), "pos_embed": torch.empty(4)}


def save(path, weights):
    torch.save(weights, path)
    return path


def checkpoint(**changes):
    weights = {
        "image_encoder.neck.weight": torch.ones(2, 3, dtype=torch.float16),
        "image_encoder.pos_embed": torch.arange(4.0),
        "mask_decoder.iou_token.weight": torch.zeros(1, 2),
    }
    return weights | changes


def test_weights_lose_the_prefix_and_become_float32(tmp_path):
    weights = image_encoder_weights(save(tmp_path / "sam.pth", checkpoint()), VIT_B, EXPECTED)
    assert weights.keys() == EXPECTED.keys()
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert weights["pos_embed"].tolist() == [0, 1, 2, 3]
    assert (weights["neck.weight"] == 1).all()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"image_encoder.pos_embed": torch.zeros(5)}, "it has 2 tensors"),
        ({"image_encoder.more": torch.zeros(1)}, "it has 3 tensors"),
    ],
    ids=["another shape", "another tensor"],
)
def test_weights_of_another_model_are_refused(tmp_path, changes, found):
    path = save(tmp_path / "sam.pth", checkpoint(**changes))
    with pytest.raises(ValueError, match=rf"{found} .*expected 2;.*sweeper weights get vit_b"):
        image_encoder_weights(path, VIT_B, EXPECTED)


def test_a_missing_file_names_the_command_that_downloads_it(tmp_path):
    with pytest.raises(ValueError, match="does not exist; run 'sweeper weights get vit_b"):
        image_encoder_weights(tmp_path / "gone.pth", VIT_B, EXPECTED)


def test_a_checkpoint_without_decoders_is_refused_before_it_is_used(tmp_path):
    path = save(tmp_path / "sam.pth", checkpoint())
    with pytest.raises(ValueError, match="does not hold the image encoder of vit_b"):
        check_sam_checkpoint(VIT_B, path)
