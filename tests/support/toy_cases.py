"""Case records, dataset facts and methods that only predict, with what a test does not care for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from desam_model.method import SegmentationMethod
from desam_model.types import Split
from sweeper.store.dataset.store import CaseRecord
from sweeper.store.dataset.writer import DatasetFacts

if TYPE_CHECKING:
    import torch

    from desam_model.types import Batch, Losses


def case_record(case: str, *, count: int, px: int, **known: Any) -> CaseRecord:
    """A prostate on every slice of a scan; `known` replaces any of it."""
    spacing_mm = known.get("spacing_mm", (3.0, 0.5, 0.5))
    values: dict[str, Any] = {
        "case": case,
        "domain": "A",
        "split": Split.TRAIN,
        "start": 0,
        "count": count,
        "z": tuple(range(count)),
        "spacing_mm": spacing_mm,
        "foreground": {"prostate": (True,) * count},
        "volume_ml": {"prostate": 1.0},
        "matrix": (px, px),
        "n_source_slices": count,
        "source_spacing_mm": spacing_mm,
        "image_file": "",
        "label_file": "",
        "source_hash": case,
        "content_hash": "",
        "has_geometry": True,
    }
    return CaseRecord(**{**values, **known})


def dataset_facts(name: str, **known: Any) -> DatasetFacts:
    """A synthetic prostate dataset; `known` replaces any of it."""
    values: dict[str, Any] = {
        "name": name,
        "structures": ("prostate",),
        "is_synthetic": True,
        "preprocessing": {},
        "split_rule": "none",
        "import_key": "none",
        "skipped": {},
    }
    return DatasetFacts(**{**values, **known})


class OnlyPredicts(SegmentationMethod):
    """A method that a test scores and never trains."""

    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        raise AssertionError("it is not trained")

    def validation_loss(self, batch: Batch) -> torch.Tensor:
        raise AssertionError("it is not validated")
