"""Which layout a source has, told by its marker files."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from sweeper.data.layouts.abdominal import looks_like_abdominal, read_abdominal
from sweeper.data.layouts.csv import find_csv, read_csv
from sweeper.data.layouts.desam import looks_like_desam, read_desam
from sweeper.data.layouts.hints import hint
from sweeper.data.layouts.saml import (
    looks_like_maxstyle,
    looks_like_saml,
    read_maxstyle,
    read_saml,
)
from sweeper.data.layouts.source import MARKERS, Layout
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweeper.data.layouts.source import SourceDataset


def read_source(
    source: Path, layout: str = "auto", *, structures: Mapping[int, str] | None = None
) -> SourceDataset:
    """The cases of a source.

    Args:
        source: A folder, or a CSV file.
        layout: Its name, or `auto` to tell it by its marker files.
        structures: Label value -> name; only for the `csv`, `desam` and `abdominal` layouts.

    Raises:
        DataError: It does not exist, its layout is none that is known, or names of structures were
            given to a layout that has its own.
    """
    source = source.absolute()
    if not source.exists():
        raise DataError(f"{source} does not exist; name a folder or a CSV file with images")
    chosen = detect(source) if layout == "auto" else layout
    if chosen not in get_args(Layout):
        raise DataError(f"layout is {chosen!r}, expected auto, {', '.join(get_args(Layout))}")
    if not source.is_dir() and chosen != "csv":
        raise DataError(f"{source} is a file, layout {chosen} needs a folder; name the folder")
    if structures is not None and chosen not in ("csv", "desam", "abdominal"):
        raise DataError(f"layout {chosen} has its own structures; leave --structures out")
    if chosen == "csv":
        return read_csv(source, structures)
    if chosen == "desam":
        return read_desam(source, structures)
    if chosen == "abdominal":
        return read_abdominal(source, structures)
    return {"maxstyle": read_maxstyle, "saml": read_saml}[chosen](source)


def detect(source: Path) -> Layout:
    """The layout of a source.

    Raises:
        DataError: None fits, or several do.
    """
    if not source.is_dir():
        if source.is_file() and find_csv(source) is not None:
            return "csv"
        way = hint(source, _told) if source.is_file() else None
        way = way or "name a folder or a CSV file with images"
        raise DataError(f"{source} is no CSV file; {way}")
    found = _fitting(source)
    if len(found) > 1:
        raise DataError(
            f"{source} fits several layouts, {' and '.join(found)}; name one with --layout"
        )
    if found:
        return found[0]
    if find_csv(source) is not None:
        return "csv"
    looked = "; ".join(f"{name}: {marker}" for name, marker in MARKERS.items())
    way = hint(source, _told) or f"a layout is told by {looked}"
    raise DataError(f"{source} has no known layout; {way}")


def _fitting(folder: Path) -> list[Layout]:
    tests = {
        "desam": looks_like_desam,
        "maxstyle": looks_like_maxstyle,
        "abdominal": looks_like_abdominal,
        "saml": looks_like_saml,
    }
    return [name for name in MARKERS if name in tests and tests[name](folder)]


def _told(folder: Path) -> str | None:
    """Layout of a folder near the one that was named; None also where it may not be looked into."""
    try:
        return next(iter(_fitting(folder)), None)
    except OSError:
        return None
