"""Which layout a source has, told by its marker files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from sweeper.data.layout_abdominal import looks_like_abdominal, read_abdominal
from sweeper.data.layout_csv import find_csv, read_csv
from sweeper.data.layout_desam import looks_like_desam, read_desam
from sweeper.data.layout_saml import (
    looks_like_maxstyle,
    looks_like_saml,
    read_maxstyle,
    read_saml,
)
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweeper.data.source import SourceDataset

Layout = Literal["desam", "maxstyle", "saml", "abdominal", "csv"]

MARKERS: Mapping[Layout, str] = {
    "desam": "imagesTr/CASE_0000.nii.gz with labelsTr/",
    "maxstyle": "SITE/patient_N/t2_img_clipped.nii.gz",
    "saml": "SITE/CaseNN_segmentation.nii.gz",
    "abdominal": "CT/ or MR/ with img0001.nii.gz or image_1.nii.gz",
    "csv": "one CSV file",
}


def read_source(
    source: Path, layout: str = "auto", *, structures: Mapping[int, str] | None = None
) -> SourceDataset:
    """The cases of a source.

    Args:
        source: A folder, or a CSV file.
        layout: Its name, or `auto` to tell it by its marker files.
        structures: Label value -> name; only for the `csv` and `desam` layouts.

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
    if source.is_file() and chosen != "csv":
        raise DataError(f"{source} is a file, layout {chosen} needs a folder; name the folder")
    if structures is not None and chosen not in ("csv", "desam"):
        raise DataError(f"layout {chosen} has its own structures; leave --structures out")
    if chosen == "csv":
        return read_csv(source, structures)
    if chosen == "desam":
        return read_desam(source, structures)
    return {"maxstyle": read_maxstyle, "saml": read_saml, "abdominal": read_abdominal}[chosen](
        source
    )


def detect(source: Path) -> Layout:
    """The layout of a source.

    Raises:
        DataError: None fits, or several do.
    """
    if source.is_file():
        if find_csv(source) is None:
            raise DataError(f"{source} is no CSV file; name a folder or a CSV file with images")
        return "csv"
    tests = {
        "desam": looks_like_desam,
        "maxstyle": looks_like_maxstyle,
        "abdominal": looks_like_abdominal,
        "saml": looks_like_saml,
    }
    found: list[Layout] = [name for name in MARKERS if name in tests and tests[name](source)]
    if len(found) > 1:
        raise DataError(
            f"{source} fits several layouts, {' and '.join(found)}; name one with --layout"
        )
    if found:
        return found[0]
    if find_csv(source) is not None:
        return "csv"
    looked = "; ".join(f"{name}: {marker}" for name, marker in MARKERS.items())
    raise DataError(f"{source} has no known layout ({looked}); name one with --layout")
