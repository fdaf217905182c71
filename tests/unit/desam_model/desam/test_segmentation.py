"""Automatic segmentation: rating first and decoding once equals decoding every prompt."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desam_model.desam.prompts import grid_points_xy
from desam_model.desam.rating import mean_mask_embedding, rate_prompts
from desam_model.desam.resampling import resample_logits
from desam_model.types import Batch, Embedding, PredictionSettings, Prompt

GRID_HW = (8, 8)
FRAME_HW = (128, 128)
IMAGE_HW = (32, 32)


def batch_of(size, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    maps = [scale * torch.randn(size, c, *GRID_HW, generator=generator) for c in (12, 12, 12, 16)]
    reference = torch.zeros(size, 1, *IMAGE_HW)
    reference[:, :, 8:20, 10:22] = 1
    return Batch(reference=reference, embedding=Embedding(taps=tuple(maps[:3]), neck=maps[3]))


def one_of(batch, index):
    embedding = batch.embedding
    return Embedding(
        taps=tuple(tap[index : index + 1] for tap in embedding.taps),
        neck=embedding.neck[index : index + 1],
    )


@torch.no_grad()
def brute_force(model, embedding, grid_size, prompts_at_once=4):
    """Decode every prompt: logits `(N, 1, 32, 32)` and predicted IoU `(N,)`."""
    points = grid_points_xy(grid_size, FRAME_HW)[:, None]
    logits, ious = [], []
    for part in points.split(prompts_at_once):
        repeated = Embedding(
            taps=tuple(tap.expand(len(part), -1, -1, -1) for tap in embedding.taps),
            neck=embedding.neck.expand(len(part), -1, -1, -1),
        )
        decoded, iou = model.decode(repeated, Prompt.points(part))
        logits.append(resample_logits(decoded, FRAME_HW, IMAGE_HW))
        ious.append(iou[:, 0])
    return torch.cat(logits), torch.cat(ious)


@contextmanager
def decoded_logits(model):
    """The mask logits that PDMM makes inside, one entry a call."""
    seen = []
    hook = model.pdmm.head.register_forward_hook(lambda _, __, logits: seen.append(logits.detach()))
    yield seen
    hook.remove()


def tie(model, axis):
    """Make prompts that differ along this axis alone equal: SAM's encoding no longer sees it."""
    matrix = model.prompts.encoder.pe_layer.positional_encoding_gaussian_matrix
    matrix[[0, 1] if axis == "both" else ["x", "y"].index(axis)] = 0.0


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**31),
    grid_size=st.integers(1, 6),
    slices=st.integers(1, 3),
    tied=st.sampled_from([None, "x", "y", "both"]),
    threshold=st.sampled_from([-99.0, 0.0, 0.5, 99.0]),
)
def test_any_weights_ties_and_thresholds_give_the_mask_of_brute_force(
    small_desam, seed, grid_size, slices, tied, threshold
):
    model = randomised(small_desam(seed=seed), seed)
    if tied is not None:
        tie(model, tied)
    batch = batch_of(slices, seed=seed, scale=2.0)
    chosen = PredictionSettings(grid_size=grid_size, iou_threshold=threshold)
    with decoded_logits(model) as seen:
        prediction = model.predict(batch, chosen)
    assert len(seen) == 1  # PDMM runs once, however many prompts there are
    for index in range(slices):
        with decoded_logits(model) as each:
            resampled, iou = brute_force(model, one_of(batch, index), grid_size)
        best = int(iou.argmax())
        torch.testing.assert_close(prediction.predicted_iou[index], iou[best], rtol=1e-5, atol=1e-5)
        expected = torch.cat(each)[best]
        scale = float(expected.abs().max())
        torch.testing.assert_close(seen[0][index], expected, rtol=1e-5, atol=1e-5 * scale)
        mask = (resampled[best] > 0) & (iou[best] > threshold)
        sure = resampled[best].abs() > 1e-4 * scale
        assert torch.equal(prediction.mask[index][sure], mask[sure])


