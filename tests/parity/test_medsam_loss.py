"""MedSAM's training loss against the public training script.

The script of May 2023 (`bowang-lab/MedSAM`, 475533c, `train.py`) gives the decoder's low-resolution
masks and the reference of 256 px, without any resizing between, to MONAI's
`DiceCELoss(sigmoid=True, squared_pred=True)`, whose cross-entropy is zero in the pinned version
(sources.md S22). The number below was written down from MONAI's formula in float64.
"""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss

from desam_model.comparisons.medsam import MedSAM, build_medsam
from desam_model.desam.losses import squared_dice_loss
from desam_model.desam.resampling import resample_logits
from desam_model.types import Batch, Embedding

DIM, GRID = 16, 8
SIDE = 4 * GRID

NUMBER = 0.732191890
"""The loss of the checkerboard below against the disc."""


def disc(side: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (((y - 0.45 * side) ** 2 + (x - 0.6 * side) ** 2) < (0.2 * side) ** 2).float()


@pytest.fixture
def method() -> MedSAM:
    return build_medsam(
        neck_channels=DIM, grid_hw=(GRID, GRID), input_px=16 * GRID, loss_profile="released"
    ).train()


@pytest.fixture
def batch() -> Batch:
    neck = torch.randn(3, DIM, GRID, GRID, generator=torch.Generator().manual_seed(0))
    return Batch(reference=disc(SIDE).repeat(3, 1, 1, 1), embedding=Embedding(taps=(), neck=neck))


@pytest.fixture
def low_resolution(method: MedSAM, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """The logits of the method's next decoding, a checkerboard that resizing would blur."""
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    board = 6.0 * ((row + column) % 2) - 3 + 2 * disc(SIDE)
    logits = board.repeat(3, 1, 1, 1)
    monkeypatch.setattr(method, "decode", lambda *_: (logits, torch.zeros(3, 1)))
    return logits


def test_the_loss_is_that_of_the_script_on_the_decoders_own_logits(
    method: MedSAM, batch: Batch, low_resolution: torch.Tensor
) -> None:
    loss = method.training_loss(batch, torch.Generator()).total
    public = DiceLoss(sigmoid=True, squared_pred=True)(low_resolution, batch.reference)
    assert loss.item() == pytest.approx(public.item(), rel=1e-6)
    assert loss.item() == pytest.approx(NUMBER, rel=1e-6)
    assert method.validation_loss(batch).tolist() == pytest.approx([NUMBER] * 3, rel=1e-6)


def test_a_loss_after_resizing_would_be_another(batch: Batch, low_resolution: torch.Tensor) -> None:
    """So the test above sees the difference."""
    resized = resample_logits(low_resolution, (16 * GRID, 16 * GRID), (SIDE, SIDE))
    assert (squared_dice_loss(resized, batch.reference) - NUMBER).abs().min() > 0.01


def test_a_reference_finer_than_the_logits_is_averaged(method: MedSAM, batch: Batch) -> None:
    """As for DeSAM; only with encoders smaller than SAM's."""
    finer = Batch(
        reference=batch.reference.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3),
        embedding=batch.embedding,
    )
    coarse, fine = (method.training_loss(b, torch.Generator()).total for b in (batch, finer))
    assert coarse.item() == pytest.approx(fine.item(), rel=1e-6)
