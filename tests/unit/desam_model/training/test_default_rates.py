"""The default learning rate: the released one for SAM's width, larger for narrower decoders."""

from __future__ import annotations

import subprocess
import sys

import pytest

from desam_model.training.default_rates import (
    FROM_SCRATCH_LR,
    RELEASED_LR,
    SAM_NECK_CHANNELS,
    default_lr,
)


def test_at_sams_width_it_is_the_released_rate():
    assert default_lr(SAM_NECK_CHANNELS) == RELEASED_LR == 1e-4


def test_a_network_from_scratch_has_a_rate_of_its_own():
    assert default_lr(0) == FROM_SCRATCH_LR == 1e-3


@pytest.mark.parametrize(("neck_channels", "lr"), [(32, 8e-4), (128, 2e-4), (512, 5e-5)])
def test_it_is_inversely_proportional_to_the_width(neck_channels, lr):
    assert default_lr(neck_channels) == pytest.approx(lr)


def test_planning_can_ask_for_it_without_importing_torch():
    code = (
        "import sys, desam_model.training.default_rates as d;"
        " d.default_lr(32); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
