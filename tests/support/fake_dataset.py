"""A small dataset in memory with the dataset store's interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from toy_cases import case_record, dataset_facts

from desam_model.types import Split
from sweeper.store.dataset.writer import NewCase, write_dataset

if TYPE_CHECKING:
    from sweeper.store.dataset.store import DatasetStore


@dataclass
class FakeDataset:
    """Two cases of `per_case` slices; in each the second slice has no prostate."""

    per_case: int = 5
    size: int = 256
    seed: int = 0
    fingerprint: str = "0123456789abcdef"
    name: str = "fake"
    structures: tuple[str, ...] = ("prostate",)
    path: Path = Path("fake.zarr")
    scan_fingerprint: str = ""
    image_channels: int = 1
    image_reads: list[int] = field(default_factory=list)

    @property
    def n_slices(self) -> int:
        return 2 * self.per_case

    @property
    def cases(self):
        flags = tuple(z != 1 for z in range(self.per_case))
        return tuple(
            SimpleNamespace(
                case=name,
                domain="A-ISBI",
                start=k * self.per_case,
                count=self.per_case,
                spacing_mm=(3.0, 0.5, 0.5),
                # every slice shows something, so that all are embedded
                foreground={"prostate": flags, "bladder": (True,) * self.per_case},
                shown=tuple(range(self.per_case)),
                hidden=(),
            )
            for k, name in enumerate(("case-1", "case-2"))
        )

    def image(self, index: int) -> np.ndarray:
        self.image_reads.append(index)
        draw = np.random.default_rng((self.seed, index))
        coarse = draw.integers(0, 255, (1, self.size // 16, self.size // 16), dtype=np.uint8)
        return np.kron(coarse, np.ones((1, 16, 16), np.uint8))

    def mask(self, index: int, structure: str) -> np.ndarray:
        mask = np.zeros((self.size, self.size), np.uint8)
        if index % self.per_case != 1:
            mask[50 : 60 + index, 40:90] = 1
        return mask

    reference = mask  # nothing is ignored


def write_small_dataset(path: Path, per_case: int = 3) -> DatasetStore:
    """A real store of a fake dataset: case-1 to train on, case-2 to validate with."""
    fake = FakeDataset(per_case=per_case)
    cases = [
        NewCase(
            record=case_record(
                case.case,
                count=per_case,
                px=256,
                domain=case.domain,
                split=split,
                start=case.start,
                spacing_mm=case.spacing_mm,
                foreground=case.foreground,
            ),
            image=np.stack([fake.image(case.start + k) for k in range(per_case)]),
            label=np.stack([fake.mask(case.start + k, "prostate") for k in range(per_case)]),
        )
        for case, split in zip(fake.cases, (Split.TRAIN, Split.VALIDATION), strict=True)
    ]
    return write_dataset(path, dataset_facts("small"), cases)
