"""Summary of a dataset: cases, sizes, volumes and intensities per domain, and a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from desam_model.types import IGNORED_LABEL, Split
from sweeper.data.contact_sheet import Tile, write_contact_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweeper.store.dataset.store import CaseRecord, DatasetStore

HISTOGRAM_BINS = 8
"""Bins of the intensity histogram over 0..255."""

SHEET_COLUMNS = 6
"""Images per domain on the contact sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSummary:
    """One domain of a dataset.

    Attributes:
        domain: Name of the domain.
        train: Ids of its training cases.
        validation: Ids of its validation cases.
        test: Ids of its test cases.
        n_slices: Number of slices of all its cases that show a structure; the values below are of
            these slices.
        matrices: Distinct (rows, cols) of its source volumes.
        spacings_mm: Distinct (z, y, x) spacings of its source volumes, rounded to 0.01 mm.
        volume_ml: (minimum, mean, maximum) by structure, over the cases that have it.
        histogram: Fraction of all pixels in each of `HISTOGRAM_BINS` equal bins of 0..255.
        mean_inside: Mean intensity of labelled pixels, 0..255.
        mean_outside: Mean intensity of all other pixels, 0..255.
    """

    domain: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    n_slices: int
    matrices: tuple[tuple[int, int], ...]
    spacings_mm: tuple[tuple[float, ...], ...]
    volume_ml: Mapping[str, tuple[float, float, float]]
    histogram: tuple[float, ...]
    mean_inside: float
    mean_outside: float


def summarise(store: DatasetStore) -> tuple[DomainSummary, ...]:
    """One summary per domain; every slice is read once."""
    return tuple(_summarise_domain(store, domain) for domain in store.domains)


def write_sheet(store: DatasetStore, path: Path, *, columns: int = SHEET_COLUMNS) -> None:
    """Write the contact sheet of a dataset: cases of each domain at several z positions."""
    rows = []
    for domain in store.domains:
        cases = store.cases_of(domain)
        rows.append((domain, [_tile(store, cases, column) for column in range(columns)]))
    mark = " (synthetic)" if store.is_synthetic else ""
    n_cases = len(store.cases)
    title = f"{store.name}{mark}: {n_cases} cases, {store.n_slices} slices, {store.fingerprint}"
    write_contact_sheet(path, rows, title=title)


def _tile(store: DatasetStore, cases: tuple[CaseRecord, ...], column: int) -> Tile:
    """The next case in each column, at the middle, upper or lower z position in turn."""
    case = cases[column % len(cases)]
    position = (0.5, 0.85, 0.15)[column % 3]
    offset = case.shown[min(len(case.shown) - 1, int(position * len(case.shown)))]
    index = case.start + offset
    mark = {Split.VALIDATION: " val", Split.TEST: " test"}.get(case.split, "")
    if not case.has_geometry and case.n_source_slices > 1:
        mark += " no orientation"
    return Tile(
        image=store.image(index),
        label=store.label(index),
        caption=f"{case.case.removeprefix(f'{case.domain}_')} z={case.z[offset]}{mark}",
    )


def _summarise_domain(store: DatasetStore, domain: str) -> DomainSummary:
    cases = store.cases_of(domain)
    counts = np.zeros(HISTOGRAM_BINS)
    inside, outside = np.zeros(2), np.zeros(2)
    for case in cases:
        shown = list(case.shown)
        images, labels = store.case_images(case)[shown], store.case_labels(case)[shown]
        labelled = (labels > 0) & (labels != IGNORED_LABEL)
        counts += np.histogram(images, bins=HISTOGRAM_BINS, range=(0, 256))[0]
        grey = images.mean(axis=1)
        inside += grey[labelled].sum(), labelled.sum()
        outside += grey[~labelled].sum(), (~labelled).sum()
    return DomainSummary(
        domain=domain,
        train=tuple(c.case for c in cases if c.split is Split.TRAIN),
        validation=tuple(c.case for c in cases if c.split is Split.VALIDATION),
        test=tuple(c.case for c in cases if c.split is Split.TEST),
        n_slices=sum(len(case.shown) for case in cases),
        matrices=tuple(dict.fromkeys(case.matrix for case in cases)),
        spacings_mm=tuple(
            dict.fromkeys(tuple(round(s, 2) for s in case.source_spacing_mm) for case in cases)
        ),
        volume_ml=_volumes(store, cases),
        histogram=tuple((counts / counts.sum()).tolist()),
        mean_inside=float(inside[0] / inside[1]),
        mean_outside=float(outside[0] / outside[1]),
    )


def _volumes(
    store: DatasetStore, cases: tuple[CaseRecord, ...]
) -> dict[str, tuple[float, float, float]]:
    volumes = {}
    for structure in store.structures:
        present = [c.volume_ml[structure] for c in cases if c.volume_ml[structure] > 0]
        if present:
            volumes[structure] = (min(present), fmean(present), max(present))
    return volumes
