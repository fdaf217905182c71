"""What a person most likely meant who named a source that has no known layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.data.layouts.abdominal import looks_like_one_modality
from sweeper.data.volume import ITK_SUFFIXES, NIFTI_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_FILES_LOOKED_AT = 50


def hint(source: Path, tell: Callable[[Path], str | None]) -> str | None:
    """One sentence with the way out, or None.

    Args:
        source: A folder, or a file that is no CSV.
        tell: Name of the layout of a folder, or None.
    """
    if source.is_file():
        if suffix_of(source) in NIFTI_SUFFIXES + ITK_SUFFIXES:
            return "it is one volume; name the folder that holds all sites"
        if source.suffix.lower() in ARCHIVES:
            return "it is an archive; unpack it and name the folder"
        return None
    below = [(f, tell(f)) for f in sorted(source.iterdir()) if f.is_dir() and not _is_hidden(f)]
    fitting = [(folder.name, layout) for folder, layout in below if layout is not None]
    if fitting:
        name, layout = fitting[0]
        return f"{name} in it looks like layout {layout}; name {source / name}"
    above = tell(source.parent)
    if above in ("saml", "maxstyle", "abdominal"):
        return f"it is one site of layout {above}; name {source.parent}"
    if looks_like_one_modality(source):
        return (
            "it looks like one modality of layout abdominal; call its folder CT (BTCV) or MR"
            " (CHAOS) and name the folder above"
        )
    if any(_is_dicom(file) for file in _first_files(source)):
        return "it holds DICOM files; make NIfTI of them first (dcm2niix)"
    n_csv = sum(1 for file in source.glob("*.csv"))
    if n_csv > 1:
        return f"it holds {n_csv} CSV files; name one of them"
    if not any(source.iterdir()):
        return "it is empty"
    return None


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _first_files(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [file for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False)]


def _is_dicom(file: Path) -> bool:
    """True for the suffix, or the four letters that follow DICOM's preamble of 128 bytes."""
    if file.suffix.lower() in (".dcm", ".ima"):
        return True
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"
