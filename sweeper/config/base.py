"""What every config model shares: strictness, and the level at which a field acts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Level(StrEnum):
    """What a field of a config changes.

    A field that declares none counts as `TRAINING`: at worst something is trained again.
    """

    TRAINING = "training"
    EVALUATION = "evaluation"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class AddedLater:
    """Marks a field that came after the first trainings: at its default it enters no identity."""


class Strict(BaseModel):
    """A model that is frozen and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, validate_default=True)

    def at_level(self, level: Level) -> dict[str, Any]:
        """The nested values of the fields that act at `level`, ready for a canonical JSON.

        What is not set is left out, so that an option added later changes no identity of trainings
        that do not use it.
        """
        values: dict[str, Any] = {}
        for name, own, silent in _levels(type(self)):
            value = getattr(self, name)
            if silent and value == type(self).model_fields[name].default:
                continue
            if own is None and isinstance(value, Strict):
                nested = value.at_level(level)
                if nested:
                    values[name] = nested
            elif (own or Level.TRAINING) is level and value not in (None, ()):
                values[name] = _plain(value)
        return values


class MethodConfigBase(Strict):
    """What the plan must know of any method's config."""

    @classmethod
    def key(cls) -> str:
        """The method's `name:` in a search space."""
        return str(cls.model_fields["name"].default)

    def uses_prompt_grid(self) -> bool:
        """True if the evaluation's grid size can change a prediction."""
        return False

    def rates_prompts(self) -> bool:
        """True if the evaluation's IoU threshold can change a prediction."""
        return False

    def reads_embeddings(self) -> bool:
        """True if the method trains on the encoder's embeddings, which then enter its identity."""
        return False

    def own_checkpoint(self) -> Path | None:
        """A file of weights that the method starts from instead of SAM's; None for none."""
        return None

    def cross_validation(
        self, source: str, domains: tuple[str, ...]
    ) -> tuple[tuple[str, int], ...] | None:
        """The (training domain, fold) pairs that fill a cell, or None for one plain training.

        Args:
            source: The cell's source domain.
            domains: All domains of the dataset; `all` as training domain means all of them.
        """
        return None

    def training_defaults(self) -> Mapping[str, Any]:
        """Settings of `training` that the method's own recipe sets where the YAML does not."""
        return {}

    def module(self) -> str:
        """The module that holds the method's code, for the training-code version."""
        return f"desam_model.comparisons.{self.key()}"

    def label(self) -> str:
        """Short human name, such as `desam full`."""
        return self.key()


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A row of a table: its options, which say where its code is and how it is built.

    Attributes:
        config: Its options.
    """

    config: type[MethodConfigBase]

    @property
    def name(self) -> str:
        """Its `name:` in a search space."""
        return self.config.key()


@cache
def _levels(model: type[BaseModel]) -> tuple[tuple[str, Level | None, bool], ...]:
    """A model's fields, the level each declares, and if it was added later; asked once a cell."""
    return tuple(
        (
            name,
            next((m for m in field.metadata if isinstance(m, Level)), None),
            any(isinstance(m, AddedLater) for m in field.metadata),
        )
        for name, field in model.model_fields.items()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
