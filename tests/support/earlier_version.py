"""Stores as an earlier version wrote them: without a checksum of their description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def edit(store: Path, *without: str, **changes: Any) -> None:
    """Change the attributes of a dataset store; an embedding store's manifest likewise."""
    file = store / "zarr.json"
    meta = json.loads(file.read_text())
    attributes = meta["attributes"]
    values = attributes.get("sweeper_embeddings", attributes)
    values.pop("checksum", None)
    for name in without:
        del values[name]
    values |= changes
    file.write_text(json.dumps(meta))
