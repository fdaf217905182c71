"""Guesses what the user meant by a source without a known layout."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from sweeper.data.dicom import is_dicom
from sweeper.data.layouts.abdominal import MODALITIES, looks_like_one_modality
from sweeper.data.layouts.csv import looks_like_table
from sweeper.data.layouts.saml import SITE_CHECKS
from sweeper.data.volume import SUFFIXES, VOLUME_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_MAX_FILES = 50
_OTHER_LABEL = re.compile(r"(?P<stem>.+?)[-_ .](seg|mask|label|gt|roi)s?\.", re.IGNORECASE)


def hint(source: Path, layout_of: Callable[[Path], str | None]) -> str | None:
    """One sentence that says what to do, or None.

    Args:
        source: A folder, or a file that is not a CSV file.
        layout_of: Returns the name of a folder's layout, or None.
    """
    if source.is_file():
        if suffix_of(source) in VOLUME_SUFFIXES:
            return "it is a single volume; name the folder that contains all sites"
        if source.suffix.lower() in ARCHIVES:
            return "it is an archive; unpack it and name the folder"
        return None
    subfolders = [f for f in sorted(source.iterdir()) if f.is_dir() and not _is_hidden(f)]
    for folder in subfolders:
        layout = layout_of(folder)
        if layout is not None:
            return f"its folder {folder.name} looks like layout {layout}; name {folder}"
    parent_layout = layout_of(source.parent)
    if parent_layout is not None and _is_site(source, parent_layout):
        return f"it is one site of layout {parent_layout}; name {source.parent}"
    if looks_like_one_modality(source):
        return (
            "it looks like one modality of layout abdominal; rename the folder to CT (BTCV) or MR"
            " (CHAOS) and name its parent folder"
        )
    tables = [file for file in source.glob("*.csv") if looks_like_table(file)]
    if len(tables) > 1:
        return f"it contains {len(tables)} CSV files with cases; name one of them"
    if not any(source.iterdir()):
        return "it is empty"
    if any(is_dicom(file) for file in _first_files(source)):
        return f"it contains DICOM files; {propose(source)}"
    different = _nearest(source, subfolders)
    return f"the nearest is {different}; {propose(source)}" if different else None


def propose(source: Path) -> str:
    """How to get a table for a folder without a layout."""
    return (
        "a table of its images and labels is proposed by: sweeper data table"
        f" {shlex.quote(str(source))} --to cases.csv"
    )


def _nearest(source: Path, subfolders: Sequence[Path]) -> str | None:
    """The layout that a folder almost has, and what differs; None if there is none."""
    names = {folder.name.lower(): folder.name for folder in subfolders}
    for one, other in (("imagesTr", "labelsTr"), ("labelsTr", "imagesTr")):
        if one.lower() in names and other.lower() not in names:
            return f"layout desam, but there is no {other} beside {one}"
    images = next((names[n] for n in ("images", "image", "img") if n in names), None)
    labels = next((names[n] for n in ("labels", "label", "masks", "mask", "gt") if n in names), "")
    if images and labels:
        return f"layout desam, but its folders are {images} and {labels}, not imagesTr and labelsTr"
    for folder in (*subfolders, source):
        label = next((f for f in sorted(folder.iterdir()) if _OTHER_LABEL.match(f.name)), None)
        if label is not None and suffix_of(label) in SUFFIXES:
            case = _OTHER_LABEL.match(label.name)
            expected = f"{case['stem'] if case else 'CaseNN'}_segmentation{suffix_of(label)}"
            where = "" if folder != source else ", in a folder per site"
            return f"layout saml, but {label.name} is not named {expected}{where}"
    for folder in subfolders:
        if folder.name.lower() in MODALITIES:
            return (
                f"layout abdominal, but {folder.name} has no img0001.nii.gz or image_1.nii.gz with"
                " its label"
            )
    return None


def _is_site(folder: Path, layout: str) -> bool:
    """True if the folder has the files of one site of the layout, not only a site as neighbour."""
    if layout == "abdominal":
        return folder.name.lower() in MODALITIES and looks_like_one_modality(folder)
    return SITE_CHECKS[layout](folder) if layout in SITE_CHECKS else False


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _first_files(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [file for file, _ in zip(files, range(_MAX_FILES), strict=False)]
