"""The base of every config model: strictness, and the level of each field."""

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
    """What a config field changes: the training, only the evaluation, or nothing.

    A field without a level counts as `TRAINING`: at worst a training is repeated.
    """

    TRAINING = "training"
    EVALUATION = "evaluation"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class AddedLater:
    """Marks a field that was added after the first trainings: its default enters no identity."""


class Strict(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, validate_default=True)

    def at_level(self, level: Level) -> dict[str, Any]:
        """The nested values of the fields that act at `level`, ready for a canonical JSON.

        Unset values are left out, so that a new option changes no identity of trainings that do
        not use it.
        """
        values: dict[str, Any] = {}
        for name, declared, is_added_later in _levels(type(self)):
            value = getattr(self, name)
            if is_added_later and value == type(self).model_fields[name].default:
                continue
            if declared is None and isinstance(value, Strict):
                nested = value.at_level(level)
                if nested:
                    values[name] = nested
            elif (declared or Level.TRAINING) is level and value not in (None, ()):
                values[name] = _plain(value)
        return values


class MethodConfigBase(Strict):
    """What the plan needs to know about any method's config."""

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
        """True if the method trains on embeddings, which then enter the training's identity."""
        return False

    def own_checkpoint(self) -> Path | None:
        """File of weights that the method starts from instead of SAM's, or None."""
        return None

    def cross_validation(
        self, source: str, domains: tuple[str, ...]
    ) -> tuple[tuple[str, int], ...] | None:
        """The (training domain, fold) pairs of a cell, or None for a single training.

        Args:
            source: The cell's source domain.
            domains: All domains of the dataset; the training domain `all` means all of them.
        """
        return None

    def training_defaults(self) -> Mapping[str, Any]:
        """Defaults for `training` from the method's own recipe; the YAML overrides them."""
        return {}

    def module(self) -> str:
        """The module with the method's code, for the version of the training code."""
        return f"desam_model.comparisons.{self.key()}"

    def label(self) -> str:
        """Short human name, such as `desam full`."""
        return self.key()


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A registered method; its options say where its code is and how it is built.

    Attributes:
        config: The class of its options.
    """

    config: type[MethodConfigBase]

    @property
    def name(self) -> str:
        """The method's `name:` in a search space."""
        return self.config.key()


@cache
def _levels(model: type[BaseModel]) -> tuple[tuple[str, Level | None, bool], ...]:
    """(name, declared level, is added later) of a model's fields; cached, as each cell needs it."""
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
