"""JSON records in the workspace: written atomically, with a checksum that is checked when read."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError
from sweeper.sealed import seal, unseal

if TYPE_CHECKING:
    from pathlib import Path


_PLAIN = "values"


def write_json(path: Path, values: Any) -> None:
    """Write the values as a JSON file, replaced atomically so that no reader sees half of it.

    The file gets a checksum, which `read_json` checks and removes; a list is written as `values`
    of an object. Several threads, and processes of several machines, may write the same file: the
    last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    text = seal(values if isinstance(values, dict) and values else {_PLAIN: values})
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:  # a full disk: leave no partial file behind
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """The values in a JSON file, or None if the file does not exist.

    Raises:
        StoreError: The file is damaged, or was changed after sweeper wrote it.
    """
    try:
        values = unseal(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as err:
        raise StoreError(
            f"{path}: damaged ({err}); 'sweeper doctor --repair' moves it aside, then run the sweep"
            " again"
        ) from err
    is_wrapped = isinstance(values, dict) and list(values) == [_PLAIN]
    return values[_PLAIN] if is_wrapped else values
