"""Converts prepared cases to the records of a dataset store, with salted ids if requested."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.data.importer import CaseResult, load_part
from sweeper.data.privacy import salted
from sweeper.data.voxel_files import natural_key
from sweeper.store.dataset.store import CaseRecord
from sweeper.store.dataset.writer import NewCase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from desam_model.types import Split
    from sweeper.data.layouts.source import SourceDataset


def new_cases(
    results: Sequence[CaseResult],
    split: Mapping[str, Split],
    source: SourceDataset,
    salt: str | None,
) -> Iterator[NewCase]:
    """The cases for the store, sorted by domain, split and stored id.

    Sorting by the stored id puts each slice at the same index in all stores with the same
    fingerprint; embeddings are looked up by fingerprint and index.
    """

    def sort_key(result: CaseResult) -> tuple[str, Split, object, str]:
        name = result.case.case
        stored = name if salt is None else _salted_id(result.case.domain, name, salt)
        return result.case.domain, split[name], natural_key(stored), stored

    for result in sorted(results, key=sort_key):
        if result.part is None or result.facts is None:
            continue
        image, label = load_part(result.part)
        case, facts = result.case, result.facts
        record = CaseRecord(
            case=case.case,
            domain=case.domain,
            split=split[case.case],
            start=0,
            count=len(image),
            z=facts.z,
            spacing_mm=facts.spacing_mm,
            foreground=facts.foreground,
            volume_ml=facts.volume_ml,
            matrix=facts.matrix,
            n_source_slices=facts.n_source_slices,
            source_spacing_mm=facts.source_spacing_mm,
            image_file=_relative(case.image, source.root),
            label_file=_relative(case.label, source.root),
            source_hash=result.source_hash,
            content_hash="",
            has_geometry=facts.has_geometry,
            affine=facts.affine,
            patient=case.patient or case.case,
        )
        yield NewCase(
            record=record if salt is None else _salt(record, salt), image=image, label=label
        )


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _salt(record: CaseRecord, salt: str) -> CaseRecord:
    return replace(
        record,
        case=_salted_id(record.domain, record.case, salt),
        patient=_salted_id(record.domain, record.patient, salt),
        image_file="",
        label_file="",
        source_hash=salted(record.source_hash, salt),
    )


def _salted_id(domain: str, case: str, salt: str) -> str:
    return f"{domain}_{salted(case, salt)}"