def randomised(model, seed, scale=3.0):
    """Weights far from their small initial values, so that prompts differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.prim.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=scale / max(parameter.shape) ** 0.5 / 3)
    return model.eval()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("grid_size", [1, 9])
def test_rating_then_decoding_once_equals_brute_force(small_desam, seed, grid_size):
    model = randomised(small_desam(seed=seed), seed)
    batch = batch_of(2, seed=seed)
    prediction = model.predict(batch, PredictionSettings(grid_size=grid_size, iou_threshold=-99))
    for index in range(2):
        logits, iou = brute_force(model, one_of(batch, index), grid_size)
        best = iou.argmax()
        torch.testing.assert_close(prediction.predicted_iou[index], iou[best], rtol=1e-5, atol=1e-5)
        sure = logits[best].abs() > 1e-4
        assert torch.equal(prediction.mask[index][sure], (logits[best] > 0)[sure])
        assert sure.float().mean() > 0.99


@pytest.mark.parametrize("seed", range(4))
def test_ratings_equal_prim_itself(small_desam, seed):
    model = randomised(small_desam(seed=seed), seed)
    embedding = batch_of(3, seed=seed).embedding
    _, image, image_pe, sparse = rating_arguments(model, embedding, 6)
    with torch.no_grad():
        rated = rate_prompts(model.prim, image, image_pe, sparse)
        for index in range(3):
            one = image[index : index + 1].expand(36, -1, -1, -1)
            exact, masks = model.prim(one, image_pe, sparse)
            torch.testing.assert_close(rated[index], exact[:, 0], rtol=1e-5, atol=1e-5)
            assert exact.std() > 1e-4
            mean = mean_mask_embedding(model.prim, image[index : index + 1], image_pe, sparse)
            torch.testing.assert_close(mean[0], masks.mean(dim=0), rtol=1e-5, atol=1e-5)


def rating_arguments(model, embedding, grid_size):
    points = Prompt.points(grid_points_xy(grid_size, FRAME_HW)[:, None])
    return (
        model.prim,
        embedding.neck + model.prompts.dense(),
        model.prompts.image_pe(GRID_HW),
        model.prompts.sparse(points, GRID_HW),
    )


@pytest.mark.parametrize("depth", [1, 3])
def test_rating_is_exact_at_any_depth(small_desam, depth):
    from desam_model.desam.prim import PRIM

    model = small_desam()
    model.prim = PRIM(dim=16, depth=depth)
    _, image, image_pe, sparse = rating_arguments(model, batch_of(1).embedding, 3)
    with torch.no_grad():
        rated = rate_prompts(model.prim, image, image_pe, sparse)
        exact, _ = model.prim(image.expand(9, -1, -1, -1), image_pe, sparse)
    torch.testing.assert_close(rated[0], exact[:, 0], rtol=1e-5, atol=1e-6)


def test_prompt_batches_do_not_change_a_rating(small_desam, monkeypatch):
    model = randomised(small_desam(), 1)
    arguments = rating_arguments(model, batch_of(2).embedding, 5)
    with torch.no_grad():
        whole = rate_prompts(*arguments)
        monkeypatch.setattr("desam_model.desam.rating.MAX_BATCH_ELEMENTS", 3 * 16 * 64)
        torch.testing.assert_close(rate_prompts(*arguments), whole, rtol=1e-5, atol=1e-6)


def test_the_first_of_tied_prompts_is_taken(small_desam):
    model = randomised(small_desam(), 2)
    for parameter in model.prim.iou_prediction_head.parameters():
        parameter.data.zero_()
    model.prim.iou_prediction_head.layers[-1].bias.data.fill_(0.75)
    batch = batch_of(2)
    prediction = model.predict(batch, PredictionSettings(grid_size=5))
    assert prediction.predicted_iou.tolist() == [0.75, 0.75]
    logits, iou = brute_force(model, one_of(batch, 0), 5)
    assert len(set(iou.tolist())) == 1
    sure = logits[0].abs() > 1e-4
    assert torch.equal(prediction.mask[0][sure], (logits[0] > 0)[sure])


def test_no_prompt_above_the_threshold_leaves_the_mask_empty(small_desam):
    model = small_desam().eval()
    batch = batch_of(3)
    seen = model.predict(batch, PredictionSettings(grid_size=3, iou_threshold=-99))
    assert seen.mask.flatten(1).any(dim=1).all()
    empty = model.predict(batch, PredictionSettings(grid_size=3, iou_threshold=99))
    assert not empty.mask.any()
    assert torch.equal(empty.predicted_iou, seen.predicted_iou)


def test_the_threshold_is_strict(small_desam):
    model = small_desam().eval()
    for parameter in model.prim.iou_prediction_head.parameters():
        parameter.data.zero_()
    model.prim.iou_prediction_head.layers[-1].bias.data.fill_(0.5)
    batch = batch_of(1)
    assert not model.predict(batch, PredictionSettings(grid_size=2, iou_threshold=0.5)).mask.any()
    assert model.predict(batch, PredictionSettings(grid_size=2, iou_threshold=0.499)).mask.any()


def test_predictions_do_not_depend_on_the_batch(small_desam):
    model = randomised(small_desam(), 3)
    batch = batch_of(4)
    settings = PredictionSettings(grid_size=4, iou_threshold=-99)
    together = model.predict(batch, settings)
    for index in range(4):
        alone = Batch(reference=batch.reference[index : index + 1], embedding=one_of(batch, index))
        mask = model.predict(alone, settings).mask[0]
        assert (mask != together.mask[index]).float().mean() < 0.005


def test_the_whole_box_decodes_once_and_ignores_the_grid(small_desam):
    model = randomised(small_desam(prompt_mode="whole_box"), 1)
    batch = batch_of(2)
    calls = []
    model.prim.register_forward_hook(lambda *_: calls.append(1))
    masks = [model.predict(batch, PredictionSettings(grid_size=g)).mask for g in (1, 9)]
    assert torch.equal(masks[0], masks[1])
    assert len(calls) == 2
    box = Prompt.boxes(torch.tensor([[0.0, 0.0, 128.0, 128.0]]).repeat(2, 1))
    with torch.no_grad():
        logits, _ = model.decode(batch.embedding, box)
    assert torch.equal(masks[0], resample_logits(logits, FRAME_HW, IMAGE_HW) > 0)


def test_without_fusion_rating_only_decides_whether_there_is_a_mask(small_desam):
    rated = randomised(small_desam(ablation="iou_head"), 4)
    bare = small_desam(ablation="pdmm_only").eval()
    bare.pdmm.load_state_dict(rated.pdmm.state_dict())
    batch = batch_of(6, scale=2.0)
    iou = rated.predict(batch, PredictionSettings(grid_size=3, iou_threshold=-99)).predicted_iou
    threshold = float(iou.median())
    prediction = rated.predict(batch, PredictionSettings(grid_size=3, iou_threshold=threshold))
    plain = bare.predict(batch, PredictionSettings(grid_size=3)).mask
    passes = iou > threshold
    assert 0 < passes.sum() < len(passes)
    assert torch.equal(prediction.mask, plain & passes[:, None, None, None])
    assert plain.flatten(1).any(dim=1).all()


def test_validate_equals_validation_loss_and_predict(small_desam):
    settings = PredictionSettings(grid_size=3, iou_threshold=-99)
    for ablation in ("pdmm_only", "iou_head", "mask_embedding", "full"):
        model = small_desam(ablation=ablation).eval()
        batch = batch_of(2)
        with torch.no_grad():
            loss, mask = model.validate(batch, settings)
            assert torch.equal(loss, model.validation_loss(batch))
            assert torch.equal(mask, model.predict(batch, settings).mask)
