"""What a dataset store says of itself, read without opening its arrays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "sweeper-dataset"
VERSION = 1


def read_attributes(path: Path) -> Mapping[str, Any]:
    """The attributes of the finished dataset store at `path`.

    Raises:
        StoreError: There is none, it is no dataset store, of another version, or incomplete.
    """
    file = path / "zarr.json"
    if not file.is_file():
        raise StoreError(
            f"{path} is no dataset store; make one with `sweeper data import SOURCE --name"
            f" {path.name.removesuffix('.zarr') or 'NAME'}`"
        )
    try:
        attributes = json.loads(file.read_text())["attributes"]
    except (ValueError, KeyError) as err:
        raise StoreError(f"{file} cannot be read ({err}); import the dataset again") from err
    if attributes.get("format") != FORMAT:
        raise StoreError(f"{path} is a Zarr store, but not a dataset store; name another")
    if not attributes.get("complete"):
        raise StoreError(f"dataset store {path} is incomplete; import it again to finish it")
    if attributes.get("version") != VERSION:
        raise StoreError(
            f"dataset store {path} has format version {attributes.get('version')}, this sweeper"
            f" reads {VERSION}; import the dataset again"
        )
    found: Mapping[str, Any] = attributes
    return found
