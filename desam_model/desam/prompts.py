"""Prompts of DeSAM: point grids, whole-image boxes, training points, and their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from segment_anything.modeling.prompt_encoder import PromptEncoder
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from desam_model.types import Prompt

FrameHW = tuple[int, int]
"""Height and width of the encoder's input frame, px."""

_MASK_CHANNELS = 16
"""Hidden channels of SAM's mask-prompt branch (`build_sam.py`), which is not used here."""


def grid_points_xy(grid_size: int, frame_hw: FrameHW) -> Tensor:
    """The prompt grid `(grid_size**2, 2)` as (x, y), px of the input frame, row by row.

    Point k of a side lies at the fraction (2k + 1) / (2 grid_size) of it: no point is on the
    border, and a grid of size 1 is the centre.

    Raises:
        ValueError: `grid_size` is below 1.

    Source:
        SAM, `utils/amg.py::build_point_grid`; DeSAM's 9 x 9 (sources.md S23).
    """
    if grid_size < 1:
        raise ValueError(f"grid_size is {grid_size}, expected at least 1 point per side")
    height, width = frame_hw
    side = (2 * torch.arange(grid_size, dtype=torch.float32) + 1) / (2 * grid_size)
    y, x = torch.meshgrid(side * height, side * width, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def whole_box_xyxy(batch_size: int, frame_hw: FrameHW) -> Tensor:
    """The whole-image box `(B, 4)` as (x0, y0, x1, y1), px of the input frame."""
    height, width = frame_hw
    return torch.tensor([[0.0, 0.0, float(width), float(height)]]).repeat(batch_size, 1)


def uniform_points_rc(reference: Tensor, generator: torch.Generator) -> Tensor:
    """One training point per slice `(B, 2)` as (row, column) of the reference, int64.

    With probability one half the point is inside the reference, else outside; then it is uniform
    among the pixels of that side. If that side is empty, the other one is used.

    Args:
        reference: `(B, 1, H, W)`, values 0 and 1.
        generator: CPU generator; two numbers are drawn per slice, so a batch that is split into
            micro-batches gets the same points.

    Source:
        DeSAM, `desam_train_gridpoints.py`, `neg_points=1` (sources.md S20).
    """
    inside = reference.flatten(1).cpu() > 0.5
    draws = torch.rand(len(inside), 2, dtype=torch.float64, generator=generator)
    return _nth_of_side(inside, draws[:, 0] < 0.5, draws[:, 1], width=reference.shape[-1])


def grid_training_points_rc(
    reference: Tensor, generator: torch.Generator, grid_size: int
) -> Tensor:
    """One training point per slice from the prompt grid, `(B, 2)` as (row, column), int64.

    As `uniform_points_rc`, but only points of the grid are drawn. If no point of the grid is inside
    the reference, one outside is drawn.
    """
    height, width = reference.shape[-2:]
    grid_rc = grid_points_xy(grid_size, (height, width)).flip(-1).long()
    inside = reference[:, 0, grid_rc[:, 0], grid_rc[:, 1]].cpu() > 0.5
    draws = torch.rand(len(inside), 2, dtype=torch.float64, generator=generator)
    index = _nth_of_side(inside, draws[:, 0] < 0.5, draws[:, 1], width=1)[:, 0]
    return grid_rc[index]


def validation_points_rc(reference: Tensor) -> Tensor:
    """One fixed point per slice, the same in every epoch, `(B, 2)` as (row, column), int64.

    It is the middle pixel of the foreground in raster order, or of the whole slice if there is no
    foreground.

    Deviation: the release draws new validation points in each epoch; a fixed point makes the
    selection of the checkpoint independent of chance.
    """
    inside = reference.flatten(1).cpu() > 0.5
    middle = torch.full((len(inside),), 0.5, dtype=torch.float64)
    wanted = torch.ones(len(inside), dtype=torch.bool)
    return _nth_of_side(inside, wanted, middle, width=reference.shape[-1])


def rc_to_frame_xy(points_rc: Tensor, image_hw: FrameHW, frame_hw: FrameHW) -> Tensor:
    """Converts (row, column) positions `(B, 2)` to (x, y) px of the input frame, float32.

    Source:
        DeSAM: (x, y) = 4 (column, row) from 256 to 1024 px (sources.md S20).
    """
    scale = torch.tensor([frame_hw[1] / image_hw[1], frame_hw[0] / image_hw[0]])
    return points_rc.flip(-1).float() * scale


def _nth_of_side(inside: Tensor, want_inside: Tensor, fraction: Tensor, width: int) -> Tensor:
    """(row, column) of one pixel per slice: at `fraction` of the chosen side in raster order."""
    chosen = []
    for mask, is_inside, position in zip(
        inside.numpy(), want_inside.tolist(), fraction.tolist(), strict=True
    ):
        pixels = np.flatnonzero(mask if is_inside else ~mask)
        if not len(pixels):
            pixels = np.arange(len(mask))  # this side is empty, so all pixels are on the other
        chosen.append(int(pixels[int(position * len(pixels))]))
    index = torch.tensor(chosen)
    return torch.stack([index // width, index % width], dim=-1)


class PromptTokens(nn.Module):
    """SAM's frozen prompt encoder, used only for its tokens and positional encoding.

    Attributes:
        encoder: SAM's `PromptEncoder`, without gradient.
        patch_px: Side of an embedding token in px of the input frame; the frame of an embedding
            `(h, w)` is `(h, w) * patch_px`.
    """

    def __init__(self, *, dim: int, grid_hw: tuple[int, int], patch_px: int = 16) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"prompt token width is {dim}, expected an even number >= 2")
        self.patch_px = patch_px
        self.encoder = PromptEncoder(
            embed_dim=dim,
            image_embedding_size=grid_hw,
            input_image_size=(grid_hw[0] * patch_px, grid_hw[1] * patch_px),
            mask_in_chans=_MASK_CHANNELS,
        )
        self.encoder.requires_grad_(False)

    def frame_hw(self, grid_hw: tuple[int, int]) -> FrameHW:
        """The input frame, px, of an embedding of `grid_hw` tokens."""
        return grid_hw[0] * self.patch_px, grid_hw[1] * self.patch_px

    def sparse(self, prompt: Prompt, grid_hw: tuple[int, int]) -> Tensor:
        """Tokens of the prompts `(B, N, D)`: points plus a padding token, or two box corners.

        Args:
            prompt: Prompts in px of the input frame of `grid_hw`.
            grid_hw: (h, w) of the embedding.
        """
        xy = self._to_built_frame(prompt.xy.float(), self.frame_hw(grid_hw))
        tokens: Tensor
        if prompt.kind == "boxes":
            tokens, _ = self.encoder(points=None, boxes=xy, masks=None)
        else:
            tokens, _ = self.encoder(points=(xy, prompt.labels), boxes=None, masks=None)
        return tokens

    def dense(self) -> Tensor:
        """SAM's "no mask" embedding `(1, D, 1, 1)`, added to every image token."""
        embedding: Tensor = self.encoder.no_mask_embed.weight
        return embedding.reshape(1, -1, 1, 1)

    def image_pe(self, grid_hw: tuple[int, int]) -> Tensor:
        """Positional encoding `(1, D, h, w)` of the image tokens."""
        encoding: Tensor = self.encoder.pe_layer(grid_hw)
        return encoding.unsqueeze(0)

    def _to_built_frame(self, xy: Tensor, frame_hw: FrameHW) -> Tensor:
        """Coordinates in the frame that the encoder was built for, at the same relative place."""
        built = self.encoder.input_image_size
        if tuple(built) == tuple(frame_hw):
            return xy
        scale = xy.new_tensor([built[1] / frame_hw[1], built[0] / frame_hw[0]])
        # SAM adds 0.5 before it divides by the frame
        scaled: Tensor = (xy.reshape(*xy.shape[:-1], -1, 2) + 0.5) * scale - 0.5
        return scaled.reshape(xy.shape)


def reference_boxes(reference: Tensor, margins: Tensor | None = None) -> Tensor:
    """Boxes `(B, 4)` around references as (x0, y0, x1, y1), px of the reference, on the CPU.

    Args:
        reference: `(B, 1, H, W)`; if it is empty, the box is the whole image.
        margins: `(B, 4)`, px added on each side; the box is clipped to the image.
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
    corners_xyxy = torch.tensor(boxes)
    if margins is not None:
        corners_xyxy = corners_xyxy + margins * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    limit = torch.tensor([width, height, width, height], dtype=corners_xyxy.dtype)
    return torch.minimum(corners_xyxy.clamp_min(0), limit)
