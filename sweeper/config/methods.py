"""Every method's options; a trial's `method:` is one of these, told apart by `name`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sweeper.config.comparisons import (
    AdvBiasConfig,
    AdvNoiseConfig,
    CSDGConfig,
    MaxStyleConfig,
    MedSAMConfig,
    MixStyleConfig,
    RandConvConfig,
)
from sweeper.config.desam import DesamConfig
from sweeper.config.image_methods import UNetConfig, UpperBoundConfig

MethodConfig = Annotated[
    DesamConfig
    | UNetConfig
    | UpperBoundConfig
    | AdvNoiseConfig
    | AdvBiasConfig
    | RandConvConfig
    | MixStyleConfig
    | MaxStyleConfig
    | CSDGConfig
    | MedSAMConfig,
    Field(discriminator="name"),
]
