"""Small seeded slices with discs as references, and embeddings that show them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from desam_model.desam.desam import build_desam
from desam_model.types import Embedding, Slice

torch.set_num_threads(1)  # tiny tensors: a second thread only waits, and costs the other tests

TAPS, NECK, GRID, PX = 12, 16, 8, 32


def disc(generator):
    rows, columns = torch.meshgrid(torch.arange(PX), torch.arange(PX), indexing="ij")
    y, x, r = (torch.rand(3, generator=generator) * 8 + torch.tensor([12.0, 12.0, 4.0])).tolist()
    return ((rows - y) ** 2 + (columns - x) ** 2 < r * r).to(torch.uint8)


def make_slice(case, z, per_case, generator):
    reference = disc(generator)
    small = functional.adaptive_avg_pool2d(reference[None].float(), GRID)
    maps = [
        torch.randn(c, GRID, GRID, generator=generator) / 2
        + small * torch.linspace(-2, 2, c)[:, None, None]
        for c in (TAPS, TAPS, TAPS, NECK)
    ]
    return Slice(
        case=f"case{case}",
        domain="A-ISBI",
        structure="prostate",
        z=z,
        is_last_foreground=z == per_case - 1,
        spacing_mm=(3.0, 0.6, 0.6),
        reference=reference,
        embedding=Embedding(taps=tuple(maps[:3]), neck=maps[3]),
    )


@pytest.fixture(scope="session")
def make_slices():
    """Cases of discs of 32 x 32 px with noisy embeddings of 8 x 8 tokens."""

    def make(cases, per_case, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return [
            make_slice(case, z, per_case, generator)
            for case in range(cases)
            for z in range(per_case)
        ]

    return make


@pytest.fixture(scope="session")
def small_desam():
    """A DeSAM that fits `make_slices`."""

    def build(**options):
        return build_desam(
            tap_channels=TAPS,
            neck_channels=NECK,
            grid_hw=(GRID, GRID),
            input_px=16 * GRID,
            **options,
        )

    return build
