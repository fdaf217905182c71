"""Datasets out: the folder and CSV that DeSAM's released code wants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.training.folds import training_share
from desam_model.types import Split
from sweeper.data.export import Exported, export_desam
from sweeper.data.layouts.registry import read_source
from sweeper.data.layouts.source import SITE_ALIASES
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.store.dataset.store import DatasetStore


def export_dataset(
    store: DatasetStore,
    folder: Path,
    *,
    structure: str | None = None,
    source: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[Exported, ...], tuple[str, ...]]:
    """Write the source volumes of a dataset for the released code; what was written, and remarks.

    The CSV's order puts training cases first, so that the release's first 90 % are ours.

    Args:
        store: Names the cases and their splits.
        folder: The release's work folder.
        structure: Which one, for a dataset with several; the release is binary.
        source: Where the volumes lie now, if not where they were imported from.
        progress: Called with (done, total).

    Raises:
        DataError: The source is gone or lacks a case, or the structure is not named.
    """
    value = _value_of(store, structure)
    root = source or Path(store.source)
    if not store.source:
        raise DataError(
            f"dataset {store.name} has salted ids, so its cases cannot be found in any folder;"
            " import the source without --salt under another --name and export that"
        )
    if not root.exists():
        raise DataError(
            f"{root}, from which dataset {store.name} was imported, is gone; name it with --source"
        )
    named = {value: name for name, value in store.label_values.items()} or None
    source_cases = read_source(root, store.layout, structures=named).cases
    found = {case.case: case for case in source_cases}
    missing = [case.case for case in store.cases if case.case not in found]
    if missing:
        raise DataError(
            f"{root} lacks {len(missing)} of {len(store.cases)} cases of dataset {store.name},"
            f" such as {missing[0]}; name the right folder with --source"
        )
    order = sorted(store.cases, key=lambda c: (c.domain, c.split is not Split.TRAIN))
    written = export_desam(
        [found[case.case] for case in order], folder, value=value, progress=progress
    )
    return written, _remarks(store)


def _value_of(store: DatasetStore, structure: str | None) -> int:
    if structure is None and len(store.structures) == 1:
        return 1
    if structure not in store.structures:
        raise DataError(
            f"structure is {structure!r}, dataset {store.name} has {', '.join(store.structures)};"
            " name one with --structure"
        )
    return store.structures.index(structure) + 1


def _remarks(store: DatasetStore) -> tuple[str, ...]:
    """Where the released code will not do what this store does."""
    remarks = []
    for domain in store.domains:
        if domain not in SITE_ALIASES.values():
            remarks.append(f"{domain} is none of the six sites that the released code knows")
        n, train = len(store.cases_of(domain)), len(store.cases_of(domain, Split.TRAIN))
        if training_share(n) != train:
            remarks.append(
                f"{domain} trains on {train} of {n} cases here, the released code on"
                f" {training_share(n)}"
            )
    return tuple(remarks)
