"""The released decoder's numbers at a small width, `shared/golden`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desam_model import Embedding, Prompt, load_reference_checkpoint
from desam_model.desam.checkpoint import reference_state_dict

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "decoder_small.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def weights(golden):
    return {
        name.removeprefix("weights/"): value
        for name, value in golden.items()
        if name.startswith("weights/")
    }


@pytest.fixture(scope="module")
def model(weights):
    return load_reference_checkpoint(weights)


@pytest.fixture(scope="module")
def embedding(golden):
    return Embedding(
        taps=tuple(golden[f"input/embedding_{i}"] for i in range(3)),
        neck=golden["input/embedding_3"],
    )


def prompt_of(golden, kind):
    if kind == "point":
        return Prompt.points(golden["input/points_xy"])
    return Prompt.boxes(golden["input/box_xyxy"])


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("kind", ["point", "box"])
def test_decoder_agrees_with_the_release(golden, model, embedding, kind):
    with torch.no_grad():
        logits, iou = model.decode(embedding, prompt_of(golden, kind))
    assert relative_error(logits, golden[f"output/{kind}/mask_logits"]) < RELATIVE
    assert relative_error(iou, golden[f"output/{kind}/iou"]) < RELATIVE


@pytest.mark.parametrize("kind", ["point", "box"])
def test_mask_embedding_agrees_with_the_release(golden, model, embedding, kind):
    sparse = model.prompts.sparse(prompt_of(golden, kind), (16, 16))
    image = embedding.neck + model.prompts.dense()
    with torch.no_grad():
        _, mask_embedding = model.prim(image, golden["input/image_pe"], sparse)
    assert relative_error(mask_embedding, golden[f"output/{kind}/mask_embedding"]) < RELATIVE


def test_image_positions_agree_with_the_release(golden, model):
    assert relative_error(model.prompts.image_pe((16, 16)), golden["input/image_pe"]) < RELATIVE


def test_used_weights_survive_the_way_back_to_the_authors_names(weights, model):
    back = reference_state_dict(model)
    assert {name: value.shape for name, value in back.items()} == {
        name: value.shape for name, value in weights.items()
    }
    used = [name for name in back if back[name].any()]
    assert len(used) > 100
    for name in used:
        assert torch.equal(back[name], weights[name])
