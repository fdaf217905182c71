"""What each protocol compares, on masks whose pixels can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from desam_model.scoring.protocols import EDGE_PX, as_predicted, as_released


def full(n=3, hw=(256, 256)):
    return np.ones((n, *hw), bool)


def test_as_predicted_compares_every_slice_and_pixel():
    prediction, reference = full(), full()
    compared = as_predicted(prediction, reference, True)
    assert compared[0] is prediction
    assert compared[1] is reference


@pytest.mark.parametrize(("drops_last", "n"), [(True, 2), (False, 3)])
def test_as_released_drops_the_last_slice_only_if_it_is_the_last_with_foreground(drops_last, n):
    prediction, reference = as_released(full(), full(), drops_last)
    assert len(prediction) == len(reference) == n


def test_as_released_clears_the_border_of_the_prediction_and_not_of_the_reference():
    prediction, reference = as_released(full(), full(), False)
    inner = 256 - 2 * EDGE_PX
    assert prediction.sum() == 3 * inner**2
    assert prediction[:, EDGE_PX : 256 - EDGE_PX, EDGE_PX : 256 - EDGE_PX].all()
    assert reference.all()


def test_the_border_scales_with_the_size_of_the_slice():
    prediction, _ = as_released(full(1, (128, 512)), full(1, (128, 512)), False)
    rows, columns = np.nonzero(prediction[0])
    assert (rows.min(), rows.max()) == (25, 102)
    assert (columns.min(), columns.max()) == (100, 411)


def test_the_masks_that_were_given_are_not_changed():
    prediction, reference = full(), full()
    as_released(prediction, reference, True)
    assert prediction.all()
    assert reference.all()
