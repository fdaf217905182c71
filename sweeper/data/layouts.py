"""Which layout a source has, told by its marker files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.data.layout_saml import (
    looks_like_maxstyle,
    looks_like_saml,
    read_maxstyle,
    read_saml,
)
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sweeper.data.source import SourceDataset

_READERS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], SourceDataset]]] = {
    "maxstyle": (looks_like_maxstyle, read_maxstyle),
    "saml": (looks_like_saml, read_saml),
}


def read_source(
    source: Path, layout: str = "auto", *, structures: Mapping[int, str] | None = None
) -> SourceDataset:
    """The cases of a source.

    Raises:
        DataError: It does not exist, or its layout is none that is known.
    """
    source = source.absolute()
    if not source.exists():
        raise DataError(f"{source} does not exist; name a folder or a CSV file with images")
    if layout == "auto":
        layout = _detect(source)
    return _READERS[layout][1](source)


def _detect(source: Path) -> str:
    for name, (looks_like, _) in _READERS.items():
        if looks_like(source):
            return name
    raise DataError(
        f"{source} has no known layout (looked for SITE/CaseNN_segmentation.nii.gz,"
        " SITE/patient_N/t2_img_clipped.nii.gz); name one with --layout"
    )
