"""Boxes around references: the oracle prompts that MedSAM's authors train and test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def reference_boxes(reference: Tensor, margins: Tensor | None = None) -> Tensor:
    """Boxes `(B, 4)` around references as (x0, y0, x1, y1), px of the reference, on the CPU.

    Args:
        reference: `(B, 1, H, W)`; an empty one gets the whole image.
        margins: `(B, 4)`, how far each side moves outwards, px; never beyond the image.
    """
    height, width = reference.shape[-2:]
    boxes = []
    for mask in reference[:, 0].cpu() > 0.5:
        rows, columns = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
        if len(rows) == 0:
            boxes.append([0.0, 0.0, float(width), float(height)])
        else:
            corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            boxes.append([float(corner) for corner in corners])
    tight = torch.tensor(boxes)
    if margins is not None:
        tight = tight + margins * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    largest = torch.tensor([width, height, width, height], dtype=tight.dtype)
    return torch.minimum(tight.clamp_min(0), largest)
