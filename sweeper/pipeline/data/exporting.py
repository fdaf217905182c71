"""Exports a dataset as the folder and CSV that DeSAM's released code expects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.training.folds import training_share
from desam_model.types import Split
from sweeper.data.export import Exported, export_desam
from sweeper.data.layouts.registry import read_source
from sweeper.data.layouts.source import SITE_ALIASES
from sweeper.errors import DataError
from sweeper.pipeline.data.joining import MERGED

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
    """Write the source volumes of a dataset for the released code; returns the cases and remarks.

    The CSV lists training cases first, so that the first 90 %, on which the release trains, are
    the training cases of the dataset.

    Args:
        store: The dataset, with its cases and splits.
        folder: The work folder of the release.
        structure: The structure to export if the dataset has several; the release is binary.
        source: Folder of the volumes, if it is not the one from which they were imported.
        progress: Called with (done, total).

    Raises:
        DataError: The source does not exist or has not all cases, or the structure is not given.
    """
    # find the volumes
    values = _values_of(store, structure)
    if "," in store.channel:
        raise DataError(
            f"dataset {store.name} has {store.image_channels} channels, and the released code reads"
            " one; import the source with one --channel under another --name, and export that"
        )
    root = source or Path(store.source)
    if store.layout == MERGED:
        raise DataError(
            f"dataset {store.name} was merged, so its cases are in several folders; export the"
            " datasets of which it was merged"
        )
    if not store.source:
        raise DataError(
            f"dataset {store.name} has salted ids, so its cases cannot be found in a folder; import"
            " the source without --salt under another --name, and export that dataset"
        )
    if not root.exists():
        raise DataError(
            f"{root}, from which dataset {store.name} was imported, does not exist any more; set"
            " its new folder with --source"
        )
    named = {v: name for name, values in store.label_values.items() for v in values}
    source_now = read_source(
        root, store.layout, structures=named or None, channel=store.channel or None
    )
    volumes = {case.case: case for case in source_now.cases}
    missing = [case.case for case in store.cases if case.case not in volumes]
    if missing:
        raise DataError(
            f"{root} does not contain {len(missing)} of {len(store.cases)} cases of dataset"
            f" {store.name}, such as {missing[0]}; set the right folder with --source"
        )
    # write them, training cases first, test cases last
    order = sorted(store.cases, key=lambda c: (c.domain, list(Split).index(c.split)))
    written = export_desam(
        [volumes[case.case] for case in order], folder, values=values, progress=progress
    )
    return written, _remarks(store)


def _values_of(store: DatasetStore, structure: str | None) -> tuple[int, ...]:
    if structure is None and len(store.structures) == 1:
        return store.values_of(store.structures[0])
    if structure not in store.structures:
        raise DataError(
            f"structure is {structure!r}, dataset {store.name} has {', '.join(store.structures)};"
            " choose one with --structure"
        )
    return store.values_of(structure)


def _remarks(store: DatasetStore) -> tuple[str, ...]:
    """Differences between the released code and this dataset."""
    remarks = []
    for domain in store.domains:
        if domain not in SITE_ALIASES.values():
            remarks.append(f"{domain} is not one of the six sites that the released code supports")
        n, train = len(store.cases_of(domain)), len(store.cases_of(domain, Split.TRAIN))
        if training_share(n) != train:
            remarks.append(
                f"{domain} has {train} training cases of {n} here, but"
                f" {training_share(n)} in the released code"
            )
    return tuple(remarks)
