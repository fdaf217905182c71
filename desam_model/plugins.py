"""Entries that other installed packages add to a registry, through Python's entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Named(Protocol):
    """What every entry of a registry has."""

    @property
    def name(self) -> str:
        """Its key in configs, files and options."""


Entry = TypeVar("Entry", bound=Named)


class PluginError(ValueError):
    """An entry of another package cannot be used."""


def registry(group: str, own: Iterable[Entry], kind: type[Entry]) -> Mapping[str, Entry]:
    """Our own entries by name, in their order, then those of other packages by name.

    Args:
        group: Entry point group, such as `sweeper.layouts`.
        own: Our entries.
        kind: What an entry must be an instance of.

    Raises:
        PluginError: Another package's entry cannot be loaded, is something else, or its name is
            taken.
    """
    found = {entry.name: entry for entry in own}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        whose = f"{group} entry {point.name!r} ({point.value})"
        try:
            entry = point.load()
        except (ImportError, AttributeError) as err:
            raise PluginError(f"{whose} cannot be loaded: {err}") from err
        if not isinstance(entry, kind) or entry.name != point.name:
            raise PluginError(f"{whose} must be a {kind.__name__} with that name")
        if entry.name in found:
            raise PluginError(
                f"{whose}: the name is taken; rename the entry point or uninstall its package"
            )
        found[entry.name] = entry
    return MappingProxyType(found)
