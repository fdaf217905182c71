"""Predicts the slices of a scan with one model or an ensemble, a block of slices at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from desam_model.scoring.clean_up import clean_regions
from desam_model.training.loader import Loader
from desam_model.types import Reads, Slice
from sweeper.errors import DataError
from sweeper.trial.scoring_settings import build_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from desam_model.method import SegmentationMethod
    from desam_model.types import Batch, Embedding, Prediction, UsedPrompts
    from sweeper.data.preprocessing import Preprocessing
    from sweeper.predict.encoding import Encoding
    from sweeper.predict.facts import EncoderFacts, ModelFacts

_BLOCK = 8
"""Slices predicted together by methods that read images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained method on its device, with what predictions need to know.

    Attributes:
        facts: Everything but the weights.
        method: With the selected weights, in eval mode.
        encoding: The encoder; None for a method that reads images.
    """

    facts: ModelFacts
    method: SegmentationMethod
    encoding: Encoding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePredictions:
    """Predictions of all slices of a scan, in the stored frame.

    Attributes:
        mask: `(n, H, W)` bool, after the clean-up of small regions.
        predicted_iou: `(n,)`, of an ensemble the mean of its members; nan where no member predicts
            one.
    """

    mask: NDArray[np.bool_]
    predicted_iou: NDArray[np.float64]


class Predictor:
    """One model, or an ensemble: the mean of the members' probabilities, cut at 0.5.

    A single model gives the masks that a scoring of it gives. Members with the same encoder share
    its embeddings, of which only a block of slices is in memory.

    Args:
        models: At least one.

    Raises:
        DataError: The members segment different structures, or are prepared differently.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)
        first = self.models[0].facts
        for other in (model.facts for model in self.models[1:]):
            for what, one, two in (
                ("segments", first.config.structure, other.config.structure),
                ("has image channels:", first.sizes.image_channels, other.sizes.image_channels),
            ):
                if one != two:
                    raise DataError(
                        f"an ensemble needs models for the same task, but {first.name} {what}"
                        f" {one}, and {other.name} {two}; leave one out"
                    )

    @property
    def facts(self) -> ModelFacts:
        """Facts of the first member."""
        return self.models[0].facts

    @property
    def name(self) -> str:
        """Human name, such as `desam full prostate A-ISBI seed 0`."""
        names = [model.facts.name for model in self.models]
        return names[0] if len(names) == 1 else f"ensemble of {len(names)}: {'; '.join(names)}"

    def settings_for(self, domain: str | None) -> Preprocessing:
        """The preprocessing of images of a domain, which all members must share.

        Raises:
            DataError: The domain is unknown, or the members' settings differ.
        """
        settings = [model.facts.settings_for(domain) for model in self.models]
        for model, other in zip(self.models, settings, strict=True):
            if other != settings[0]:
                raise DataError(
                    f"{self.facts.name} and {model.facts.name} prepare images differently; choose"
                    " a domain that both know with --domain, or leave one out"
                )
        return settings[0]

    @torch.inference_mode()
    def predict(
        self,
        pixels: NDArray[np.uint8],
        progress: Callable[[int, int], None] | None = None,
    ) -> SlicePredictions:
        """Masks of prepared slices.

        Args:
            pixels: `(n, C, H, W)` uint8, as `data.preprocessing.prepare_image` returns them.
            progress: Called with (done, total) slices after each block.
        """
        n, (height, width) = len(pixels), pixels.shape[2:]
        mask = np.empty((n, height, width), dtype=bool)
        predicted_iou = np.full(n, math.nan)
        step = min([m.encoding.facts.block for m in self.models if m.encoding] or [_BLOCK])
        for start in range(0, n, step):
            block = slice(start, min(start + step, n))
            mask[block], predicted_iou[block] = self._predict_block(pixels[block])
            if progress is not None:
                progress(block.stop, n)
        return SlicePredictions(mask=mask, predicted_iou=predicted_iou)

    @torch.inference_mode()
    def used_prompts(self, pixels: NDArray[np.uint8]) -> UsedPrompts | None:
        """The prompts with which a single model segments one prepared slice `(1, C, H, W)`.

        None for an ensemble, whose members have prompts of their own, and for a method without.
        """
        if len(self.models) > 1:
            return None
        (model,) = self.models
        embeddings = None if model.encoding is None else model.encoding.embed(pixels)
        batch = _batch(model, pixels, embeddings)
        return model.method.used_prompts(batch, build_settings(model.facts.config.evaluation))

    def _predict_block(
        self, pixels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        embedded: dict[EncoderFacts, list[Embedding]] = {}
        predictions = []
        for model in self.models:
            embeddings = None
            if model.encoding is not None:
                if model.encoding.facts not in embedded:
                    embedded[model.encoding.facts] = model.encoding.embed(pixels)
                embeddings = embedded[model.encoding.facts]
            predictions.append(_predict(model, pixels, embeddings))
        ious = np.array([p.predicted_iou.cpu().numpy().astype(np.float64) for p in predictions])
        is_known = np.isfinite(ious)
        count = is_known.sum(axis=0)
        total = np.where(is_known, ious, 0.0).sum(axis=0)
        mean_iou = np.where(count > 0, total / np.maximum(count, 1), math.nan)
        if len(predictions) == 1:
            masks = predictions[0].mask[:, 0].cpu().numpy()
        else:
            masks = np.mean([_probability(p) for p in predictions], axis=0) > 0.5
        least = self.facts.config.evaluation.min_region_px
        return np.stack([clean_regions(mask, least) for mask in masks]), mean_iou


def _predict(
    model: Model, pixels: NDArray[np.uint8], embeddings: Sequence[Embedding] | None
) -> Prediction:
    """The model's prediction of a block."""
    batch = _batch(model, pixels, embeddings)
    return model.method.predict(batch, build_settings(model.facts.config.evaluation))


def _batch(
    model: Model, pixels: NDArray[np.uint8], embeddings: Sequence[Embedding] | None
) -> Batch:
    """A block of slices, through the loader that scoring uses."""
    no_reference = torch.zeros(pixels.shape[2:], dtype=torch.uint8)
    facts = model.facts
    reads_image = Reads.IMAGE in model.method.reads
    slices = [
        Slice(
            case="",
            domain=facts.config.source,
            structure=str(facts.config.structure),
            z=z,
            is_last_foreground=False,
            spacing_mm=(1.0, 1.0, 1.0),
            reference=no_reference,
            image=torch.from_numpy(plane) if reads_image else None,
            embedding=None if embeddings is None else embeddings[z],
        )
        for z, plane in enumerate(pixels)
    ]
    device = next(model.method.parameters()).device
    (batch,) = Loader(slices, batch_size=len(slices), device=device, prefetch=0)
    return batch


def _probability(prediction: Prediction) -> NDArray[np.float32]:
    """Probabilities `(B, H, W)`; a method without them counts with its mask."""
    values = prediction.mask.float() if prediction.probability is None else prediction.probability
    probability: NDArray[np.float32] = values[:, 0].cpu().numpy()
    return probability
