"""Imports a folder with a supported layout as a checked dataset store."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.data.case_pool import default_processes, process_cases
from sweeper.data.faults import Fault, FaultyDataError, errors
from sweeper.data.importer import PART_VERSION, CaseJob, CaseResult, hash_files
from sweeper.data.layouts.registry import read_source
from sweeper.data.layouts.source import values_of
from sweeper.data.privacy import salted
from sweeper.data.set_checks import check_results, check_source
from sweeper.data.splits import split_cases
from sweeper.errors import DataError, StoreError
from sweeper.locks import exclusive_write
from sweeper.pipeline.data.case_records import new_cases
from sweeper.pipeline.data.options import ImportOptions, content_key, import_key
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.dataset.writer import DatasetFacts, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweeper.data.layouts.source import SourceCase, SourceDataset

    Progress = Callable[[str, int, int], None]
    """Called with (phase, done, total)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import.

    Attributes:
        store: The dataset, imported now or before.
        faults: Warnings, and the errors of skipped cases.
        n_resumed: Number of cases that an earlier, unfinished import had prepared.
        is_unchanged: True if the same import was done before, so nothing was changed.
        headers: Header texts that may identify a person.
    """

    store: DatasetStore
    faults: tuple[Fault, ...] = ()
    n_resumed: int = 0
    is_unchanged: bool = False
    headers: tuple[str, ...] = ()


def import_dataset(
    source: Path,
    target: Path,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Check and prepare all cases of `source` and write them to the store `target`.

    An interrupted import is resumed; a finished one is not repeated. If two processes import the
    same dataset, the second waits for the first.

    Raises:
        FaultyDataError: Cases have errors and `skip_bad` is false, or the source itself is wrong.
        DataError: The store exists with other files or options, and `replace` is false.
    """
    options = options or ImportOptions()
    waits = f"waiting for another process that is importing {target.name}"
    try:
        dataset = _read(source, options)
        key = import_key(dataset, options)
        with exclusive_write(target, lambda: progress(waits, 0, 1) if progress else None):
            existing = _existing(target, key, dataset, options)
            if existing is not None:
                return ImportReport(store=existing, is_unchanged=True)
            return _import(dataset, source, target, key, options, progress)
    except OSError as err:
        raise _system_error(err, target) from err


