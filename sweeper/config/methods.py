"""The options of every method; the `name` in a trial's `method:` selects one of them."""

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
"""Entry point group in which other packages register a `Method`."""


_BUILT_IN = tuple(
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
    """All methods by name: the built-in ones, then those of other packages.

    Raises:
        PluginError: A method of another package cannot be used.
    """
    return registry(PLUGINS, _BUILT_IN, Method)


if TYPE_CHECKING:
    MethodConfig: TypeAlias = MethodConfigBase
else:  # pydantic selects by `name`, and the schema lists the options of every method
    MethodConfig = Annotated[
        Union[tuple(method.config for method in methods().values())],  # noqa: UP007
        Field(discriminator="name"),
    ]
