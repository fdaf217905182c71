"""Guards patient data: finds header fields and paths that may identify a person; salts ids."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sweeper.data.faults import relative

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.data.layouts.source import SourceCase
    from sweeper.data.volume import Volume

HARMLESS = re.compile(
    r"^(|unspecified|none|na|n/a|(te|tr|time|phase|[\d.;:=+e\s-])*"
    r"|(fsl|spm|ants|itk|simpleitk|nibabel|nifti|nifti1|dcm2niix?)[\w .;:-]*)$",
    re.IGNORECASE,
)
"""Header texts that name a tool or an echo time, not a person."""

HARMLESS_FIELD = re.compile(r"ITK_.*|NRRD_.*|Modality|Software")
"""Fields that ITK sets itself in every NRRD, MetaImage, PNG and TIFF file."""

SUSPICIOUS_PATH = re.compile(
    r"(?:19|20)\d\d[-_]?(?:0[1-9]|1[0-2])[-_]?(?:0[1-9]|[12]\d|3[01])(?!\d)|\d{7,}"
    r"|[A-Z][a-z]+[\^,][ _]?[A-Z][a-z]+"
)
"""Dates, long numbers and `Name^Given` in a file name."""


def header_texts(
    case: SourceCase, root: Path, image: Volume | None, label: Volume | None
) -> tuple[str, ...]:
    """`file: field: text` for each header text and name of a case that may identify a person."""
    texts = []
    more = [(path, None) for path in case.more_images]
    for path, volume in ((case.image, image), *more, (case.label, label)):
        where = relative(path, root)
        if volume is not None:
            texts += [
                f"{where}: {field}: {text!r}"
                for field, text in volume.headers.items()
                if not HARMLESS.match(text.strip()) and not HARMLESS_FIELD.fullmatch(field)
            ]
        if SUSPICIOUS_PATH.search(where):
            texts.append(f"{where}: path: looks like a date, a record number or a name")
    return tuple(texts)


def salted(text: str, salt: str) -> str:
    """12 hex digits that reveal nothing about `text` without the salt."""
    return hashlib.sha256(f"{salt}\0{text}".encode()).hexdigest()[:12]