def _import(
    dataset: SourceDataset,
    source: Path,
    target: Path,
    key: str,
    options: ImportOptions,
    progress: Progress | None,
) -> ImportReport:
    # check and prepare the cases
    parts = target.with_name(f".{target.name}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    results = _process(dataset, options, parts, progress)
    faults = _all_faults(dataset, results)
    good = _without_bad(dataset, results, faults, options)
    # split them and write the store
    split = split_cases(
        [result.case for result in good], rule=options.split, seed=options.split_seed
    )
    facts = DatasetFacts(
        name=target.name.removesuffix(".zarr"),
        structures=dataset.structures,
        is_synthetic=options.is_synthetic,
        preprocessing={d: s.as_mapping() for d, s in options.settings(dataset).items()},
        split_rule=options.split_words([result.case for result in good]),
        import_key=key,
        content_key=content_key(dataset, options, [result.source_hash for result in results]),
        skipped=_skipped(faults, options.salt),
        source="" if options.salt else str(source.absolute()),
        layout=dataset.layout,
        label_values=options.label_values(),
        channel=options.channel or "",
        keeps_all_slices=True,
        reader_version=PART_VERSION,
        regions=dataset.regions,
        modalities={d: m for d, m in options.modalities(dataset).items() if m},
    )
    store = write_dataset(target, facts, new_cases(good, split, dataset, options.salt))
    shutil.rmtree(parts)
    return ImportReport(
        store=store,
        faults=faults,
        n_resumed=sum(result.is_resumed for result in results),
        headers=tuple(line for result in results for line in result.headers),
    )


def check_dataset(
    source: Path, options: ImportOptions | None = None, progress: Progress | None = None
) -> tuple[SourceDataset, tuple[Fault, ...], tuple[str, ...]]:
    """The source, all its faults, and header texts that may identify a person; writes nothing."""
    options = options or ImportOptions()
    try:
        dataset = _read(source, options)
        results = _process(dataset, options, None, progress)
    except OSError as err:
        raise _system_error(err, source) from err
    faults = _all_faults(dataset, results)
    return dataset, faults, tuple(line for result in results for line in result.headers)


def _read(source: Path, options: ImportOptions) -> SourceDataset:
    return read_source(
        source, options.layout, structures=options.structures, channel=options.channel
    )


def _system_error(err: OSError, path: Path) -> DataError:
    """The error of the system, with what to do about it."""
    advice = (
        "free some space; the same command resumes the import"
        if err.errno in (errno.ENOSPC, errno.EDQUOT)
        else "fix its permissions, or choose another folder"
    )
    return DataError(f"{err.filename or path}: {err.strerror or err}; {advice}")


def _all_faults(dataset: SourceDataset, results: Sequence[CaseResult]) -> tuple[Fault, ...]:
    of_cases = (fault for result in results for fault in result.faults)
    return (*check_source(dataset), *of_cases, *check_results(results))


def _process(
    dataset: SourceDataset, options: ImportOptions, parts: Path | None, progress: Progress | None
) -> list[CaseResult]:
    """Results in the order of the source."""
    settings, modalities = options.settings(dataset), options.modalities(dataset)
    jobs = [
        CaseJob(
            case=case,
            root=dataset.root,
            structures=values_of(dataset.structures, dataset.regions),
            settings=settings[case.domain],
            modality=modalities[case.domain],
            parts=parts,
        )
        for case in dataset.cases
    ]
    results: dict[tuple[str, Path, Path], CaseResult] = {}
    for done, result in enumerate(
        process_cases(jobs, processes=options.processes or default_processes()), start=1
    ):
        results[_files(result.case)] = result
        if progress is not None:
            progress("check" if parts is None else "import", done, len(jobs))
    return [results[_files(case)] for case in dataset.cases]


def _files(case: SourceCase) -> tuple[str, Path, Path]:
    """Key of a case in a source; in a faulty source, several cases may have the same image."""
    return case.case, case.image, case.label


def _without_bad(
    dataset: SourceDataset,
    results: Sequence[CaseResult],
    faults: Sequence[Fault],
    options: ImportOptions,
) -> list[CaseResult]:
    found_errors = errors(faults)
    bad = {fault.case for fault in found_errors if fault.case is not None}
    of_source = [fault for fault in found_errors if fault.case is None]
    good = [result for result in results if result.case.case not in bad and result.facts]
    if of_source or (bad and not options.skip_bad) or not good:
        advice = (
            "fix the errors listed above"
            if of_source or not good
            else "fix them, or skip these cases with --skip-bad"
        )
        plural = "s" if len(found_errors) != 1 else ""
        in_cases = f" in {len(bad)} of {len(dataset.cases)} cases" if bad else ""
        raise FaultyDataError(
            f"{dataset.root} has {len(found_errors)} error{plural}{in_cases}; {advice}", faults
        )
    return good


def _existing(
    target: Path, key: str, dataset: SourceDataset, options: ImportOptions
) -> DatasetStore | None:
    """The finished store of the same import; None if it must be imported."""
    if not target.exists():
        return None
    try:
        store = DatasetStore.open(target)
    except StoreError:
        return None
    is_outdated = not store.keeps_all_slices or store.reader_version < PART_VERSION
    if options.replace and (is_outdated or store.damaged_cases()):
        return None
    if store.import_key == key:
        return store
    hashes = [hash_files(case) for case in dataset.cases]
    if store.content_key == content_key(dataset, options, hashes):
        return store
    if options.replace:
        return None
    raise DataError(
        f"dataset {store.name} already exists, with other files or other options; choose another"
        " name with --name, or replace it with --replace"
    )


def _skipped(faults: Sequence[Fault], salt: str | None) -> dict[str, str]:
    """Errors of each skipped case; with a salt, only their codes."""
    skipped: dict[str, str] = {}
    for fault in errors(faults):
        if fault.case is not None:
            name = fault.case if salt is None else salted(fault.case, salt)
            text = fault.line() if salt is None else fault.code
            skipped[name] = f"{skipped[name]} | {text}" if name in skipped else text
    return skipped
