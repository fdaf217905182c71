"""Registries that other installed packages can extend through Python entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Named(Protocol):
    """An entry of a registry: it has a name."""

    @property
    def name(self) -> str:
        """The key in configs, files and options."""


Entry = TypeVar("Entry", bound=Named)


class PluginError(ValueError):
    """An entry point of another package cannot be used."""


def registry(group: str, built_in: Iterable[Entry], kind: type[Entry]) -> Mapping[str, Entry]:
    """The built-in entries in their given order, then those of other packages sorted by name.

    Args:
        group: Entry point group, such as `sweeper.layouts`.
        built_in: The entries of this package.
        kind: The type that every entry must have.

    Raises:
        PluginError: An entry point of another package cannot be loaded, has the wrong type or
            name, or uses a name that is already taken.
    """
    entries = {entry.name: entry for entry in built_in}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        label = f"{group} entry {point.name!r} ({point.value})"
        try:
            entry = point.load()
        except (ImportError, AttributeError) as err:
            raise PluginError(f"{label} cannot be loaded: {err}") from err
        if not isinstance(entry, kind) or entry.name != point.name:
            raise PluginError(f"{label} must be a {kind.__name__} with that name")
        if entry.name in entries:
            raise PluginError(
                f"{label}: the name is already taken; rename the entry point or uninstall its"
                " package"
            )
        entries[entry.name] = entry
    return MappingProxyType(entries)
