"""Options of the comparison methods; each hyperparameter names its default and source."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads ClassVar annotations
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from sweeper.config.base import AddedLater, Level, MethodConfigBase
from sweeper.config.image_methods import ImageMethodConfig

_FAMILY_TRAINING = {
    "epochs": 600,
    "batch_size": 10,
    "optimizer": "adamw",
    "lr": 1e-4,
    "weight_decay": 0.01,
    "lr_decay": "constant",
}
"""sources.md S32: 10 slices, each also unaugmented; one AdamW equals one per sub-network."""


def _all_odd(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if not sizes or any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(f"are {list(sizes)}, expected odd sizes such as [1, 3, 5, 7]")
    return sizes


KernelSizes = Annotated[tuple[int, ...], AfterValidator(_all_odd)]


class AdvNoiseConfig(ImageMethodConfig):
    """AdvNoise: virtual adversarial training for segmentation (sources.md S38)."""

    implementation: ClassVar[str] = "AdvNoise"
    official_values: ClassVar[Mapping[str, Any]] = {
        "epsilon": 0.1,
        "xi": 1e-6,
        "rescale_in_search": True,
    }
    official_training: ClassVar[Mapping[str, Any]] = _FAMILY_TRAINING

    name: Literal["advnoise"] = "advnoise"
    epsilon: float = Field(
        default=1.0,
        gt=0,
        description="L2 norm of the noise over a whole image in [0, 1]. 1: advchain's README;"
        " official 0.1: the script (sources.md S39, S63).",
    )
    xi: float = Field(
        default=0.1,
        gt=0,
        description="Finite-difference step of the power iteration. 0.1: textbook; official 1e-6:"
        " the script, without effect in float32 (sources.md S39).",
    )
    iterations: int = Field(default=1, ge=1, description="Power iterations (script: 1).")
    divergence_weight: Annotated[float, AddedLater()] = Field(
        default=1.0, ge=0, description="Weight of the KL divergence (script: 1)."
    )
    rescale_in_search: Annotated[bool, AddedLater()] = Field(
        default=False,
        description="Rescale the noisy image to its original range in the search too, as the final"
        " image. official: true (script): nearly all noise then goes to the brightest and the"
        " darkest pixel, so that the contrast changes (sources.md S63).",
    )


class AdvBiasConfig(ImageMethodConfig):
    """AdvBias: adversarial bias fields (sources.md S40, S41)."""

    implementation: ClassVar[str] = "AdvBias"
    official_training: ClassVar[Mapping[str, Any]] = _FAMILY_TRAINING

    name: Literal["advbias"] = "advbias"
    epsilon: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="The field is 1 ± epsilon at most (script; library: 0.3).",
    )
    spacing: float = Field(
        default=0.5, gt=0, le=1, description="Control point spacing, fraction of the side (script)."
    )
    downscale: int = Field(
        default=4, ge=1, description="The field is computed at 1/downscale size (script; ACDC: 2)."
    )
    order: int = Field(default=3, ge=1, le=5, description="Degree of the B-spline (script: 3).")
    step: float = Field(default=1.0, gt=0, description="L2 norm of an ascent step (script: 1).")
    iterations: int = Field(default=1, ge=1, description="Ascent steps (script: 1).")
    divergence_weight: float = Field(
        default=1.0, ge=0, description="Weight of the KL divergence (script: 1)."
    )
    contour_weight: float = Field(
        default=0.5, ge=0, description="Weight of the contour loss (script: 0.5)."
    )
    space: Annotated[Literal["log", "linear"], AddedLater()] = Field(
        default="log",
        description="The spline models the field's logarithm (script), or the field minus 1.",
    )
    init: Annotated[Literal["random", "identity"], AddedLater()] = Field(
        default="random",
        description="Control points before the ascent: random: uniform in their range (script);"
        " identity: a field of 1.",
    )


class RandConvConfig(ImageMethodConfig):
    """RandConv: random convolutions of the image (sources.md S42)."""

    implementation: ClassVar[str] = "RandConv"
    official_values: ClassVar[Mapping[str, Any]] = {"supervise_augmented": False}
    official_training: ClassVar[Mapping[str, Any]] = _FAMILY_TRAINING

    name: Literal["randconv"] = "randconv"
    kernel_sizes: KernelSizes = Field(
        default=(1, 3, 5, 7), description="Filter sizes to draw from (both repositories)."
    )
    variant: Literal["mix", "image"] = Field(
        default="mix",
        description="mix: blend with the original (RC_mix); image: filter or keep it (RC_img).",
    )
    keep_probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How often `image` keeps the original (authors: 0.5).",
    )
    copies: int = Field(default=3, ge=2, description="Randomised copies (both repositories: 3).")
    consistency_weight: float = Field(
        default=10.0, ge=0, description="Divergence weight: 10 for mix, 5 for image (authors)."
    )
    supervise_augmented: bool = Field(
        default=True,
        description="Supervise a randomised image, as the authors do; official: false, as in"
        " MaxStyle's repository, which supervises only the original image (sources.md S43).",
    )


class MixStyleConfig(ImageMethodConfig):
    """MixStyle: mixed feature statistics (sources.md S44)."""

    implementation: ClassVar[str] = "MixStyle"
    official_values: ClassVar[Mapping[str, Any]] = {"eps": 1e-8}
    official_training: ClassVar[Mapping[str, Any]] = _FAMILY_TRAINING

    name: Literal["mixstyle"] = "mixstyle"
    probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How often a layer mixes (both repositories: 0.5).",
    )
    alpha: float = Field(default=0.1, gt=0, description="Beta(alpha, alpha) parameter (both: 0.1).")
    eps: float = Field(
        default=1e-6, gt=0, description="Added to the variance (authors; official: 1e-8)."
    )
    layers: tuple[int, ...] = Field(
        default=(1, 2, 3), description="Encoder stages that mix; 1 is the finest (script: 1, 2, 3)."
    )


class MaxStyleConfig(ImageMethodConfig):
    """MaxStyle: adversarial styles in the image decoder (sources.md S45)."""

    implementation: ClassVar[str] = "MaxStyle"
    official_training: ClassVar[Mapping[str, Any]] = _FAMILY_TRAINING

    name: Literal["maxstyle"] = "maxstyle"
    probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How often a style layer is active (script: 0.5).",
    )
    iterations: int = Field(default=5, ge=0, description="Ascent steps (config: n_iter 5).")
    lr: float = Field(
        default=0.1, gt=0, description="Learning rate of the ascent's Adam (config: 0.1)."
    )
    alpha: float = Field(
        default=0.1,
        gt=0,
        description="Beta(alpha, alpha) parameter of the mixing weights (class default: 0.1).",
    )
    style_layers: int = Field(
        default=3,
        ge=1,
        description="Number of the image decoder's last outputs that get a style, including the"
        " image (config: layers 3, 4, 5 of 0 to 5).",
    )
    mix: bool = Field(default=True, description="Mix the batch's styles (config: true).")
    noise: bool = Field(default=True, description="Add noise to the styles (config: true).")
    mix_learnable: Annotated[bool, AddedLater()] = Field(
        default=True,
        description="The ascent changes the mixing weights (config: true) or leaves them as drawn.",
    )
    noise_learnable: Annotated[bool, AddedLater()] = Field(
        default=True,
        description="The ascent changes the noise (config: true) or leaves it.",
    )


class CSDGConfig(ImageMethodConfig):
    """CSDG: GIN and IPA (sources.md S46, S47)."""

    implementation: ClassVar[str] = "CSDG"
    official_harness: ClassVar[Literal["maxstyle_family", "csdg", "nnunet"]] = "csdg"
    official_training: ClassVar[Mapping[str, Any]] = {
        "epochs": 2000,
        "batch_size": 20,
        "optimizer": "adam",
        "lr": 3e-4,
        "weight_decay": 3e-5,
        "betas": (0.5, 0.999),
        "lr_decay": "linear",
        "constant_epochs": 50,
        "selection": "last",
    }

    name: Literal["csdg"] = "csdg"
    gin_layers: int = Field(default=4, ge=1, description="Layers of a random network (script: 4).")
    gin_channels: int = Field(default=2, ge=1, description="Hidden channels of it (script: 2).")
    kernel_sizes: KernelSizes = Field(
        default=(1, 3), description="Kernel sizes to draw from (script: 1, 3)."
    )
    blend_spacing: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="Control point spacing of the blend map, fraction of the side (48 of 192 px).",
    )
    consistency_weight: float = Field(
        default=10.0, ge=0, description="Weight of the divergence (script: 10)."
    )
    reduction: Literal["elements", "pixels"] = Field(
        default="elements",
        description="elements: mean over pixels and classes, as released; pixels: textbook KL,"
        " twice as strong with two classes (sources.md S49).",
    )
    epsilon: Annotated[float, AddedLater()] = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="The blend map is within 1 ± epsilon before it is rescaled to [0, 1]; so it has"
        " no effect, as released (script: 0.3; sources.md S47).",
    )
    downscale: Annotated[int, AddedLater()] = Field(
        default=2, ge=1, description="The blend map is computed at 1/downscale size (script: 2)."
    )
    dice_weight: Annotated[float, AddedLater()] = Field(
        default=1.0, ge=0, description="Weight of the soft Dice loss (script: 1)."
    )
    ce_weight: Annotated[float, AddedLater()] = Field(
        default=1.0, ge=0, description="Weight of the cross-entropy (script: 1)."
    )


class MedSAMConfig(MethodConfigBase):
    """MedSAM: SAM's mask decoder on the cached embeddings (sources.md S26)."""

    name: Literal["medsam"] = "medsam"
    profile: Literal["unified", "official"] = Field(
        default="unified",
        description="unified: DeSAM's schedule (sources.md S26); official: MedSAM's of May 2023"
        " (sources.md S25), except the prompt, which is a separate option.",
    )
    prompt: Literal["whole_box", "grid", "gt_box"] = Field(
        default="whole_box",
        description="Prompt in training and testing. gt_box takes the box from the reference: an"
        " oracle, and the row label says so (sources.md S26).",
    )
    loss_profile: Literal["paper", "released"] = Field(
        default="paper",
        description="As for DeSAM: Dice + CE, or only squared Dice as released (sources.md S22).",
    )
    box_margin_px: int = Field(
        default=20,
        ge=0,
        description="Only for gt_box: training boxes grow by 0 to 19 px per side at 256 px"
        " (sources.md S25).",
    )
    start: Annotated[Path | None, Level.NOTHING] = Field(
        default=None,
        description="MedSAM's public .pth file with the initial weights of decoder and prompt"
        " encoder; by default the encoder's own SAM. Its content enters the identity. It was"
        " trained on images of the sites D, E and F (sources.md S27), so the row label names it.",
    )

    def own_checkpoint(self) -> Path | None:
        """MedSAM's public weights, if `start` is set."""
        return self.start

    def uses_prompt_grid(self) -> bool:
        """True for grid prompts; the other prompts are boxes."""
        return self.prompt == "grid"

    def rates_prompts(self) -> bool:
        """True for grid prompts; a box is the only prompt, so nothing needs a rating."""
        return self.prompt == "grid"

    def reads_embeddings(self) -> bool:
        """True: MedSAM reads the encoder's neck."""
        return True

    def training_defaults(self) -> Mapping[str, Any]:
        """MedSAM's own schedule (sources.md S25, May 2023); empty if unified."""
        if self.profile == "unified":
            return {}
        return {
            "epochs": 1000,
            "batch_size": 8,
            "optimizer": "adam",
            "lr": 1e-5,
            "lr_decay": "constant",
            "selection": "training",
        }

    def label(self) -> str:
        """`medsam`, with the prompt unless it is the whole box; an oracle is marked."""
        suffix = {"whole_box": "", "grid": " grid", "gt_box": " gt_box (oracle)"}
        start = "" if self.start is None else f" from {self.start.name}"
        return f"medsam{suffix[self.prompt]}{start}"
