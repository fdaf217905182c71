"""Markers that skip themselves, saying why, and the place of the optional shared folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Toys and fakes are imported by name, also by Ray's workers, which get the driver's path;
# pytest's importlib mode adds no folder by itself.
sys.path.insert(0, str(Path(__file__).parent / "support"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden numbers and real volumes beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(
            "no shared/ folder beside the checkout: golden numbers and real volumes are not here"
        )
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = os.environ.get("SWEEPER_SLOW_TESTS") == "1"
    for item in items:
        if item.get_closest_marker("slow") and not slow:
            item.add_marker(pytest.mark.skip(reason="slow: set SWEEPER_SLOW_TESTS=1 to run it"))
        if item.get_closest_marker("gpu"):
            import torch

            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="gpu: no CUDA device on this machine"))
        if item.get_closest_marker("weights") and not os.environ.get("SWEEPER_SAM_CHECKPOINTS"):
            item.add_marker(
                pytest.mark.skip(
                    reason="weights: set SWEEPER_SAM_CHECKPOINTS to the folder of SAM's .pth"
                )
            )
