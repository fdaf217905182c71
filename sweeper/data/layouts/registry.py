"""Every layout: what tells it, what reads it. One entry per layout, and those of other packages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from desam_model.plugins import registry
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
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sweeper.data.layouts.source import SourceDataset

PLUGINS = "sweeper.layouts"
"""Entry point group in which other packages name a `Layout` of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way in which a dataset lies on disk.

    Attributes:
        name: Key in options and stores.
        marker: What it is told by, in words.
        fits: True for a folder with that marker; it reads names only, no voxels.
        read: The cases of a source; gets the user's structures (label value -> name) or None.
        names_structures: True if the user may name the structures.
        is_file: True if the source may be a file instead of a folder.
        is_last_resort: True if it is tried only where no other layout fits.
        has_prostate_sites: True if a domain must be one of the six prostate sites, else it is a
            warning.
    """

    name: str
    marker: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, Mapping[int, str] | None], SourceDataset]
    names_structures: bool = False
    is_file: bool = False
    is_last_resort: bool = False
    has_prostate_sites: bool = False


_OWN = (
    Layout(
        name="desam",
        marker="imagesTr/CASE_0000.nii.gz with labelsTr/",
        fits=looks_like_desam,
        read=read_desam,
        has_prostate_sites=True,
        names_structures=True,
    ),
    Layout(
        name="maxstyle",
        marker="SITE/patient_N/t2_img_clipped.nii.gz",
        fits=looks_like_maxstyle,
        read=lambda source, _: read_maxstyle(source),
        has_prostate_sites=True,
    ),
    Layout(
        name="saml",
        marker="SITE/CaseNN_segmentation.nii.gz",
        fits=looks_like_saml,
        read=lambda source, _: read_saml(source),
        has_prostate_sites=True,
    ),
    Layout(
        name="abdominal",
        marker="CT/ or MR/ with img0001.nii.gz or image_1.nii.gz",
        fits=looks_like_abdominal,
        read=read_abdominal,
        names_structures=True,
    ),
    Layout(
        name="csv",
        marker="one CSV file",
        fits=lambda source: find_csv(source) is not None,
        read=read_csv,
        names_structures=True,
        is_file=True,
        is_last_resort=True,
    ),
)


@cache
def layouts() -> Mapping[str, Layout]:
    """Every layout by name.

    Raises:
        PluginError: Another package's cannot be used.
    """
    return registry(PLUGINS, _OWN, Layout)


def read_source(
    source: Path, layout: str = "auto", *, structures: Mapping[int, str] | None = None
) -> SourceDataset:
    """The cases of a source.

    Args:
        source: A folder, or a file where the layout takes one.
        layout: Its name, or `auto` to tell it by its marker.
        structures: Label value -> name; only for layouts that let the user name them.

    Raises:
        DataError: It does not exist, its layout is none that is known, or names of structures were
            given to a layout that has its own.
    """
    source = source.absolute()
    if not source.exists():
        raise DataError(f"{source} does not exist; name a folder or a CSV file with images")
    chosen = detect(source) if layout == "auto" else layouts().get(layout)
    if chosen is None:
        raise DataError(f"layout is {layout!r}, expected auto, {', '.join(layouts())}")
    if not source.is_dir() and not chosen.is_file:
        raise DataError(f"{source} is a file, layout {chosen.name} needs a folder; name the folder")
    if structures is not None and not chosen.names_structures:
        raise DataError(f"layout {chosen.name} has its own structures; leave --structures out")
    return chosen.read(source, structures)


def detect(source: Path) -> Layout:
    """The layout of a source.

    Raises:
        DataError: None fits, or several do.
    """
    if not source.is_dir():
        for layout in layouts().values():
            if layout.is_file and source.is_file() and layout.fits(source):
                return layout
        way = hint(source, _told) if source.is_file() else None
        way = way or "name a folder or a CSV file with images"
        raise DataError(f"{source} is no CSV file; {way}")
    found = _fitting(source)
    if len(found) > 1:
        names = " and ".join(layout.name for layout in found)
        raise DataError(f"{source} fits several layouts, {names}; name one with --layout")
    if found:
        return found[0]
    for layout in layouts().values():
        if layout.is_last_resort and layout.fits(source):
            return layout
    looked = "; ".join(f"{layout.name}: {layout.marker}" for layout in layouts().values())
    way = hint(source, _told) or f"a layout is told by {looked}"
    raise DataError(f"{source} has no known layout; {way}")


def _fitting(folder: Path) -> list[Layout]:
    return [one for one in layouts().values() if not one.is_last_resort and one.fits(folder)]


def _told(folder: Path) -> str | None:
    """Layout of a folder near the one that was named; None also where it may not be looked into."""
    try:
        return next((layout.name for layout in _fitting(folder)), None)
    except OSError:
        return None
