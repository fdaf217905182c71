"""Writes dataset stores to a temporary folder first, so that the final path is always complete."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import zarr

from sweeper.errors import StoreError
from sweeper.store.dataset.store import (
    FORMAT,
    VERSION,
    CaseRecord,
    DatasetStore,
    content_hash,
    with_checksums,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """One case to be written: its arrays and its record.

    Attributes:
        record: Its entry in the case table; the writer sets `start`, `count` and the hashes.
        image: `(n, C, H, W)` uint8.
        label: `(n, H, W)` uint8.
    """

    record: CaseRecord
    image: NDArray[np.uint8]
    label: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What a store records about the whole dataset.

    Attributes:
        name: Short name.
        structures: Names of the label values 1, 2, ...
        is_synthetic: True for the phantoms.
        preprocessing: Domain -> its settings as plain values.
        split_rule: Description of the rule.
        import_key: Hash of source files and settings; the same import is not repeated.
        skipped: Case -> why it was skipped.
        content_key: The same hash over file contents instead of names, sizes and times.
        source: Folder or file it was imported from; empty in a store with salted ids.
        layout: Name of the source's layout.
        label_values: Structure -> its values in the source's labels, if the user named them.
        channel: The channel of the source's images that the user chose; empty if none was.
        keeps_all_slices: True if the cases hold every slice of their scans.
        reader_version: Version of the code that read and prepared the files.
        regions: Structure -> its label values, if structures overlap; else empty.
        modalities: Domain -> `CT` or `MR`, where it was stated.
    """

    name: str
    structures: tuple[str, ...]
    is_synthetic: bool
    preprocessing: Mapping[str, Any]
    split_rule: str
    import_key: str
    skipped: Mapping[str, str]
    content_key: str = ""
    source: str = ""
    layout: str = ""
    label_values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    channel: str = ""
    keeps_all_slices: bool = False
    reader_version: int = 0
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)


def write_dataset(path: Path, facts: DatasetFacts, cases: Iterable[NewCase]) -> DatasetStore:
    """Write a store beside `path`, then move it there; an interruption leaves `path` unchanged.

    Args:
        path: Of the store, `NAME.zarr`; an existing store is replaced at the end.
        facts: About the whole dataset.
        cases: At least one; iterated once; the store keeps their order.
    """
    path = path.absolute()
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(partial, attributes={"format": FORMAT, "complete": False})
    records: list[CaseRecord] = []
    arrays: tuple[Any, Any] | None = None
    for case in cases:
        arrays = arrays or _create_arrays(group, case)
        records.append(_append(arrays, case, records))
    if arrays is None:
        raise StoreError(f"dataset {facts.name} has no cases to write; check its source")
    group.attrs.put(with_checksums(_as_attributes(facts, records, arrays[0]), partial))
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return DatasetStore.open(path)


def fingerprint_of(
    records: Sequence[CaseRecord], structures: Sequence[str], preprocessing: Mapping[str, Any]
) -> str:
    """16 hex digits that change with any voxel, label, id, patient, split or spacing.

    Only slices that show a structure count, so that a store that keeps all slices has the
    fingerprint of one that does not, and trainings and embeddings of either are those of both.
    """
    return _digest(records, structures, preprocessing, is_whole=False)


def scan_fingerprint_of(
    records: Sequence[CaseRecord], structures: Sequence[str], preprocessing: Mapping[str, Any]
) -> str:
    """The same over every kept slice."""
    return _digest(records, structures, preprocessing, is_whole=True)


def _digest(
    records: Sequence[CaseRecord],
    structures: Sequence[str],
    preprocessing: Mapping[str, Any],
    *,
    is_whole: bool,
) -> str:
    table = sorted(
        [
            record.case,
            record.domain,
            record.split.value,
            list(record.z) if is_whole else [record.z[i] for i in record.shown],
            [round(s, 6) for s in record.spacing_mm],
            record.content_hash if is_whole else record.foreground_hash or record.content_hash,
            # a case that is its own patient: as in stores of before patients were kept
            *([record.patient] if record.patient not in ("", record.case) else []),
        ]
        for record in records
    )
    scope = ["all slices"] if is_whole else []
    text = json.dumps([VERSION, list(structures), preprocessing, table, *scope], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _create_arrays(group: Any, first: NewCase) -> tuple[Any, Any]:
    """Empty arrays with one chunk per slice; checksums turn a flipped bit into an error."""
    arrays = [
        group.create_array(
            name,
            shape=(0, *block.shape[1:]),
            chunks=(1, *block.shape[1:]),
            dtype="uint8",
            compressors=zarr.codecs.ZstdCodec(level=3, checksum=True),
            config={"write_empty_chunks": True},
        )
        for name, block in (("image", first.image), ("label", first.label))
    ]
    return arrays[0], arrays[1]


def _append(arrays: tuple[Any, Any], new: NewCase, previous: Sequence[CaseRecord]) -> CaseRecord:
    image, label = arrays
    if new.image.shape[1:] != image.shape[1:]:
        raise StoreError(
            f"case {new.record.case} has slices of shape {new.image.shape[1:]}, earlier cases have"
            f" {tuple(image.shape[1:])}; all cases of a dataset need the same channels"
        )
    start = sum(record.count for record in previous)
    stop = start + len(new.image)
    image.resize((stop, *image.shape[1:]))
    label.resize((stop, *label.shape[1:]))
    image[start:stop] = new.image
    label[start:stop] = new.label
    values = {name: getattr(new.record, name) for name in CaseRecord.__slots__}
    values |= {
        "start": start,
        "count": stop - start,
        "content_hash": content_hash(new.image, new.label),
        "foreground_hash": _foreground_hash(new),
        "patient": new.record.patient or new.record.case,
    }
    return CaseRecord(**values)


def _foreground_hash(new: NewCase) -> str:
    shown = list(new.record.shown)
    return "" if len(shown) == len(new.image) else content_hash(new.image[shown], new.label[shown])


def _as_attributes(
    facts: DatasetFacts, records: Sequence[CaseRecord], image: Any
) -> dict[str, Any]:
    # regions change the masks of the same label map; without them, as in stores of earlier versions
    structures = [
        f"{name}={list(facts.regions[name])}" if name in facts.regions else name
        for name in facts.structures
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "complete": True,
        "name": facts.name,
        "fingerprint": fingerprint_of(records, structures, facts.preprocessing),
        "scan_fingerprint": (
            scan_fingerprint_of(records, structures, facts.preprocessing)
            if facts.keeps_all_slices
            else ""
        ),
        "is_synthetic": facts.is_synthetic,
        "structures": list(facts.structures),
        "image_size_px": int(image.shape[-1]),
        "image_channels": int(image.shape[1]),
        "preprocessing": dict(facts.preprocessing),
        "split_rule": facts.split_rule,
        "import_key": facts.import_key,
        "content_key": facts.content_key,
        "skipped": dict(facts.skipped),
        "source": facts.source,
        "layout": facts.layout,
        "label_values": {name: list(values) for name, values in facts.label_values.items()},
        "channel": facts.channel,
        "regions": {name: list(values) for name, values in facts.regions.items()},
        "modalities": dict(facts.modalities),
        "reader_version": facts.reader_version,
        "cases": [asdict(record) for record in records],
    }
