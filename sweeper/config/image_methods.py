"""What the image methods' configs share, and those of the Baseline and the Upper bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sweeper.config.base import MethodConfigBase, Strict


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
        description="Side that slices are resized to for the network, px; masks are resized back."
        " By default the dataset's 256 (sources.md S31); 128 trains four times as fast.",
    )


class HarnessConfig(Strict):
    """Values around a method (sources.md S32, S35, S36); what is not set is the profile's."""

    input_noise: float | None = Field(
        default=None,
        ge=0,
        description="Deviation of Gaussian noise on the standard pass's input in [0, 1]. unified:"
        " 0; official: 0.05 for the MaxStyle family (script), else 0 (sources.md S35).",
    )
    reconstruction_weight: float | None = Field(
        default=None,
        ge=0,
        description="Of the image decoder's squared error. unified: 0.5 for MaxStyle, else 0 (above"
        " 0 a decoder is added); official: 0.5 for the MaxStyle family (script; sources.md S36).",
    )
    keep_originals: bool | None = Field(
        default=None,
        description="Each batch also holds its slices un-augmented (keep_orig_image_label_pair)."
        " unified: false; official: true for the MaxStyle family (config; sources.md S32).",
    )


class ImageMethodConfig(MethodConfigBase):
    """What every image method has."""

    implementation: ClassVar[str]
    """Name of the method's class in `module()`."""
    official_harness: ClassVar[Literal["maxstyle_family", "csdg", "nnunet"]] = "maxstyle_family"
    official_values: ClassVar[Mapping[str, Any]] = {}
    official_training: ClassVar[Mapping[str, Any]] = {}

    profile: Literal["unified", "official"] = Field(
        default="unified",
        description="unified: one harness for all rows; official: the recipe of the method's own"
        " repository, its hyperparameters included where they differ (sources.md S31).",
    )
    network: NetworkConfig = Field(
        default=NetworkConfig(), description="The unified harness's U-Net; fixed when official."
    )
    augmentation: bool = Field(
        default=True, description="The harness's base augmentation (sources.md S34, S51)."
    )

    harness: HarnessConfig = Field(
        default=HarnessConfig(),
        description="Single values of the harness, instead of the profile's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _official_defaults(cls, values: Any) -> Any:
        """What is not set takes the official value when the profile is official."""
        if isinstance(values, Mapping) and values.get("profile") == "official":
            return {**cls.official_values, **values}
        return values

    @model_validator(mode="after")
    def _official_network_is_fixed(self) -> ImageMethodConfig:
        if self.profile == "official" and self.network != NetworkConfig():
            raise ValueError(
                "network is set, but profile official brings the paper's own network; remove"
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
        """The keyword arguments of the implementation, its harness apart."""
        return self.model_dump(exclude={"name", "profile", "network", "augmentation", "harness"})

    def training_defaults(self) -> Mapping[str, Any]:
        """The official recipe's training settings; none when unified."""
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
    """Upper bound: the Baseline, cross-validated on cases that are else unseen (sources.md S30)."""

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
            "target_cv": tuple(domain for domain in domains if domain != source),
            "all_sites": ("all",),
            "source_cv": (source,),
        }[self.variant]
        return tuple((domain, fold) for domain in trained_on for fold in range(self.folds))

    def options(self) -> dict[str, Any]:
        """None: which cases it is trained on is the plan's business."""
        return {}

    def module(self) -> str:
        """The Baseline's module."""
        return "desam_model.comparisons.unet"

    def label(self) -> str:
        """`upper_bound` with its variant, since they mean different things."""
        return f"{self.name} {self.variant}"
