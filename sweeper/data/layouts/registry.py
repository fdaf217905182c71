"""The registry of layouts: how each is recognised and read; also those of other packages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from desam_model.plugins import registry
from sweeper.data.layouts.abdominal import looks_like_abdominal, read_abdominal
from sweeper.data.layouts.channels import select_channels
from sweeper.data.layouts.csv import looks_like_csv, read_csv
from sweeper.data.layouts.desam import looks_like_desam, read_desam
from sweeper.data.layouts.hints import hint, propose
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
"""Entry point group in which other packages register a `Layout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One arrangement of a dataset's files on disk.

    Attributes:
        name: Name in options and stores.
        marker: Description of the files by which it is recognised.
        fits: True for a folder with these files; it looks only at names, not at voxels.
        read: Returns the cases of a source; takes the user's structures (label value -> name) or
            None.
        names_structures: True if the user may name the structures.
        is_file: True if the source may be a file instead of a folder.
        is_last_resort: True if it is tried only if no other layout fits.
        has_prostate_sites: True if a domain that is not one of the six prostate sites gets a
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


_BUILT_IN = (
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
        read=read_maxstyle,
        has_prostate_sites=True,
        names_structures=True,
    ),
    Layout(
        name="saml",
        marker="SITE/CaseNN_segmentation.nii.gz",
        fits=looks_like_saml,
        read=read_saml,
        has_prostate_sites=True,
        names_structures=True,
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
        fits=looks_like_csv,
        read=read_csv,
        names_structures=True,
        is_file=True,
        is_last_resort=True,
    ),
)


@cache
def layouts() -> Mapping[str, Layout]:
    """All layouts by name: the built-in ones, then those of other packages.

    Raises:
        PluginError: A layout of another package cannot be used.
    """
    return registry(PLUGINS, _BUILT_IN, Layout)


def read_source(
    source: Path,
    layout: str = "auto",
    *,
    structures: Mapping[int, str] | None = None,
    channel: str | None = None,
) -> SourceDataset:
    """The cases of a source.

    Args:
        source: A folder, or a file if the layout accepts one.
        layout: The layout's name, or `auto` to recognise it by its marker.
        structures: Label value -> name; only for layouts that let the user name them.
        channel: Number or name of the channel of images with several, or more than one with commas;
            None for the layout's choice.

    Raises:
        DataError: The source does not exist, its layout or channel is unknown, or structures were
            named for a layout with fixed structures.
    """
    source = source.absolute()
    if not source.exists():
        raise DataError(f"{source} does not exist; name a folder or a CSV file with images")
    chosen = detect(source) if layout == "auto" else layouts().get(layout)
    if chosen is None:
        raise DataError(f"layout is {layout!r}, expected auto, {', '.join(layouts())}")
    if not source.is_dir() and not chosen.is_file:
        raise DataError(
            f"{source} is a file; layout {chosen.name} needs a folder, so name the folder"
        )
    if structures is not None and not chosen.names_structures:
        raise DataError(f"layout {chosen.name} has fixed structures; remove --structures")
    dataset = chosen.read(source, structures)
    return dataset if channel is None else select_channels(dataset, channel)


def detect(source: Path) -> Layout:
    """The layout of a source.

    Raises:
        DataError: None fits, or several do.
    """
    if not source.is_dir():
        for layout in layouts().values():
            if layout.is_file and source.is_file() and layout.fits(source):
                return layout
        advice = hint(source, _layout_name) if source.is_file() else None
        advice = advice or "name a folder or a CSV file with images"
        raise DataError(f"{source} is not a CSV file; {advice}")
    fitting = _fitting(source)
    if len(fitting) > 1:
        names = " and ".join(layout.name for layout in fitting)
        raise DataError(f"{source} fits several layouts, {names}; name one with --layout")
    if fitting:
        return fitting[0]
    for layout in layouts().values():
        if layout.is_last_resort and layout.fits(source):
            return layout
    markers = "; ".join(f"{layout.name}: {layout.marker}" for layout in layouts().values())
    advice = (
        hint(source, _layout_name)
        or f"a layout is recognised by {markers}; for other folders {propose(source)}"
    )
    raise DataError(f"{source} has no known layout; {advice}")


def _fitting(folder: Path) -> list[Layout]:
    return [lay for lay in layouts().values() if not lay.is_last_resort and lay.fits(folder)]


def _layout_name(folder: Path) -> str | None:
    """Name of a folder's layout; None if there is none or the folder cannot be read."""
    try:
        return next((layout.name for layout in _fitting(folder)), None)
    except OSError:
        return None
