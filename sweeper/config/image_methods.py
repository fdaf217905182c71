"""The options that all image methods share, and those of the Baseline and the Upper bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sweeper.config.base import MethodConfigBase, Strict
from sweeper.config.sources import domains_in


class NetworkConfig(Strict):
    """The U-Net of the unified harness, the same for every image method of a table."""

    width: int = Field(
        default=32,
        ge=1,
        description="Channels of the first stage, doubled per stage up to 512 (sources.md S29).",
    )
    stages: int = Field(
        default=5, ge=2, le=8, description="Resolutions; 5 or 6 in nnU-Net (sources.md S29)."
    )
    norm: Literal["batch", "instance"] = Field(
        default="batch",
        description="Normalisation. The methods' own networks use batch norm; instance norm"
        " (nnU-Net) removes the feature statistics that MixStyle mixes.",
    )
    input_px: int | None = Field(
        default=None,
        ge=32,
        description="Side length in px to which slices are resized; masks are resized back."
        " By default the dataset's 256 (sources.md S31); 128 trains four times as fast.",
    )


class HarnessConfig(Strict):
    """Settings around a method (S32, S35, S36 in sources.md); defaults come from the profile."""

    input_noise: float | None = Field(
        default=None,
        ge=0,
        description="Standard deviation of Gaussian noise added to the input, in [0, 1], of the"
        " standard forward pass. unified: 0; official: 0.05 for the MaxStyle family (script), else"
        " 0 (sources.md S35).",
    )
    reconstruction_weight: float | None = Field(
        default=None,
        ge=0,
        description="Weight of the image decoder's squared error. unified: 0.5 for MaxStyle, else 0"
        " (above 0 a decoder is added); official: 0.5 for the MaxStyle family (script; sources.md"
        " S36).",
    )
    keep_originals: bool | None = Field(
        default=None,
        description="Each batch also contains its slices unaugmented (keep_orig_image_label_pair)."
        " unified: false; official: true for the MaxStyle family (config; sources.md S32).",
    )


class ImageMethodConfig(MethodConfigBase):
    """The options of every image method."""

    implementation: ClassVar[str]
    """Name of the method's class in `module()`."""
    official_harness: ClassVar[Literal["maxstyle_family", "csdg", "nnunet"]] = "maxstyle_family"
    official_values: ClassVar[Mapping[str, Any]] = {}
    official_training: ClassVar[Mapping[str, Any]] = {}

    profile: Literal["unified", "official"] = Field(
        default="unified",
        description="unified: one harness for all rows; official: the recipe of the method's own"
        " repository, including its hyperparameters where they differ (sources.md S31).",
    )
    network: NetworkConfig = Field(
        default=NetworkConfig(), description="The unified harness's U-Net; fixed if official."
    )
    augmentation: bool = Field(
        default=True, description="The harness's base augmentation (sources.md S34, S51)."
    )

    harness: HarnessConfig = Field(
        default=HarnessConfig(),
        description="Individual settings of the harness, instead of the profile's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _official_defaults(cls, values: Any) -> Any:
        """With the official profile, unset options take the official values."""
        if isinstance(values, Mapping) and values.get("profile") == "official":
            return {**cls.official_values, **values}
        return values

    @model_validator(mode="after")
    def _official_network_is_fixed(self) -> ImageMethodConfig:
        if self.profile == "official" and self.network != NetworkConfig():
            raise ValueError(
                "network is set, but profile official uses the paper's own network; remove"
                " network or use profile unified"
            )
        return self

    @model_validator(mode="after")
    def _only_a_decoder_reconstructs(self) -> ImageMethodConfig:
        is_asked = bool(self.harness.reconstruction_weight)
        if is_asked and self.profile == "official" and self.official_harness != "maxstyle_family":
            raise ValueError(
                f"harness.reconstruction_weight is {self.harness.reconstruction_weight}, but the"
                f" official network of {self.official_harness} has no image decoder; remove it or"
                " use profile unified"
            )
        return self

    def options(self) -> dict[str, Any]:
        """The keyword arguments of the implementation, without those of the harness."""
        return self.model_dump(exclude={"name", "profile", "network", "augmentation", "harness"})

    def training_defaults(self) -> Mapping[str, Any]:
        """The official recipe's training settings; empty if unified."""
        return self.official_training if self.profile == "official" else {}


class UNetConfig(ImageMethodConfig):
    """Baseline: supervised training on the source alone (nnU-Net's U-Net; sources.md S28)."""

    implementation: ClassVar[str] = "UNetBaseline"
    official_harness: ClassVar[Literal["maxstyle_family", "csdg", "nnunet"]] = "nnunet"
    official_training: ClassVar[Mapping[str, Any]] = {
        "epochs": 1000,
        "batch_size": 12,
        "optimizer": "sgd",
        "lr": 1e-2,
        "weight_decay": 3e-5,
        "momentum": 0.99,
        "nesterov": True,
        "lr_decay": "poly",
    }

    name: Literal["unet"] = "unet"


class UpperBoundConfig(ImageMethodConfig):
    """Upper bound: the Baseline, cross-validated on cases that other methods never see (S30)."""

    implementation: ClassVar[str] = UNetConfig.implementation
    official_harness: ClassVar[Literal["maxstyle_family", "csdg", "nnunet"]] = "nnunet"
    official_training: ClassVar[Mapping[str, Any]] = UNetConfig.official_training

    name: Literal["upper_bound"] = "upper_bound"
    variant: Literal["target_cv", "all_sites", "source_cv"] = Field(
        default="target_cv",
        description="target_cv: each target site is cross-validated on itself; all_sites: one"
        " cross-validation over all sites; source_cv: the source is cross-validated on itself.",
    )
    folds: int = Field(
        default=5,
        ge=2,
        description="Folds; not in any source, so nnU-Net's 5 (sources.md S29, S30).",
    )

    def cross_validation(
        self, source: str, domains: tuple[str, ...]
    ) -> tuple[tuple[str, int], ...]:
        """The (training domain, fold) pairs whose test cases together fill the cell."""
        trained_on = {
            "target_cv": tuple(d for d in domains if d not in domains_in(source)),
            "all_sites": ("all",),
            "source_cv": (source,),
        }[self.variant]
        return tuple((domain, fold) for domain in trained_on for fold in range(self.folds))

    def options(self) -> dict[str, Any]:
        """Empty: the plan decides which cases it is trained on."""
        return {}

    def module(self) -> str:
        """The Baseline's module."""
        return "desam_model.comparisons.unet"

    def label(self) -> str:
        """`upper_bound` with its variant, because the variants answer different questions."""
        return f"{self.name} {self.variant}"
