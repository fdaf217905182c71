"""Guesses what the user meant by a source without a known layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.data.layouts.abdominal import MODALITIES, looks_like_one_modality
from sweeper.data.layouts.saml import SITE_CHECKS
from sweeper.data.volume import VOLUME_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_MAX_FILES = 50


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
    if any(_is_dicom(file) for file in _first_files(source)):
        return "it contains DICOM files; convert them to NIfTI first (dcm2niix)"
    n_csv = sum(1 for file in source.glob("*.csv"))
    if n_csv > 1:
        return f"it contains {n_csv} CSV files; name one of them"
    if not any(source.iterdir()):
        return "it is empty"
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


def _is_dicom(file: Path) -> bool:
    """True for a DICOM suffix, or the four letters after DICOM's preamble of 128 bytes."""
    if file.suffix.lower() in (".dcm", ".ima"):
        return True
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"
