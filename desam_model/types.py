"""The data types that the parts of `desam_model` exchange.

Shape legend, used in all docstrings of this package:

| letter | meaning |
|---|---|
| B | slices in a batch |
| N | prompts |
| C | channels |
| D | token width of the prompt encoder and the two-way transformer |
| H, W | pixels of the dataset's image and reference (256 x 256 after DeSAM's preprocessing) |
| h, w | tokens of the embedding grid (64 x 64 for SAM's 1024 px input and patch 16) |

Coordinates ending in `_xy` are (x, y) in pixels of the *encoder's input frame* (1024 x 1024 for
SAM's own sizes) unless stated otherwise; `_rc` means (row, column) of an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

Domain = str
"""Name of a site (`A-ISBI` ... `F-HK`) or of a modality (`CT`, `MR`)."""

IGNORED = -1
"""Value of a reference where nobody labelled (nnU-Net's `ignore`): neither inside nor outside."""

IGNORED_LABEL = 255
"""The same in a label map of uint8, whose structures are 1, 2, ..."""


class PromptMode(StrEnum):
    """How DeSAM and MedSAM prompt themselves when no person does."""

    GRID_POINTS = "grid_points"
    WHOLE_BOX = "whole_box"


class Split(StrEnum):
    """The parts of a source domain; as a target, a domain is never split.

    Cases of `TEST` are neither trained nor validated on; they are scored as a target of their own
    source.
    """

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Reads(StrEnum):
    """The fields of a slice that a method needs besides the reference; no other field is loaded."""

    IMAGE = "image"
    EMBEDDING = "embedding"


class Decision(StrEnum):
    """What the `on_epoch` callback of `fit` returns after each epoch."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """All outputs of the frozen encoder for a batch of images.

    Attributes:
        taps: Three maps `(B, C, h, w)`, the outputs of the first three global-attention blocks,
            earliest first.
        neck: `(B, D, h, w)`, the encoder's final output.
        scales: Present only while the embedding is int8, as stored: one `(B, C)` per tap and one
            `(B, D)` for the neck. The value is the integer times the scale of its channel. The
            batch that a method receives is already dequantised, so its `scales` is None.
    """

    taps: tuple[Tensor, ...]
    neck: Tensor
    scales: tuple[Tensor, ...] | None = None

    def to(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> Embedding:
        """The same embedding on another device or in another precision; int8 is dequantised."""
        maps = [t.to(device=device, non_blocking=non_blocking) for t in (*self.taps, self.neck)]
        scales = self.scales and tuple(
            s.to(device=device, non_blocking=non_blocking) for s in self.scales
        )
        if dtype is not None:
            maps = [t.to(dtype) for t in maps]
            if scales:
                for quantised, scale in zip(maps, scales, strict=True):
                    quantised *= scale[..., None, None]
                scales = None
        return Embedding(taps=tuple(maps[:-1]), neck=maps[-1], scales=scales)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Prompts of one kind, one per sample, in px of the encoder's input frame.

    Attributes:
        kind: `points` or `boxes`.
        xy: Points `(B, N, 2)` as (x, y), or boxes `(B, 4)` as (x0, y0, x1, y1), float32.
        labels: `(B, N)` for points: 1 is a foreground click, 0 a background click; None for boxes.
    """

    kind: Literal["points", "boxes"]
    xy: Tensor
    labels: Tensor | None = None

    @staticmethod
    def points(xy: Tensor, labels: Tensor | None = None) -> Prompt:
        """Point prompts `(B, N, 2)`; labels default to 1, as in the release (sources.md S20)."""
        if xy.ndim != 3 or xy.shape[-1] != 2:
            raise ValueError(
                f"points have shape {tuple(xy.shape)}, expected (B, N, 2) with (x, y) last"
            )
        if labels is None:
            labels = xy.new_ones(xy.shape[:2]).long()
        return Prompt(kind="points", xy=xy, labels=labels)

    @staticmethod
    def boxes(xyxy: Tensor) -> Prompt:
        """Box prompts from `(B, 4)` corners (x0, y0, x1, y1)."""
        if xyxy.ndim != 2 or xyxy.shape[-1] != 4:
            raise ValueError(
                f"boxes have shape {tuple(xyxy.shape)}, expected (B, 4) as (x0, y0, x1, y1)"
            )
        return Prompt(kind="boxes", xy=xyxy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One 2-D slice of one case, with only the fields that the method reads.

    Attributes:
        case: Id of the patient volume, unique in its dataset.
        domain: Domain of the case.
        structure: Segmented structure, such as `prostate` or `liver`.
        z: Position among the foreground slices of the case, 0-based, ascending; of a slice without
            the structure, among all slices of the scan.
        is_last_foreground: True for the case's last foreground slice, which `desam2024` scoring
            drops.
        spacing_mm: Voxel size (z, y, x) in millimetres, after resizing to H x W.
        reference: `(H, W)`, values 0 and 1; the ground truth. uint8, or int8 with `IGNORED` where
            nobody labelled.
        image: `(C, H, W)` uint8, 0..255, or None if the method does not read images.
        embedding: Maps `(C, h, w)` of this slice, without a batch axis, or None.
    """

    case: str
    domain: Domain
    structure: str
    z: int
    is_last_foreground: bool
    spacing_mm: tuple[float, float, float]
    reference: Tensor
    image: Tensor | None = None
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Slices stacked into tensors for a method.

    Attributes:
        reference: `(B, 1, H, W)` float32, values 0 and 1, and `IGNORED` in pixels that count in no
            loss.
        image: `(B, C, H, W)` float32 in [0, 1] (the stored uint8 divided by 255), or None.
        embedding: With a batch axis, in the compute precision, or None.
    """

    reference: Tensor
    image: Tensor | None = None
    embedding: Embedding | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return Batch(
            reference=self.reference.to(device, non_blocking=non_blocking),
            image=None if self.image is None else self.image.to(device, non_blocking=non_blocking),
            embedding=None
            if self.embedding is None
            else self.embedding.to(device, non_blocking=non_blocking),
        )

    def __len__(self) -> int:
        return self.reference.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSettings:
    """Settings that change only the scoring of a trained method, never its weights.

    They belong to the evaluation level (`eval_id`).

    Attributes:
        grid_size: Points per side of the prompt grid; 9 means 9 x 9 (DeSAM's default).
        iou_threshold: A prompt counts only if its predicted IoU is strictly greater than this
            (released: 0.5).
        min_region_px: Holes smaller than this area are filled and smaller islands are removed. The
            area is in px at 256 x 256 and is scaled for other sizes (released: 1000); 0 turns the
            clean-up off. `evaluate` applies it to every method.
    """

    grid_size: int = 9
    iou_threshold: float = 0.5
    min_region_px: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The output of a method for a batch.

    Attributes:
        mask: `(B, 1, H, W)` bool in the slices' own pixel frame, before any clean-up of small
            regions.
        predicted_iou: `(B,)` float32, unbounded; nan where the method predicts no IoU.
        probability: `(B, 1, H, W)` float32 in [0, 1], of the foreground, which ensembles average;
            0 where the method rejects its mask. None from a method that has no probabilities.
    """

    mask: Tensor
    predicted_iou: Tensor
    probability: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPrompts:
    """The prompts with which a method segments a batch, for pictures.

    Attributes:
        points_xy: `(P, 2)` as (x, y), px of the slices' own frame, the same for every slice; empty
            with boxes.
        predicted_iou: `(B, P)` of every point; None if the points are not rated.
        chosen: `(B,)` index of the point that gives the mask; None if all do.
        boxes_xyxy: `(B, 4)` as (x0, y0, x1, y1), px of the slices' own frame; None with points.
    """

    points_xy: Tensor
    predicted_iou: Tensor | None = None
    chosen: Tensor | None = None
    boxes_xyxy: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """One training loss and its terms.

    Attributes:
        total: Scalar with gradient.
        parts: Named and weighted terms as detached scalars, for logging.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """The results of one epoch; it has no field for a target domain, to prevent leakage.

    Attributes:
        epoch: 0-based.
        train_loss: Mean over the slices of the epoch.
        train_loss_parts: The same for each term of the loss.
        validation_loss: Mean over the source's validation slices with fixed prompts; by default
            the epoch with the lowest value is selected.
        source_dice: Mean over the source's validation cases (per case volume), in [0, 1].
        lr: Learning rate of the epoch.
        seconds: Wall time of the epoch.
        is_best: True if this epoch is the best so far by the selection rule, which is by default
            the lowest validation loss.
    """

    epoch: int
    train_loss: float
    train_loss_parts: Mapping[str, float]
    validation_loss: float
    source_dice: float
    lr: float
    seconds: float
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """The result of a finished training; the method holds the selected weights.

    Attributes:
        epochs: One record per epoch, including those from before a resume.
        selected_epoch: The epoch whose weights the method now holds.
        stopped_early: True if the caller returned STOP.
        seconds: Training time, without the epochs that crashed attempts lost.
        peak_memory_bytes: Peak device memory (CUDA) or peak anonymous process memory (CPU).
        trainable_parameters: Number of parameters that the optimiser updated.
    """

    epochs: tuple[EpochRecord, ...]
    selected_epoch: int
    stopped_early: bool
    seconds: float
    peak_memory_bytes: int
    trainable_parameters: int
