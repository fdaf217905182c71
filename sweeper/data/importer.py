"""Reads, checks and prepares one case, or reuses the result of an earlier import."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from desam_model.types import IGNORED_LABEL
from sweeper.data.checks import CaseChecker
from sweeper.data.faults import Fault, Severity, errors
from sweeper.data.preprocessing import prepare_slices
from sweeper.data.privacy import header_texts
from sweeper.data.volume import files_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.layouts.source import SourceCase
    from sweeper.data.preprocessing import Preprocessing
    from sweeper.data.volume import Volume

PART_VERSION = 5
"""Increased when the preparation changes; parts of an earlier version are then re-created.

A store records it too: `--replace` then re-creates a store of an earlier version.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseJob:
    """The work order for one case.

    Attributes:
        case: The case and its files.
        root: Folder of the source.
        structures: Structure -> the store's label values that belong to it.
        settings: Preprocessing of its domain.
        modality: `CT` or `MR`; empty if it is not stated.
        parts: Folder for prepared cases; None to only check.
    """

    case: SourceCase
    root: Path
    structures: Mapping[str, tuple[int, ...]]
    settings: Preprocessing
    parts: Path | None
    modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """Properties of a prepared case; the fields are those of the store's case table."""

    z: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    foreground: dict[str, tuple[bool, ...]]
    volume_ml: dict[str, float]
    matrix: tuple[int, int]
    n_source_slices: int
    source_spacing_mm: tuple[float, float, float]
    has_geometry: bool
    affine: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """The result of checking, and perhaps preparing, one case.

    Attributes:
        case: The case.
        faults: Faults of its files.
        source_hash: SHA-256 over all files of image and label; empty if one cannot be read.
        voxel_hash: SHA-256 over the image's voxels; equal for the same scan in another file.
        n_channels: Channels of the image; 0 if it cannot be read.
        states_orientation: False for a volume whose file states no orientation; None for a picture,
            or if it cannot be read.
        part: File with the prepared arrays, or None.
        facts: Properties of the prepared case, or None.
        is_resumed: True if the part existed already.
        headers: `file: field: text` lines for header texts that may identify a person.
    """

    case: SourceCase
    faults: tuple[Fault, ...] = ()
    source_hash: str = ""
    voxel_hash: str = ""
    n_channels: int = 0
    states_orientation: bool | None = None
    part: Path | None = None
    facts: CaseFacts | None = None
    is_resumed: bool = False
    headers: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """True if no fault excludes the case."""
        return not any(fault.severity is Severity.ERROR for fault in self.faults)


def process_case(job: CaseJob) -> CaseResult:
    """Check one case; if it has no errors, write its prepared part to `job.parts`."""
    checker = CaseChecker(job.case, job.root)
    source_hash = hash_files(job.case)
    part = None
    if job.parts is not None and source_hash:
        part = job.parts / f"{_part_key(job, source_hash)}.npz"
        resumed = _resumed(job, part, source_hash) if part.exists() else None
        if resumed is not None:
            return resumed
    image, label = checker.read_image(), checker.read_label()
    labels = _check(checker, job, image, label)
    result = CaseResult(
        case=job.case,
        source_hash=source_hash,
        voxel_hash="" if image is None else _voxel_hash(image),
        n_channels=0 if image is None else len(image.array),
        states_orientation=None if image is None else _states_orientation(image),
        headers=header_texts(job.case, job.root, image, label),
    )
    facts = None
    if image is not None and labels is not None and not errors(checker.faults):
        facts = _prepare(checker, job, part, image, labels, result)
    return replace(
        result,
        faults=tuple(checker.faults),
        facts=facts,
        part=part if facts is not None else None,
    )


