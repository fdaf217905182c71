"""`sweeper data merge`: joins datasets, such as those of hospitals that came one at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sweeper.data.voxel_files import natural_key
from sweeper.errors import DataError
from sweeper.locks import exclusive_write
from sweeper.store.dataset.place import dataset_path
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.dataset.writer import DatasetFacts, NewCase, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from desam_model.types import Split
    from sweeper.store.dataset.store import CaseRecord
    from sweeper.store.workspace import Workspace

MERGED = "merged"
"""Layout of a dataset that was merged; it has no source folder of its own."""


def merge_datasets(
    workspace: Workspace,
    names: Sequence[str],
    name: str,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[DatasetStore, bool]:
    """The merged dataset, and whether it was merged now; the datasets are left unchanged.

    Cases keep their ids and splits, so that the result is that of one import of all sources.

    Args:
        workspace: With the datasets.
        names: Of two or more datasets, or their paths.
        name: Of the new dataset.
        progress: Called with (phase, done, total).

    Raises:
        DataError: The datasets do not fit each other, or another dataset has this name.
        StoreError: A dataset does not exist or is damaged.
    """
    if len(names) < 2:
        raise DataError(f"there is one dataset to merge, {', '.join(names)}; name two or more")
    stores = [DatasetStore.open(dataset_path(workspace, one)) for one in names]
    _require_fitting(stores)
    target = workspace.datasets / f"{name}.zarr"
    key = _key(stores)
    with exclusive_write(target):
        if target.exists():
            existing = DatasetStore.open(target)
            if existing.import_key == key:
                return existing, False
            raise DataError(
                f"dataset {name} already exists; choose another name with --name, or remove it with"
                f" `sweeper data remove {name}`"
            )
        return write_dataset(target, _facts(stores, name, key), _cases(stores, progress)), True


def _facts(stores: Sequence[DatasetStore], name: str, key: str) -> DatasetFacts:
    first = stores[0]
    rules = {store.name: store.split_rule for store in stores}
    return DatasetFacts(
        name=name,
        structures=first.structures,
        is_synthetic=first.is_synthetic,
        preprocessing={d: s for store in stores for d, s in store.preprocessing.items()},
        split_rule=first.split_rule
        if len(set(rules.values())) == 1
        else "; ".join(f"{one}: {rule}" for one, rule in rules.items()),
        import_key=key,
        skipped={case: reason for store in stores for case, reason in store.skipped.items()},
        layout=MERGED,
        keeps_all_slices=first.keeps_all_slices,
        reader_version=min(store.reader_version for store in stores),
        regions=first.regions,
        modalities={d: m for store in stores for d, m in store.modalities.items()},
    )


def _cases(
    stores: Sequence[DatasetStore], progress: Callable[[str, int, int], None] | None
) -> Iterator[NewCase]:
    """All cases in the order of an import: by domain, split and id."""

    def position(one: tuple[CaseRecord, DatasetStore]) -> tuple[str, Split, object, str]:
        record = one[0]
        return record.domain, record.split, natural_key(record.case), record.case

    ordered = sorted(((c, store) for store in stores for c in store.cases), key=position)
    for done, (record, store) in enumerate(ordered, start=1):
        yield NewCase(
            record=record, image=store.case_images(record), label=store.case_labels(record)
        )
        if progress is not None:
            progress("merge", done, len(ordered))


def _key(stores: Sequence[DatasetStore]) -> str:
    text = "merged " + " ".join(
        sorted(f"{store.fingerprint} {store.scan_fingerprint}" for store in stores)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_fitting(stores: Sequence[DatasetStore]) -> None:
    """Raise if the datasets cannot be one: other structures, preprocessing, or a shared case."""
    first, *others = stores
    for other in others:
        pair = f"datasets {first.name} and {other.name}"
        for what, values in (
            ("structures", [_structures(store) for store in (first, other)]),
            ("image size", [f"{store.image_size_px} px" for store in (first, other)]),
            ("image channels", [str(store.image_channels) for store in (first, other)]),
            ("slices", ["all" if s.keeps_all_slices else "labelled only" for s in (first, other)]),
            ("data", ["synthetic" if s.is_synthetic else "real" for s in (first, other)]),
        ):
            if values[0] != values[1]:
                raise DataError(
                    f"{pair} have different {what} ({values[0]}, {values[1]}); import one of them"
                    " again with the options of the other"
                )
    _require_same_preprocessing(stores)
    _require_other_cases(stores)


def _structures(store: DatasetStore) -> str:
    return ", ".join(
        f"{name} = {'+'.join(map(str, store.values_of(name)))}" for name in store.structures
    )


def _require_same_preprocessing(stores: Sequence[DatasetStore]) -> None:
    """Domains of a modality are prepared alike, and a domain in two datasets is one modality."""
    seen: dict[str, tuple[DatasetStore, str]] = {}
    modality_of: dict[str, tuple[DatasetStore, str]] = {}
    for store in stores:
        for domain, settings in store.preprocessing.items():
            modality = store.modalities.get(domain, "")
            other, stated = modality_of.setdefault(domain, (store, modality))
            if stated != modality:
                raise DataError(
                    f"{domain} is {stated or 'of no stated modality'} in {other.name}, but"
                    f" {modality or 'of no stated modality'} in {store.name}; import one of them"
                    " again with --modality"
                )
            owner, expected = seen.setdefault("CT" if modality == "CT" else "MR", (store, domain))
            differing = [
                f"{key} {owner.preprocessing[expected].get(key)} and {value}"
                for key, value in settings.items()
                if owner.preprocessing[expected].get(key) != value
            ]
            if differing:
                raise DataError(
                    f"{expected} of {owner.name} and {domain} of {store.name} were prepared"
                    f" differently ({'; '.join(differing)}); import one of them again with the"
                    " options of the other"
                )


def _require_other_cases(stores: Sequence[DatasetStore]) -> None:
    """A case, patient or scan is in one dataset only: otherwise it is counted twice, or leaks."""
    found: dict[str, tuple[DatasetStore, CaseRecord]] = {}
    for store in stores:
        for case in store.cases:
            for kind, key in (
                ("case", case.case),
                ("patient", case.patient),
                ("scan", case.content_hash),
            ):
                other, same = found.setdefault(f"{kind} {key}", (store, case))
                if other is not store:
                    what = {
                        "case": f"case {case.case} is in both",
                        "patient": f"patient {case.patient} is in both ({same.case}, {case.case})",
                        "scan": f"{same.case} and {case.case} are the same scan",
                    }[kind]
                    raise DataError(
                        f"datasets {other.name} and {store.name} share data: {what}; remove it from"
                        " one source, or give it another id, and import that source again"
                    )
