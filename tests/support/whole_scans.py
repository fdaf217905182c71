"""Datasets with whole scans, and what a version that kept only the foreground made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.store.dataset.writer import DatasetFacts, NewCase, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.dataset.store import DatasetStore


def facts_of(store: DatasetStore, *, keeps_all_slices: bool) -> DatasetFacts:
    """What is known of a whole dataset."""
    return DatasetFacts(
        name=store.name,
        structures=store.structures,
        is_synthetic=store.is_synthetic,
        preprocessing=store.preprocessing,
        split_rule=store.split_rule,
        import_key=store.import_key,
        skipped=store.skipped,
        content_key=store.content_key,
        source=store.source,
        layout=store.layout,
        keeps_all_slices=keeps_all_slices,
    )


def foreground_only(store: DatasetStore, path: Path) -> DatasetStore:
    """The store as an earlier version wrote it: slices without a reference are not in it."""
    cases = []
    for record in store.cases:
        shown = list(record.shown)
        older = replace(
            record,
            z=tuple(record.z[i] for i in shown),
            foreground={k: tuple(v[i] for i in shown) for k, v in record.foreground.items()},
        )
        image, label = store.case_images(record)[shown], store.case_labels(record)[shown]
        cases.append(NewCase(record=older, image=image, label=label))
    return write_dataset(path, facts_of(store, keeps_all_slices=False), cases)
