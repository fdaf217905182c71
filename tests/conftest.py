"""Markers that skip themselves, saying why, and the place of the optional shared folder."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sweeper

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


TINY_SPACE = """
name: tiny
trial:
  source: A-ISBI
  method: {name: desam}
  training: {epochs: 3, batch_size: 4}
  evaluation: {iou_threshold: -100.0, min_region_px: 100}
seeds: [0, 1]
report: {rows: method, columns: source}
"""


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `tiny.yaml`, all of whose trainings are done in `ws`: Ray is not needed."""
    import tiny_workspace as tiny
    import torch

    before = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("tiny")
    tiny.make_workspace(folder, [{"method": tiny.DESAM}, {"method": tiny.DESAM, "seed": 1}])
    (folder / "tiny.yaml").write_text(TINY_SPACE)
    shutil.copy(folder / "src" / "UCL" / "Case01.nii.gz", folder / "scan.nii.gz")
    yield folder
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_sweep(tiny_folder: Path) -> sweeper.Sweep:
    """The sweep of `tiny_folder`, in MLflow; do not change it."""
    import sweeper

    return sweeper.run(tiny_folder / "tiny.yaml", dataset="tiny", workspace=tiny_folder / "ws")


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
