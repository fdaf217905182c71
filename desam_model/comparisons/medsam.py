"""MedSAM: SAM's mask decoder, fine-tuned on embeddings of the frozen encoder.

Source: Ma et al., Segment Anything in Medical Images, 2023 (Apache-2.0), the May 2023 release,
which trains only the decoder; sources.md S25, S26.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from segment_anything.modeling.mask_decoder import MaskDecoder
from segment_anything.modeling.transformer import TwoWayTransformer

from desam_model.checkpoint_file import read_checkpoint
from desam_model.desam.losses import LossProfile, at_logits_size, iou_loss, mask_loss_parts
from desam_model.desam.prim import default_heads
from desam_model.desam.prompts import (
    PromptTokens,
    grid_points_xy,
    rc_to_frame_xy,
    reference_boxes,
    uniform_points_rc,
    validation_points_rc,
    whole_box_xyxy,
)
from desam_model.desam.resampling import resample_logits
from desam_model.method import SegmentationMethod
from desam_model.types import Losses, Prediction, Prompt, Reads, UsedPrompts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from desam_model.types import Batch, Embedding, PredictionSettings

_PROMPTS_AT_ONCE = 9
"""Grid prompts decoded together, as in the release of DeSAM (sources.md S23)."""

_MARGIN_FRAME_PX = 256
"""Image side to which `box_margin_px` refers (sources.md S25)."""


class MedSamPrompt(StrEnum):
    """Prompts of MedSAM, in training and at test time."""

    WHOLE_BOX = "whole_box"
    GRID = "grid"
    GT_BOX = "gt_box"


class MedSAM(SegmentationMethod):
    """SAM's mask decoder with a frozen prompt encoder; one mask per prompt.

    With `gt_box` it is an oracle: the box comes from the reference, also at test time.

    Args:
        prompts: SAM's frozen prompt encoder.
        decoder: SAM's mask decoder; its first mask token gives the mask.
        prompt: Kind of prompt.
        loss_profile: One of DeSAM's loss profiles, so that only the decoder differs from DeSAM.
        box_margin_px: In training, each side of the box is moved outwards by a random margin below
            this many px at 256 x 256; test boxes are tight.
    """

    reads: ClassVar[frozenset[Reads]] = frozenset({Reads.EMBEDDING})

    def __init__(
        self,
        *,
        prompts: PromptTokens,
        decoder: MaskDecoder,
        prompt: MedSamPrompt | str = MedSamPrompt.WHOLE_BOX,
        loss_profile: LossProfile | str = LossProfile.PAPER,
        box_margin_px: int = 20,
    ) -> None:
        super().__init__()
        self.prompts = prompts
        self.decoder = decoder
        self.prompt = MedSamPrompt(prompt)
        self.loss_profile = LossProfile(loss_profile)
        self.box_margin_px = box_margin_px
        # one mask per prompt: the heads of the other masks are not used
        decoder.output_hypernetworks_mlps[1:].requires_grad_(False)
        if not self.rates_prompts:
            decoder.iou_prediction_head.requires_grad_(False)

    @property
    def rates_prompts(self) -> bool:
        """True if predicted IoUs rank the prompts; with a box there is a single prompt."""
        return self.prompt is MedSamPrompt.GRID

    def decode(self, embedding: Embedding, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Mask logits `(B, 1, 4h, 4w)` and predicted IoU `(B, 1)` for one prompt per sample."""
        tokens, maps = self._attend(embedding.neck, prompt)
        upscaled = self.decoder.output_upscaling(maps)
        weights = self.decoder.output_hypernetworks_mlps[0](tokens[:, 1])
        logits = torch.einsum("bc,bchw->bhw", weights, upscaled)[:, None]
        return logits, self._rate(tokens)

    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        """Mask loss and, in grid mode, the loss of the predicted IoU; means over the batch.

        Source: sources.md S64: the mask loss is that of the decoder's own logits, as in DeSAM.
        """
        # decode the masks with one prompt per slice
        embedding = self._embedding(batch)
        points_rc = None
        if self.prompt is MedSamPrompt.GRID:
            points_rc = uniform_points_rc(batch.reference, generator)
        prompt = self._prompt(batch, points_rc, generator)
        logits, predicted_iou = self.decode(embedding, prompt)
        # losses per slice; the IoU target is 1 if the point is inside the reference, else 0
        parts = mask_loss_parts(logits, at_logits_size(batch.reference, logits), self.loss_profile)
        if points_rc is not None:
            target = batch.reference[torch.arange(len(batch)), 0, points_rc[:, 0], points_rc[:, 1]]
            parts["iou"] = iou_loss(predicted_iou, target, self.loss_profile)
        # means over the batch
        means = {name: part.mean() for name, part in parts.items()}
        total = torch.stack(list(means.values())).sum()
        return Losses(total=total, parts={name: part.detach() for name, part in means.items()})

    def validation_loss(self, batch: Batch) -> Tensor:
        """Mask loss `(B,)` with the test prompt; in grid mode with one fixed foreground point."""
        points_rc = None
        if self.prompt is MedSamPrompt.GRID:
            points_rc = validation_points_rc(batch.reference)
        logits, _ = self.decode(self._embedding(batch), self._prompt(batch, points_rc, None))
        parts = mask_loss_parts(logits, at_logits_size(batch.reference, logits), self.loss_profile)
        return torch.stack(list(parts.values())).sum(dim=0)

    def predict(self, batch: Batch, settings: PredictionSettings) -> Prediction:
        """Masks `(B, 1, H, W)` and the predicted IoU `(B,)`, which is nan with a box prompt.

        As in DeSAM, grid mode uses the point with the highest predicted IoU, and the mask is empty
        if that IoU is not greater than `settings.iou_threshold`.
        """
        embedding = self._embedding(batch)
        # a box is the only prompt, so nothing is ranked
        if self.prompt is not MedSamPrompt.GRID:
            logits, _ = self.decode(embedding, self._prompt(batch, None, None))
            no_iou = torch.full((len(batch),), torch.nan, device=logits.device)
            logits = self._at_image_size(logits, batch)
            return Prediction(
                mask=logits > 0, predicted_iou=no_iou, probability=logits.float().sigmoid()
            )
        # decode the best point of the grid
        logits, ious = self.decode(embedding, self._best_points(embedding, settings.grid_size))
        predicted_iou = ious[:, 0].float()
        # reject the mask if its predicted IoU is too low
        is_accepted = (predicted_iou > settings.iou_threshold)[:, None, None, None]
        logits = self._at_image_size(logits, batch)
        return Prediction(
            mask=(logits > 0) & is_accepted,
            predicted_iou=predicted_iou,
            probability=logits.float().sigmoid() * is_accepted,
        )

    @torch.no_grad()
    def used_prompts(self, batch: Batch, settings: PredictionSettings) -> UsedPrompts | None:
        """The grid with its predicted IoUs, or the box of each slice."""
        if self.prompt is MedSamPrompt.WHOLE_BOX:
            boxes = whole_box_xyxy(len(batch), _image_hw(batch))
            return UsedPrompts(points_xy=boxes.new_empty(0, 2), boxes_xyxy=boxes)
        if self.prompt is not MedSamPrompt.GRID:
            boxes = reference_boxes(batch.reference)
            return UsedPrompts(points_xy=boxes.new_empty(0, 2), boxes_xyxy=boxes)
        # a point of the input frame is at the same fraction of the slice
        _, ious = self._rated_grid(self._embedding(batch), settings.grid_size)
        return UsedPrompts(
            points_xy=grid_points_xy(settings.grid_size, _image_hw(batch)),
            predicted_iou=ious.float(),
            chosen=ious.argmax(dim=1),
        )

    def _attend(self, neck: Tensor, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Output tokens `(B, T, D)`, and the image tokens as maps `(B, D, h, w)`."""
        grid_hw = (neck.shape[-2], neck.shape[-1])
        sparse = self.prompts.sparse(prompt, grid_hw)
        output_tokens = torch.cat([self.decoder.iou_token.weight, self.decoder.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(len(sparse), -1, -1), sparse], dim=1)
        image = neck + self.prompts.dense()
        position = self.prompts.image_pe(grid_hw).expand_as(image)
        tokens, keys = self.decoder.transformer(image, position, tokens)
        return tokens, keys.transpose(1, 2).reshape(image.shape)

    def _rate(self, tokens: Tensor) -> Tensor:
        ious: Tensor = self.decoder.iou_prediction_head(tokens[:, 0])
        return ious[:, :1]

    def _best_points(self, embedding: Embedding, grid_size: int) -> Prompt:
        """The grid point with the highest predicted IoU for each slice, `(B, 1, 2)`."""
        grid, ious = self._rated_grid(embedding, grid_size)
        return Prompt.points(grid[ious.argmax(dim=1)][:, None])

    def _rated_grid(self, embedding: Embedding, grid_size: int) -> tuple[Tensor, Tensor]:
        """The grid `(P, 2)`, px of the input frame, and its predicted IoUs `(B, P)`."""
        grid = grid_points_xy(grid_size, self._frame_hw(embedding)).to(embedding.neck.device)
        rows = []
        for neck in torch.split(embedding.neck, 1):
            ious = []
            for points in torch.split(grid, _PROMPTS_AT_ONCE):
                repeated = neck.expand(len(points), -1, -1, -1)
                tokens, _ = self._attend(repeated, Prompt.points(points[:, None]))
                ious.append(self._rate(tokens)[:, 0])
            rows.append(torch.cat(ious))
        return grid, torch.stack(rows)

    def _prompt(
        self, batch: Batch, points_rc: Tensor | None, generator: torch.Generator | None
    ) -> Prompt:
        """One prompt per slice; with a generator, boxes get random margins."""
        frame_hw, image_hw = self._frame_hw(self._embedding(batch)), _image_hw(batch)
        device = batch.reference.device
        if points_rc is not None:
            points_xy = rc_to_frame_xy(points_rc, image_hw, frame_hw)
            return Prompt.points(points_xy[:, None].to(device))
        if self.prompt is MedSamPrompt.WHOLE_BOX:
            return Prompt.boxes(whole_box_xyxy(len(batch), frame_hw).to(device))
        margins = None
        if generator is not None and self.box_margin_px > 0:
            drawn = torch.randint(self.box_margin_px, (len(batch), 4), generator=generator)
            margins = drawn * max(image_hw) / _MARGIN_FRAME_PX
        boxes = reference_boxes(batch.reference, margins)
        scale = torch.tensor([frame_hw[1] / image_hw[1], frame_hw[0] / image_hw[0]] * 2)
        return Prompt.boxes((boxes * scale).to(device))

    def _embedding(self, batch: Batch) -> Embedding:
        if batch.embedding is None:
            raise ValueError(
                "MedSAM needs embeddings, but this batch has none; load its slices with embeddings"
            )
        if torch.is_autocast_enabled(batch.embedding.neck.device.type):
            return batch.embedding
        return batch.embedding.to(dtype=self.decoder.mask_tokens.weight.dtype)

    def _frame_hw(self, embedding: Embedding) -> tuple[int, int]:
        return self.prompts.frame_hw((embedding.neck.shape[-2], embedding.neck.shape[-1]))

    def _at_image_size(self, logits: Tensor, batch: Batch) -> Tensor:
        return resample_logits(logits, self._frame_hw(self._embedding(batch)), _image_hw(batch))


def build_medsam(
    *,
    neck_channels: int = 256,
    grid_hw: tuple[int, int] = (64, 64),
    input_px: int = 1024,
    prompt: MedSamPrompt | str = MedSamPrompt.WHOLE_BOX,
    loss_profile: LossProfile | str = LossProfile.PAPER,
    box_margin_px: int = 20,
    seed: int = 0,
) -> MedSAM:
    """A MedSAM with seeded random weights for an encoder of these sizes; the defaults are SAM's.

    Args:
        neck_channels: Channels of the neck, which is also the width of the decoder.
        grid_hw: Tokens (h, w) of an embedding.
        input_px: Side of the encoder's input frame, px.
        prompt: See `MedSAM`.
        loss_profile: See `MedSAM`.
        box_margin_px: See `MedSAM`.
        seed: Seed of the initial weights; the global random state is not changed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        transformer = TwoWayTransformer(
            depth=2,
            embedding_dim=neck_channels,
            num_heads=default_heads(neck_channels),
            mlp_dim=max(neck_channels, neck_channels**2 // 32),
        )
        return MedSAM(
            prompts=PromptTokens(
                dim=neck_channels, grid_hw=grid_hw, patch_px=input_px // max(grid_hw)
            ),
            decoder=MaskDecoder(
                transformer_dim=neck_channels,
                transformer=transformer,
                iou_head_hidden_dim=neck_channels,
            ),
            prompt=prompt,
            loss_profile=loss_profile,
            box_margin_px=box_margin_px,
        )


def load_sam_weights(model: MedSAM, path_or_state_dict: Path | str | Mapping[str, Tensor]) -> None:
    """Initialise decoder and prompt encoder from SAM's (or MedSAM's) checkpoint.

    Args:
        model: A MedSAM with the widths of the checkpoint (256 for SAM's).
        path_or_state_dict: A `.pth` file, or its content.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    weights = (
        read_checkpoint(Path(path_or_state_dict))
        if isinstance(path_or_state_dict, (str, Path))
        else dict(path_or_state_dict)
    )
    parts = {"mask_decoder.": model.decoder, "prompt_encoder.": model.prompts.encoder}
    for prefix, part in parts.items():
        pretrained = {
            name.removeprefix(prefix): weight
            for name, weight in weights.items()
            if name.startswith(prefix)
        }
        try:
            part.load_state_dict(pretrained)
        except RuntimeError as err:
            reason = str(err).splitlines()[-1].strip()
            raise ValueError(
                f"the checkpoint does not match SAM's {prefix}*: {reason}; use the SAM checkpoint"
                " of the encoder that computed the embeddings"
            ) from err


def _image_hw(batch: Batch) -> tuple[int, int]:
    return batch.reference.shape[-2], batch.reference.shape[-1]
