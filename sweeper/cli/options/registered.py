"""Options whose choices come from a registry, which is read only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Registered(click.ParamType[str]):
    """One of the names from `names()`; importing the command does not import the registry."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]], *first: str) -> None:
        """An option type.

        Args:
            names: Returns the names in the registry.
            *first: Additional names, listed before those of the registry, such as `auto`.
        """
        self._names, self._first = names, first

    @property
    def choices(self) -> list[str]:
        """All names, in order."""
        return [*self._first, *self._names()]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value if it is one of the names; otherwise click's usual error lists all names."""
        allowed = self.choices
        if value not in allowed:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, allowed))}.", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """All names, in click's notation for choices."""
        return f"[{'|'.join(self.choices)}]"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with what was typed."""
        return [CompletionItem(name) for name in self.choices if name.startswith(incomplete)]


def layouts() -> Iterable[str]:
    """Names of the dataset layouts."""
    from sweeper.data.layouts.registry import layouts as registered

    return registered()


def encoders() -> Iterable[str]:
    """Names of the image encoders."""
    from desam_model.encoder.registry import encoders as registered

    return registered()


def downloadable_encoders() -> Iterable[str]:
    """Names of the encoders whose checkpoint is served at an address."""
    from desam_model.encoder.registry import encoders as registered

    return [
        name
        for name, entry in registered().items()
        if entry.weights is not None and entry.weights.url is not None
    ]


def precisions() -> Iterable[str]:
    """Names of the precisions of stored embeddings."""
    from desam_model.encoder.precision import PRECISIONS

    return PRECISIONS
