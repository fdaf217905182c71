"""Reads which voxel files and axes a header states (MetaImage, NRRD, `.hdr`); orders files.

Source: MetaIO's `ElementDataFile` and Teem's `data file` (sources.md S91).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

META_SUFFIXES = (".mha", ".mhd")
NRRD_SUFFIXES = (".nrrd", ".nhdr")
PAIR_SUFFIX = ".hdr"
"""Header of Analyze 7.5, or of NIfTI in two files; the voxels are in the `.img` beside it."""

_MAX_HEADER_BYTES = 1 << 20
"""No header is longer; a binary file without a header's end is not read further."""

_META_FIELD = re.compile(rb"^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)
_NRRD_FIELD = re.compile(rb"^([\w ]+?)[ \t]*:[= \t]?[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)
_NUMBERED = re.compile(r"%0?\d*d")


class VolumeError(ValueError):
    """A file is not a volume; the message says why, without the file's name.

    Attributes:
        problem: What is wrong.
        remedy: How to fix it, if that is more than replacing the file; else empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts `Case2` before `Case10`."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part.lower())
        for part in re.split(r"(\d+)", text)
        if part
    )


def header_fields(path: Path) -> dict[str, str]:
    """The fields of a MetaImage's or NRRD's header, by name in lower case without spaces.

    The field that names the voxel files, `elementdatafile` or `datafile`, also has the lines that
    follow it, as a list of files. Other suffixes have no fields.

    Raises:
        OSError: The file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix not in META_SUFFIXES + NRRD_SUFFIXES:
        return {}
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER_BYTES)
    if suffix in META_SUFFIXES:
        return _fields(head, _META_FIELD, last="elementdatafile")
    end = re.search(rb"\r?\n\r?\n", head)  # an empty line ends the header
    return _fields(head[: end.start()] if end else head, _NRRD_FIELD, last="datafile")


def voxel_files(path: Path) -> tuple[Path, ...]:
    """The other files that the voxels of `path` are read from, in order; empty if it has all.

    The files may be missing.

    Raises:
        OSError: The header cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix == PAIR_SUFFIX:
        return (_image_beside(path),)
    fields = header_fields(path)
    named = fields.get("elementdatafile" if suffix in META_SUFFIXES else "datafile", "")
    first, *lines = [line.strip() for line in named.split("\n")]
    if not first or first.upper() == "LOCAL":
        return ()
    if first.upper().split()[0] == "LIST":
        return tuple(path.parent / line for line in lines if line)
    return tuple(path.parent / name for name in _numbered(first))


_AXES = {
    **dict.fromkeys(META_SUFFIXES, ("transformmatrix", "rotation", "orientation")),
    **dict.fromkeys(NRRD_SUFFIXES, ("space",)),
}
"""Fields of which a header must have one; without them ITK assumes its own axes."""


def states_axes(path: Path) -> bool:
    """False if a MetaImage or NRRD has no field for its axes in the patient's frame.

    Raises:
        OSError: The file cannot be opened.
    """
    wanted = _AXES.get(path.suffix.lower())
    return wanted is None or bool(header_fields(path).keys() & set(wanted))


def _image_beside(header: Path) -> Path:
    """The `.img` of a `.hdr`, in the spelling that exists."""
    names = (header.with_suffix(suffix) for suffix in (".img", ".IMG", ".Img"))
    return next((file for file in names if file.exists()), header.with_suffix(".img"))


def _fields(head: bytes, pattern: re.Pattern[bytes], last: str) -> dict[str, str]:
    """Name -> text; the field `last` ends a header and keeps the lines after it if it is a list."""
    fields: dict[str, str] = {}
    for match in pattern.finditer(head):
        name = match[1].decode("latin-1").lower().replace(" ", "")
        fields[name] = match[2].decode("latin-1")
        if name == last:
            if fields[name].upper().startswith("LIST"):
                rest = head[match.end() :].decode("latin-1")
                fields[name] += "\n" + "\n".join(line for line in rest.splitlines() if line.strip())
            break
    return fields


def _numbered(name: str) -> list[str]:
    """`slice%03d.raw 1 10 1` as its ten names; a name without a number format is itself."""
    parts = name.split()
    digits = _NUMBERED.search(parts[0]) if len(parts) >= 4 else None
    if digits is None:
        return [name]
    try:
        first, last, step = (int(part) for part in parts[1:4])
    except ValueError:
        return [name]
    if step == 0 or abs(last - first) // abs(step) > 100_000:
        return [name]
    stop = last + (1 if step > 0 else -1)
    return [parts[0].replace(digits[0], digits[0] % n) for n in range(first, stop, step)]