def load_part(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images `(n, C, H, W)` and label maps `(n, H, W)` of a prepared part."""
    with np.load(path, allow_pickle=False) as part:
        return part["image"], part["label"]


def _check(
    checker: CaseChecker, job: CaseJob, image: Volume | None, label: Volume | None
) -> NDArray[np.uint8] | None:
    """Add all faults of both files; returns the label in the store's values, if it is valid."""
    labels = None
    if image is not None:
        checker.check_image(image, job.modality)
    if label is not None:
        labels = checker.check_label(label)
    if image is not None and label is not None:
        checker.check_pair(image, label)
    if labels is not None:
        checker.check_drawing(labels, job.structures)
    return labels


def _prepare(
    checker: CaseChecker,
    job: CaseJob,
    part: Path | None,
    image: Volume,
    labels: NDArray[np.uint8],
    result: CaseResult,
) -> CaseFacts | None:
    """Write the slices of a valid case as its part; None if resizing leaves the label empty."""
    if part is None:
        return None
    slices = prepare_slices(image.array, labels, image.spacing_mm, job.settings)
    if not ((slices.label > 0) & (slices.label != IGNORED_LABEL)).any():
        checker.fault(
            "label-vanishes",
            job.case.label,
            f"it vanishes at {job.settings.image_size_px} px",
            "draw it larger, or remove the case",
        )
        return None
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000
    facts = CaseFacts(
        z=slices.z,
        spacing_mm=slices.spacing_mm,
        foreground={
            name: tuple(bool(np.isin(plane, values).any()) for plane in slices.label)
            for name, values in job.structures.items()
        },
        volume_ml={
            name: float(np.isin(labels, values).sum()) * voxel_ml
            for name, values in job.structures.items()
        },
        matrix=(labels.shape[1], labels.shape[2]),
        n_source_slices=labels.shape[0],
        source_spacing_mm=image.spacing_mm,
        has_geometry=image.has_geometry,
        affine=tuple(tuple(row) for row in image.affine.tolist()),
    )
    note = {
        "faults": [asdict(fault) for fault in checker.faults],
        "facts": asdict(facts),
        "voxel_hash": result.voxel_hash,
        "n_channels": result.n_channels,
        "has_headers": bool(result.headers),  # not the texts: they may name a person
    }
    partial = part.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, image=slices.image, label=slices.label, note=np.array(json.dumps(note)))
    partial.replace(part)
    return facts


def _resumed(job: CaseJob, part: Path, source_hash: str) -> CaseResult | None:
    """The result of an earlier import; None if a crash of the machine damaged the part."""
    try:
        with part.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            note: dict[str, Any] = json.loads(str(arrays["note"]))
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError):
        return None
    facts = CaseFacts(**{key: _tuples(value) for key, value in note["facts"].items()})
    return CaseResult(
        case=job.case,
        faults=tuple(
            Fault(**{**fault, "severity": Severity(fault["severity"])}) for fault in note["faults"]
        ),
        source_hash=source_hash,
        voxel_hash=note["voxel_hash"],
        n_channels=note["n_channels"],
        part=part,
        states_orientation=facts.has_geometry if facts.n_source_slices > 1 else None,
        facts=facts,
        is_resumed=True,
        headers=_headers(job) if note["has_headers"] else (),
    )


def _headers(job: CaseJob) -> tuple[str, ...]:
    """Header texts of a case whose part exists, read again from its files."""
    image, label = job.case.read_image(), job.case.read_label()
    return header_texts(job.case, job.root, image, label)


def _tuples(value: Any) -> Any:
    """Convert JSON's lists back to tuples."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def hash_files(case: SourceCase) -> str:
    """SHA-256 over every file that a case is read from; empty if one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in (file for part in case.files for file in files_of(part)):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return ""
    return digest.hexdigest()


def _part_key(job: CaseJob, source_hash: str) -> str:
    text = json.dumps(
        [
            PART_VERSION,
            job.case.case,
            source_hash,
            sorted(job.case.label_map.items()),
            *job.case.ignored,
            list(job.structures.items()),
            job.settings.as_mapping(),
            job.modality,
            *job.case.channels,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _states_orientation(image: Volume) -> bool | None:
    return image.has_geometry if image.array.shape[1] > 1 else None


def _voxel_hash(volume: Volume) -> str:
    """SHA-256 that is equal for the same scan in another file, data type or compression."""
    digest = hashlib.sha256(repr(volume.array.shape).encode())
    for channel in volume.array:
        for plane in channel:  # one at a time, so that a large volume is not copied
            digest.update(np.ascontiguousarray(plane, dtype=np.float32).data)
    return digest.hexdigest()
