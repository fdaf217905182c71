"""Flags point at predictions that are likely to be wrong, and leave a good one alone."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.predict.flags import MEANINGS, Flag, flags_of
from sweeper.predict.intensities import intensities_of

PIXELS = np.random.default_rng(0).integers(0, 90, (5, 1, 32, 32)).astype(np.uint8)
SIMILAR = np.random.default_rng(1).integers(0, 90, (5, 1, 32, 32)).astype(np.uint8)
DARKER = np.random.default_rng(2).integers(0, 80, (5, 1, 32, 32)).astype(np.uint8)
KNOWN = intensities_of([SIMILAR, DARKER])


def mask_of(*boxes):
    mask = np.zeros((5, 32, 32), bool)
    for box in boxes:
        mask[box] = True
    return mask


MIDDLE = np.s_[1:4, 10:20, 10:20]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([MIDDLE], ()),
        ([], (Flag.EMPTY,)),
        ([np.s_[1:4, 0:20, 10:20]], (Flag.TOUCHES_BORDER,)),
        ([np.s_[1:4, 10:20, 20:32]], (Flag.TOUCHES_BORDER,)),
        ([np.s_[0:4, 10:20, 10:20]], (Flag.AT_SCAN_END,)),
        ([MIDDLE, np.s_[2, 25, 25]], (Flag.SEVERAL_COMPONENTS,)),
        ([MIDDLE, np.s_[4, 20, 20]], (Flag.AT_SCAN_END,)),  # connected over an edge
    ],
)
def test_a_mask_gets_the_flags_that_it_deserves(boxes, expected):
    assert flags_of(mask_of(*boxes), PIXELS, KNOWN) == expected


def test_a_single_slice_has_no_end():
    mask = mask_of(MIDDLE)[2:3]
    assert flags_of(mask, PIXELS[:1], KNOWN) == ()


def test_brighter_images_are_unlike_the_training_cases():
    assert flags_of(mask_of(MIDDLE), PIXELS + 60, KNOWN) == (Flag.UNLIKE_TRAINING,)


def test_the_distance_is_how_far_intensities_move():
    one = intensities_of([np.full((1, 4, 4), 10, np.uint8)[None]])
    assert one.distance(np.full((1, 1, 4, 4), 17, np.uint8)) == pytest.approx(7)
    assert one.limit == 0
    two = intensities_of([np.full((1, 1, 4, 4), v, np.uint8) for v in (10, 14)])
    assert two.limit == pytest.approx(4)


def test_every_flag_is_explained():
    assert set(MEANINGS) == set(Flag)
