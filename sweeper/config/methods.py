"""Every method's options; a trial's `method:` is one of these, told apart by `name`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, TypeAlias, Union

from pydantic import Field

from desam_model.plugins import registry
from sweeper.config.base import Method, MethodConfigBase
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

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGINS = "sweeper.methods"
"""Entry point group in which other packages name a `Method` of theirs."""


_OWN = tuple(
    Method(config=config)
    for config in (
        DesamConfig,
        UNetConfig,
        UpperBoundConfig,
        AdvNoiseConfig,
        AdvBiasConfig,
        RandConvConfig,
        MixStyleConfig,
        MaxStyleConfig,
        CSDGConfig,
        MedSAMConfig,
    )
)


@cache
def methods() -> Mapping[str, Method]:
    """Every method by name: ours, then those of other packages.

    Raises:
        PluginError: Another package's cannot be used.
    """
    return registry(PLUGINS, _OWN, Method)


if TYPE_CHECKING:
    MethodConfig: TypeAlias = MethodConfigBase
else:  # pydantic chooses by `name`, and the schema lists every method's options
    MethodConfig = Annotated[
        Union[tuple(method.config for method in methods().values())],  # noqa: UP007
        Field(discriminator="name"),
    ]
