"""Dice and distances by hand, what is undefined, and the two protocols."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from desam_model.plugins import PluginError
from desam_model.scoring.metric_table import MAIN, metrics
from desam_model.scoring.metrics import _distances, asd, dice, hd95, surface_distances
from desam_model.scoring.protocol_scores import score_case, score_protocols
from desam_model.scoring.protocol_table import RELEASED, STRICT, VOLUME
from desam_model.scoring.protocols import whole_scan

SPACING = (3.0, 0.5, 0.5)


def block(rows, columns, shape=(4, 64, 64), slices=slice(None)):
    mask = np.zeros(shape, dtype=bool)
    mask[slices, rows, columns] = True
    return mask


REFERENCE = block(slice(20, 40), slice(24, 44))


def score(prediction, reference=REFERENCE, protocol=STRICT, **options):
    return score_case(
        prediction,
        reference,
        case="c1",
        domain="A-ISBI",
        structure="prostate",
        spacing_mm=SPACING,
        protocol=protocol,
        **options,
    )


def test_a_perfect_prediction_scores_one_and_zero():
    result = score(REFERENCE)
    assert result.values == {name: float(name == "dice") for name in metrics()}
    assert result.n_slices == 4


def test_an_empty_prediction_has_dice_zero_and_no_distance():
    result = score(np.zeros_like(REFERENCE))
    assert result.values["dice"] == 0.0
    assert math.isnan(result.values["hd95_mm"])
    assert math.isnan(result.values["asd_mm"])


def test_two_empty_masks_are_undefined_not_perfect_and_not_zero():
    empty = np.zeros_like(REFERENCE)
    result = score(empty, empty)
    assert math.isnan(result.values["dice"])
    assert math.isnan(result.values["hd95_mm"])


def test_dice_by_hand():
    half = block(slice(20, 40), slice(24, 34))
    assert dice(half, REFERENCE, SPACING) == pytest.approx(2 * 0.5 / 1.5)


@pytest.mark.parametrize("shift", [1, 3])
def test_a_shifted_plane_is_as_far_as_the_spacing_says(shift):
    one = block(slice(5, 50), slice(10, 11), slices=slice(1, 2))
    other = block(slice(5, 50), slice(10 + shift, 11 + shift), slices=slice(1, 2))
    assert hd95(one, other, SPACING) == pytest.approx(shift * 0.5)
    assert asd(one, other, SPACING) == pytest.approx(shift * 0.5)


def test_distance_between_slices_is_in_millimetres():
    one = block(slice(5, 9), slice(5, 9), slices=slice(0, 1))
    other = block(slice(5, 9), slice(5, 9), slices=slice(2, 3))
    assert hd95(one, other, SPACING) == pytest.approx(6.0)


def test_distances_are_symmetric_and_do_not_depend_on_the_place():
    generator = np.random.default_rng(0)
    one, other = generator.random((2, 3, 20, 20)) > 0.7
    there = sorted(np.concatenate(surface_distances(one, other, SPACING)))
    back = sorted(np.concatenate(surface_distances(other, one, SPACING)))
    assert there == pytest.approx(back)
    moved = [np.pad(mask, ((2, 0), (7, 3), (1, 9))) for mask in (one, other)]
    assert sorted(np.concatenate(surface_distances(*moved, SPACING))) == pytest.approx(there)


def test_losing_slices_never_improves_a_score():
    scores = []
    for lost in range(4):
        prediction = REFERENCE.copy()
        prediction[:lost] = False
        scores.append(score(prediction))
    dices = [one.values["dice"] for one in scores]
    assert dices == sorted(dices, reverse=True)
    assert len(set(dices)) == 4
    distances = [one.values["hd95_mm"] for one in scores]
    assert distances == sorted(distances)


def test_desam2024_drops_the_last_foreground_slice_only_where_it_is_there():
    result = score(REFERENCE, protocol=RELEASED)
    assert result.n_slices == 3
    kept = score(REFERENCE, protocol=RELEASED, drops_last=False)
    assert kept.n_slices == 4


def test_desam2024_clears_the_border_of_the_prediction_not_of_the_reference():
    reference = block(slice(100, 150), slice(30, 100), shape=(2, 256, 256))
    seen, truth = RELEASED.view(reference, reference, False)
    assert np.array_equal(truth, reference)
    assert np.array_equal(seen, block(slice(100, 150), slice(50, 100), shape=(2, 256, 256)))
    assert dice(seen, truth, SPACING) < 1
    everything = np.ones((1, 256, 256), dtype=bool)
    seen, _ = RELEASED.view(everything, everything, False)
    assert np.array_equal(seen[0], block(slice(50, 206), slice(50, 206), (1, 256, 256))[0])


def test_a_case_of_one_slice_has_nothing_left_under_desam2024():
    result = score(REFERENCE[:1], REFERENCE[:1], RELEASED)
    assert result.n_slices == 0
    assert math.isnan(result.values["dice"])


def test_inputs_are_not_changed():
    prediction = np.ones((2, 64, 64), dtype=bool)
    score(prediction, np.ones((2, 64, 64), dtype=bool), RELEASED)
    assert prediction.all()


def test_shapes_that_differ_are_refused_with_the_case():
    with pytest.raises(ValueError, match=r"case c1: the prediction has shape \(3, 64, 64\)"):
        score(REFERENCE[:3])


def test_surfaces_are_compared_once_a_case_and_protocol(monkeypatch):
    calls = []
    real = ndimage.distance_transform_edt
    monkeypatch.setattr(
        ndimage, "distance_transform_edt", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    _distances.cache_clear()
    prediction = block(slice(21, 40), slice(24, 44))
    score(prediction)
    assert len(calls) == 2, "one a direction, for HD95 and ASD together"
    before = hd95(prediction, REFERENCE, SPACING)
    prediction[:, 50:60] = True  # the same array with other contents
    assert hd95(prediction, REFERENCE, SPACING) > before


def test_a_metric_whose_function_is_not_there_is_named():
    lost = replace(MAIN, name="lost", measure="desam_model.scoring.metrics:lost")
    with pytest.raises(PluginError, match=r"metric 'lost': no function 'desam_model"):
        lost.function()


def test_an_undefined_number_is_worse_than_any_other_whichever_way_is_better():
    for metric in metrics().values():
        ranked = sorted((math.nan, 0.2, 0.9), key=metric.goodness)
        assert math.isnan(ranked[0])
        assert ranked[-1] == (0.9 if metric.is_higher_better else 0.2)


def scan_scores(prediction, reference):
    """Scores of a whole scan under all protocols, by protocol and metric."""
    shown = reference.any(axis=(1, 2))
    scores = score_protocols(
        (prediction[shown], reference[shown]),
        (prediction, reference),
        case="c1",
        domain="A-ISBI",
        structure="prostate",
        spacing_mm=SPACING,
    )
    return {score.protocol: (score.n_slices, score.values) for score in scores}


def test_a_mask_too_long_at_both_ends_is_perfect_in_the_foreground_and_not_over_the_scan():
    reference = block(slice(20, 40), slice(24, 44), (32, 64, 64), slice(12, 20))
    prediction = block(slice(20, 40), slice(24, 44), (32, 64, 64), slice(8, 24))
    scores = scan_scores(prediction, reference)
    assert scores["strict"][0] == 8
    assert scores["strict"][1]["dice"] == 1.0
    assert scores["volume"][0] == 32
    assert scores["volume"][1]["dice"] == pytest.approx(0.67, abs=0.005)  # 2 * 8 / (16 + 8)
    assert scores["volume"][1]["hd95_mm"] == 12.0  # four slices of 3 mm
    assert scores["strict"][1]["hd95_mm"] == 0.0


def test_a_gap_keeps_its_place_in_millimetres_over_the_scan_and_closes_in_the_foreground():
    # the structure is in slices 2 and 6, the prediction is one pixel in slice 2
    reference = np.zeros((8, 32, 32), dtype=bool)
    reference[[2, 6], 10, 10] = True
    prediction = np.zeros_like(reference)
    prediction[2, 10, 10] = True
    scores = scan_scores(prediction, reference)
    # the distances are 0, 0 and that of slice 6: 1 slice when stacked, 4 in the scan
    assert scores["strict"][1]["hd95_monai_mm"] == pytest.approx(0.95 * 1 * 3.0)
    assert scores["volume"][1]["hd95_monai_mm"] == pytest.approx(0.95 * 4 * 3.0)
    assert scores["volume"][1]["hd95_mm"] == pytest.approx(0.9 * 4 * 3.0)
    assert scores["volume"][1]["asd_mm"] == pytest.approx(4 * 3.0 / 3)
    assert scores["volume"][1]["asd_monai_mm"] == 0.0


def test_without_a_whole_scan_there_is_no_volume_score():
    scores = score_protocols(
        (REFERENCE, REFERENCE), None, case="c", domain="A", structure="s", spacing_mm=SPACING
    )
    assert [score.protocol for score in scores] == [RELEASED.name, STRICT.name]
    assert VOLUME.needs_whole_scan


def test_masks_of_a_scan_stand_at_their_places():
    marked = np.zeros((5, 1, 1), dtype=bool)
    marked[[1, 3]] = True
    shown, hidden = marked[[0, 1]], marked[[2, 3, 4]]
    assert np.array_equal(whole_scan(shown, hidden, [2, 3, 4]), marked)
    with pytest.raises(ValueError, match=r"positions \[2, 3, 5\], expected 3 different"):
        whole_scan(shown, hidden, [2, 3, 5])
