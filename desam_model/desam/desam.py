"""DeSAM: PRIM rates the prompt and computes the mask embedding, PDMM decodes the mask."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

import torch

from desam_model.desam.ablation import Ablation, TrainingPoints
from desam_model.desam.losses import (
    LossChoice,
    at_logits_size,
    iou_loss,
    loss_weights,
    mask_loss_parts,
)
from desam_model.desam.pdmm import PDMM
from desam_model.desam.prim import PRIM
from desam_model.desam.prompts import (
    PromptTokens,
    grid_points_xy,
    grid_training_points_rc,
    rc_to_frame_xy,
    uniform_points_rc,
    validation_points_rc,
    whole_box_xyxy,
)
from desam_model.desam.rating import best_prompts, mean_mask_embedding, rate_prompts
from desam_model.desam.reference_names import load_sam_decoder
from desam_model.desam.resampling import resample_logits
from desam_model.method import SegmentationMethod
from desam_model.types import (
    Embedding,
    Losses,
    Prediction,
    Prompt,
    PromptMode,
    Reads,
    UsedPrompts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from desam_model.desam.pdmm import Context
    from desam_model.types import Batch, PredictionSettings

TRAINING_GRID_SIZE = 9
"""Points per side of the grid that `TrainingPoints.GRID` draws from (sources.md S20)."""


class DeSAM(SegmentationMethod):
    """The method of Gao et al., "DeSAM: Decoupled Segment Anything Model" (MICCAI 2024).

    Args:
        prompts: SAM's frozen prompt encoder.
        prim: The PRIM; None for ablation `pdmm_only`.
        pdmm: The PDMM; it has fusion if the ablation fuses mask embeddings.
        prompt_mode: Grid points, or the whole image as a box; both in training and at test time.
        ablation: The parts that are used.
        loss_profile: The paper's losses, those of the released code, or custom weights.
        training_points: Uniform, inside and outside the reference 1:1, or from the 9 x 9 grid.

    Raises:
        ValueError: The parts do not match the ablation.
    """

    reads: ClassVar[frozenset[Reads]] = frozenset({Reads.EMBEDDING})

    def __init__(
        self,
        *,
        prompts: PromptTokens,
        prim: PRIM | None,
        pdmm: PDMM,
        prompt_mode: PromptMode | str = PromptMode.GRID_POINTS,
        ablation: Ablation | str = Ablation.FULL,
        loss_profile: LossChoice = "paper",
        training_points: TrainingPoints | str = TrainingPoints.UNIFORM,
    ) -> None:
        super().__init__()
        self.prompt_mode = PromptMode(prompt_mode)
        self.ablation = Ablation(ablation)
        self.loss_weights = loss_weights(loss_profile)
        self.training_points = TrainingPoints(training_points)
        if (prim is not None) != self.ablation.has_prim:
            raise ValueError(
                f"ablation {self.ablation} {'needs a' if prim is None else 'must have no'} PRIM"
            )
        if (pdmm.fusion is not None) != self.ablation.fuses_mask:
            raise ValueError(
                f"ablation {self.ablation} needs PDMM(fuses_mask={self.ablation.fuses_mask})"
            )
        self.prompts = prompts
        self.prim = prim
        self.pdmm = pdmm
        if prim is not None and not self.rates_prompts:
            prim.freeze_rating()

    @property
    def rates_prompts(self) -> bool:
        """True if predicted IoUs rank the prompts; `whole_box` has a single prompt to rank."""
        return self.ablation.has_iou_head and self.prompt_mode is PromptMode.GRID_POINTS

    def decode(self, embedding: Embedding, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Mask logits `(B, 1, 4h, 4w)` and predicted IoU `(B, 1)` for one prompt per sample.

        The predicted IoU has no sigmoid; it is nan if the ablation has no PRIM.

        Args:
            embedding: Three taps `(B, C, h, w)` and a neck `(B, D, h, w)`.
            prompt: In px of the encoder's input frame, 16 px per token for SAM's patches.
        """
        predicted_iou, mask_embedding = self._rate_and_embed(embedding, prompt)
        return self.pdmm(embedding.taps, mask_embedding), predicted_iou

    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        """Mask loss and, in grid mode, the loss of the predicted IoU; means over the batch."""
        # decode the masks with one random prompt per slice
        embedding = self._embedding(batch)
        points_rc = self._training_points_rc(batch.reference, generator)
        logits, predicted_iou = self.decode(embedding, self._training_prompt(batch, points_rc))
        # losses per slice; the IoU target is 1 if the prompt is inside the reference, else 0
        parts = mask_loss_parts(logits, at_logits_size(batch.reference, logits), self.loss_weights)
        if self.rates_prompts:
            target = batch.reference[torch.arange(len(batch)), 0, points_rc[:, 0], points_rc[:, 1]]
            parts["iou"] = iou_loss(predicted_iou, target, self.loss_weights)
        # means over the batch
        means = {name: part.mean() for name, part in parts.items()}
        total = torch.stack(list(means.values())).sum()
        return Losses(total=total, parts={name: part.detach() for name, part in means.items()})

    def validation_loss(self, batch: Batch) -> Tensor:
        """Mask loss `(B,)` with one fixed prompt per slice; the release selects on it too."""
        embedding = self._embedding(batch)
        return self._validation_loss(batch, embedding, self.pdmm.context(embedding.taps))

    @torch.no_grad()
    def predict(self, batch: Batch, settings: PredictionSettings) -> Prediction:
        """Masks `(B, 1, H, W)` and the predicted IoU `(B,)` of the prompts that gave them.

        Grid mode uses the prompt with the highest predicted IoU, the first one among ties. The
        mask is empty if that IoU is not greater than `settings.iou_threshold`.

        Deviation: the release prefers a mask that the clean-up left unchanged to one with a higher
        predicted IoU; here PRIM alone ranks the prompts.
        """
        embedding = self._embedding(batch)
        context = self.pdmm.context(embedding.taps)
        return self._prediction(batch, embedding, context, settings)

    @torch.no_grad()
    def used_prompts(self, batch: Batch, settings: PredictionSettings) -> UsedPrompts | None:
        """The grid with its predicted IoUs, the unrated grid, or the box; None without PRIM."""
        if self.prim is None:
            return None
        if self.prompt_mode is PromptMode.WHOLE_BOX:
            boxes = whole_box_xyxy(len(batch), _image_hw(batch))
            return UsedPrompts(points_xy=boxes.new_empty(0, 2), boxes_xyxy=boxes)
        # a point of the input frame is at the same fraction of the slice
        points_xy = grid_points_xy(settings.grid_size, _image_hw(batch))
        if not self.rates_prompts:
            return UsedPrompts(points_xy=points_xy)
        embedding = self._embedding(batch)
        grid_hw = _grid_hw(embedding)
        sparse = self.prompts.sparse(self._grid_prompt(embedding, settings.grid_size), grid_hw)
        rated = (self.prim, self._image(embedding), self.prompts.image_pe(grid_hw), sparse)
        return UsedPrompts(
            points_xy=points_xy,
            predicted_iou=rate_prompts(*rated).float(),
            chosen=best_prompts(*rated),
        )

    def validate(self, batch: Batch, settings: PredictionSettings) -> tuple[Tensor, Tensor]:
        """`validation_loss` and the masks of `predict`; the taps are processed only once."""
        embedding = self._embedding(batch)
        context = self.pdmm.context(embedding.taps)
        loss = self._validation_loss(batch, embedding, context)
        return loss, self._prediction(batch, embedding, context, settings).mask

    def _validation_loss(self, batch: Batch, embedding: Embedding, context: Context) -> Tensor:
        prompt = self._training_prompt(batch, validation_points_rc(batch.reference))
        _, mask_embedding = self._rate_and_embed(embedding, prompt)
        logits = self.pdmm.decode(context, mask_embedding)
        parts = mask_loss_parts(logits, at_logits_size(batch.reference, logits), self.loss_weights)
        return torch.stack(list(parts.values())).sum(dim=0)

    def _prediction(
        self, batch: Batch, embedding: Embedding, context: Context, settings: PredictionSettings
    ) -> Prediction:
        # choose the prompt and compute its mask embedding
        predicted_iou = torch.full((len(batch),), torch.nan, device=embedding.neck.device)
        if self.rates_prompts:
            prompt = self._best_prompt(embedding, settings.grid_size)
            iou, mask_embedding = self._rate_and_embed(embedding, prompt)
            predicted_iou = iou[:, 0].float()
        else:
            mask_embedding = self._unrated_mask_embedding(embedding, settings.grid_size)
        # decode the mask
        logits = self._at_image_size(self.pdmm.decode(context, mask_embedding), batch)
        mask, probability = logits > 0, logits.float().sigmoid()
        # reject it if its predicted IoU is too low
        if self.rates_prompts:
            is_accepted = (predicted_iou > settings.iou_threshold)[:, None, None, None]
            mask &= is_accepted
            probability *= is_accepted
        return Prediction(mask=mask, predicted_iou=predicted_iou, probability=probability)

    def _embedding(self, batch: Batch) -> Embedding:
        if batch.embedding is None:
            raise ValueError(
                "DeSAM needs embeddings, but this batch has none; load its slices with embeddings"
            )
        if torch.is_autocast_enabled(batch.embedding.neck.device.type):
            return batch.embedding
        return batch.embedding.to(dtype=self.pdmm.head.weight.dtype)

    def _image(self, embedding: Embedding) -> Tensor:
        """The image tokens `(B, D, h, w)` that PRIM attends to."""
        return embedding.neck + self.prompts.dense()

    def _rate_and_embed(self, embedding: Embedding, prompt: Prompt) -> tuple[Tensor, Tensor | None]:
        """Predicted IoU `(B, 1)` and mask embedding (None without fusion), per sample."""
        grid_hw = _grid_hw(embedding)
        if self.prim is None:
            return embedding.neck.new_full((len(embedding.neck), 1), torch.nan), None
        sparse = self.prompts.sparse(prompt, grid_hw)
        image_pe = self.prompts.image_pe(grid_hw)
        predicted_iou, mask_embedding = self.prim(self._image(embedding), image_pe, sparse)
        return predicted_iou, mask_embedding if self.ablation.fuses_mask else None

    def _at_image_size(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.embedding is not None
        frame_hw = self.prompts.frame_hw(_grid_hw(batch.embedding))
        return resample_logits(logits, frame_hw, _image_hw(batch))

    def _training_points_rc(self, reference: Tensor, generator: torch.Generator) -> Tensor:
        if self.training_points is TrainingPoints.GRID:
            return grid_training_points_rc(reference, generator, TRAINING_GRID_SIZE)
        return uniform_points_rc(reference, generator)

    def _training_prompt(self, batch: Batch, points_rc: Tensor) -> Prompt:
        assert batch.embedding is not None
        frame_hw = self.prompts.frame_hw(_grid_hw(batch.embedding))
        device = batch.reference.device
        if self.prompt_mode is PromptMode.WHOLE_BOX:
            return Prompt.boxes(whole_box_xyxy(len(batch), frame_hw).to(device))
        points_xy = rc_to_frame_xy(points_rc, _image_hw(batch), frame_hw)
        return Prompt.points(points_xy[:, None].to(device))

    def _grid_prompt(self, embedding: Embedding, grid_size: int) -> Prompt:
        """All points of the grid, each as a separate prompt: `(grid_size**2, 1, 2)`."""
        points_xy = grid_points_xy(grid_size, self.prompts.frame_hw(_grid_hw(embedding)))
        return Prompt.points(points_xy[:, None].to(embedding.neck.device))

    def _best_prompt(self, embedding: Embedding, grid_size: int) -> Prompt:
        """The grid point with the highest predicted IoU for each slice, `(B, 1, 2)`."""
        assert self.prim is not None
        grid_hw = _grid_hw(embedding)
        grid = self._grid_prompt(embedding, grid_size)
        best = best_prompts(
            self.prim,
            self._image(embedding),
            self.prompts.image_pe(grid_hw),
            self.prompts.sparse(grid, grid_hw),
        )
        return Prompt.points(grid.xy[best])

    def _unrated_mask_embedding(self, embedding: Embedding, grid_size: int) -> Tensor | None:
        """The mask embedding to fuse if prompts are not ranked, or None without fusion.

        Deviation: the paper does not state how its "mask embedding" ablation chooses a prompt; we
        decode once, with the mask embedding averaged over the grid.
        """
        if self.prim is None or not self.ablation.fuses_mask:
            return None
        grid_hw = _grid_hw(embedding)
        if self.prompt_mode is PromptMode.WHOLE_BOX:
            box = whole_box_xyxy(len(embedding.neck), self.prompts.frame_hw(grid_hw))
            return self._rate_and_embed(embedding, Prompt.boxes(box.to(embedding.neck.device)))[1]
        sparse = self.prompts.sparse(self._grid_prompt(embedding, grid_size), grid_hw)
        image_pe = self.prompts.image_pe(grid_hw)
        return mean_mask_embedding(self.prim, self._image(embedding), image_pe, sparse)


def build_desam(
    *,
    tap_channels: int | Sequence[int],
    tap_grids: Sequence[tuple[int, int]] | None = None,
    neck_channels: int = 256,
    grid_hw: tuple[int, int] = (64, 64),
    input_px: int = 1024,
    prompt_mode: PromptMode | str = PromptMode.GRID_POINTS,
    ablation: Ablation | str = Ablation.FULL,
    loss_profile: LossChoice = "paper",
    training_points: TrainingPoints | str = TrainingPoints.UNIFORM,
    seed: int = 0,
    sam_checkpoint: Path | None = None,
) -> DeSAM:
    """A DeSAM with seeded random weights for an encoder of these sizes.

    Args:
        tap_channels: Channels of each of the three taps, or one number for all.
        tap_grids: Tokens (h, w) of each tap; by default those of the neck.
        neck_channels: Channels of the neck; the width of PRIM and of PDMM's bottleneck.
        grid_hw: Tokens (h, w) of the neck.
        input_px: Side of the encoder's input frame, px.
        prompt_mode: See `DeSAM`.
        ablation: See `DeSAM`.
        loss_profile: See `DeSAM`.
        training_points: See `DeSAM`.
        seed: Seed of the initial weights; the global random state is not changed.
        sam_checkpoint: SAM's `.pth` file that initialises PRIM and the prompt encoder.
    """
    parts = Ablation(ablation)
    # One random stream per part: two ablations of the same seed start from the same weights
    # wherever they have the same part, so that a row differs by its ablation and not by its draw
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_part_seed(seed, "prompts"))
        prompts = PromptTokens(
            dim=neck_channels, grid_hw=grid_hw, patch_px=input_px // max(grid_hw)
        )
        torch.manual_seed(_part_seed(seed, "prim"))
        prim = PRIM(dim=neck_channels) if parts.has_prim else None
        torch.manual_seed(_part_seed(seed, "pdmm"))
        pdmm = PDMM(
            tap_channels=tap_channels,
            tap_scales=(1, 1, 1) if tap_grids is None else _scales(tap_grids, grid_hw),
            dim=neck_channels,
            fuses_mask=parts.fuses_mask,
        )
    model = DeSAM(
        prompts=prompts,
        prim=prim,
        pdmm=pdmm,
        prompt_mode=prompt_mode,
        ablation=parts,
        loss_profile=loss_profile,
        training_points=training_points,
    )
    if sam_checkpoint is not None:
        load_sam_decoder(model, sam_checkpoint)
    return model


def _scales(tap_grids: Sequence[tuple[int, int]], grid_hw: tuple[int, int]) -> list[int]:
    """Side of each tap's grid relative to the neck's; 0, which PDMM refuses, for a fraction."""
    return [
        height // grid_hw[0]
        if height % grid_hw[0] == 0 and height * grid_hw[1] == width * grid_hw[0]
        else 0
        for height, width in tap_grids
    ]


def _part_seed(seed: int, part: str) -> int:
    digest = hashlib.sha256(f"{seed}/{part}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _grid_hw(embedding: Embedding) -> tuple[int, int]:
    return embedding.neck.shape[-2], embedding.neck.shape[-1]


def _image_hw(batch: Batch) -> tuple[int, int]:
    return batch.reference.shape[-2], batch.reference.shape[-1]
