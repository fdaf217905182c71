"""A small dataset in memory with the dataset store's interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np


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
                foreground={"prostate": flags},
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
