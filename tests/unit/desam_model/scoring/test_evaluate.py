"""From slices to case scores."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from toy_cases import OnlyPredicts

from desam_model.scoring.evaluate import evaluate
from desam_model.scoring.metric_table import metrics
from desam_model.scoring.protocol_table import RELEASED, STRICT, VOLUME
from desam_model.training.loader import Loader
from desam_model.types import IGNORED, Prediction, PredictionSettings, Reads

BATCHES = partial(Loader, batch_size=8)
PERFECT = {name: float(name == "dice") for name in metrics()}
SETTINGS = PredictionSettings(min_region_px=0)


class Oracle(OnlyPredicts):
    """Predicts the reference it is shown, so that every score is known."""

    reads = frozenset({Reads.EMBEDDING})

    def predict(self, batch, settings):
        return Prediction(
            mask=batch.reference > 0.5, predicted_iou=torch.full((len(batch),), torch.nan)
        )


class CountingView:
    """Counts how often each slice is read."""

    def __init__(self, slices):
        self.slices, self.reads = slices, [0] * len(slices)

    def __len__(self):
        return len(self.slices)

    def __getitem__(self, index):
        self.reads[index] += 1
        return self.slices[index]


def test_every_case_is_scored_under_both_protocols_of_the_foreground(make_slices):
    evaluation = evaluate(Oracle(), make_slices(3, 4), SETTINGS, partial(Loader, batch_size=5))
    assert [(s.case, s.protocol) for s in evaluation.scores] == [
        (case, protocol)
        for case in ("case0", "case1", "case2")
        for protocol in ("desam2024", "strict")
    ]
    strict = [s for s in evaluation.scores if s.protocol == STRICT.name]
    assert all(s.values == PERFECT and s.n_slices == 4 for s in strict)
    released = [s for s in evaluation.scores if s.protocol == RELEASED.name]
    assert all(s.n_slices == 3 for s in released)
    assert [p.mask.shape for p in evaluation.predictions] == [(4, 32, 32)] * 3


def test_the_order_of_slices_does_not_matter(make_slices):
    slices = make_slices(2, 4)
    forward = evaluate(Oracle(), slices, SETTINGS, BATCHES)
    backward = evaluate(Oracle(), slices[::-1], SETTINGS, BATCHES)
    assert sorted(forward.scores, key=str) == sorted(backward.scores, key=str)
    for one in forward.predictions:
        other = next(p for p in backward.predictions if p.case == one.case)
        assert np.array_equal(one.mask, other.mask)


def test_a_view_that_ends_early_keeps_its_last_slice_under_desam2024(make_slices):
    slices = make_slices(1, 4)[:3]
    scores = evaluate(Oracle(), slices, SETTINGS, BATCHES).scores
    assert [s.n_slices for s in scores] == [3, 3]


def test_no_slice_is_read_twice(make_slices):
    view = CountingView(make_slices(4, 3))
    evaluate(Oracle(), view, SETTINGS, partial(Loader, batch_size=2))
    assert sum(view.reads) <= len(view) + 1  # the loader looks at the first one to know the size


def test_small_regions_are_cleaned_for_every_method_alike(make_slices):
    # discs of at most 12 px radius of 32 x 32; 40000 px of 256 x 256 are more than any of them
    kept = evaluate(Oracle(), make_slices(1, 3), PredictionSettings(min_region_px=40_000), BATCHES)
    assert all(slice_.any() for slice_ in kept.predictions[0].mask)
    speckled = make_slices(1, 3)
    for one in speckled:
        one.reference[0, 0] = 1
    cleaned = evaluate(Oracle(), speckled, PredictionSettings(min_region_px=1000), BATCHES)
    assert not cleaned.predictions[0].mask[:, 0, 0].any()


def test_the_method_is_left_in_the_mode_it_was_in(make_slices):
    method = Oracle().train()
    evaluate(method, make_slices(1, 2), SETTINGS, BATCHES)
    assert method.training


def test_an_empty_view_is_refused():
    with pytest.raises(ValueError, match="no slices"):
        evaluate(Oracle(), [], SETTINGS, BATCHES)


class Overlong(Oracle):
    """Predicts the reference, and a square where there is none."""

    def predict(self, batch, settings):
        mask = batch.reference > 0.5
        mask[~mask.any(dim=(1, 2, 3)), :, 8:24, 8:24] = True
        return Prediction(mask=mask, predicted_iou=torch.full((len(batch),), torch.nan))


def test_a_whole_scan_adds_the_volume_protocol_and_changes_no_other_number(make_slices):
    view = make_slices(2, 3)
    hidden = [
        replace(s, z=z, reference=torch.zeros_like(s.reference), is_last_foreground=False)
        for s in view[::3]
        for z in (0, 2, 5)
    ]
    alone = evaluate(Overlong(), view, SETTINGS, BATCHES)
    whole = evaluate(Overlong(), view, SETTINGS, BATCHES, hidden)
    assert [s for s in whole.scores if s.protocol != VOLUME.name] == list(alone.scores)
    volume = [s for s in whole.scores if s.protocol == VOLUME.name]
    assert [(s.case, s.n_slices) for s in volume] == [("case0", 6), ("case1", 6)]
    for score, one, other in zip(volume, alone.predictions, whole.predictions, strict=True):
        assert one.scan is None
        assert np.array_equal(one.mask, other.mask)
        assert np.array_equal(other.scan[[1, 3, 4]], one.mask)
        assert other.scan[[0, 2, 5], 8:24, 8:24].all()
        size = int(one.mask.sum())
        assert score.values["dice"] == pytest.approx(2 * size / (2 * size + 3 * 16 * 16))


def test_a_scan_without_other_slices_is_its_foreground(make_slices):
    whole = evaluate(Oracle(), make_slices(1, 3), SETTINGS, BATCHES, [])
    (volume,) = [s for s in whole.scores if s.protocol == VOLUME.name]
    assert (volume.n_slices, volume.values) == (3, PERFECT)


def test_ignored_pixels_are_background_in_mask_and_reference_and_in_no_score(make_slices):
    slices = []
    for slice_ in make_slices(1, 3):
        reference = slice_.reference.to(torch.int8)
        reference[:, -6:] = IGNORED
        slices.append(replace(slice_, reference=reference))

    class AlsoThere(Oracle):
        """Right where there is a label, and full where there is none."""

        def predict(self, batch, settings):
            return replace(super().predict(batch, settings), mask=batch.reference != 0)

    nobody = torch.full_like(slices[0].reference, IGNORED)
    others = [replace(slices[0], z=3, reference=nobody)]
    evaluation = evaluate(AlsoThere(), slices, SETTINGS, BATCHES, others)
    assert {s.protocol for s in evaluation.scores} == {RELEASED.name, STRICT.name, VOLUME.name}
    assert all(s.values == PERFECT for s in evaluation.scores if s.protocol != RELEASED.name)
    (prediction,) = evaluation.predictions
    assert not prediction.mask[..., -6:].any()
    assert not prediction.scan[3].any()
