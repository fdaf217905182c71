"""One import: a folder of any known layout becomes a checked dataset store."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.data.case_pool import default_processes, process_cases
from sweeper.data.faults import Fault, FaultyDataError, errors
from sweeper.data.importer import CaseJob, CaseResult, hash_files
from sweeper.data.layouts.registry import read_source
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
    """Told (what is being done, how many are done, how many there are)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        store: The dataset, imported now or before.
        faults: Warnings, and the errors of skipped cases.
        n_resumed: Cases taken from an earlier, interrupted import.
        is_unchanged: The same import had been done before, so nothing was.
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
    """Check and prepare every case of `source` and write them to the store `target`.

    Interrupted, it goes on from the cases already prepared; done before, it does nothing. Of two
    processes at once, the second waits for the first.

    Raises:
        FaultyDataError: Cases have errors and `skip_bad` is off, or the source as a whole is wrong.
        DataError: The store is there, made from other files or options, and `replace` is off.
    """
    options = options or ImportOptions()
    waits = f"another process is importing {target.name}, waiting for it"
    try:
        found = read_source(source, options.layout, structures=options.structures)
        key = import_key(found, options)
        with exclusive_write(target, lambda: progress(waits, 0, 1) if progress else None):
            existing = _existing(target, key, found, options)
            if existing is not None:
                return ImportReport(store=existing, is_unchanged=True)
            return _import(found, source, target, key, options, progress)
    except OSError as err:
        raise _cannot(err, target) from err


def _import(
    found: SourceDataset,
    source: Path,
    target: Path,
    key: str,
    options: ImportOptions,
    progress: Progress | None,
) -> ImportReport:
    parts = target.with_name(f".{target.name}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    results = _process(found, options, parts, progress)
    faults = _all_faults(found, results)
    good = _without_bad(found, results, faults, options)
    split = split_cases(
        [result.case for result in good], rule=options.split, seed=options.split_seed
    )
    facts = DatasetFacts(
        name=target.name.removesuffix(".zarr"),
        structures=found.structures,
        is_synthetic=options.is_synthetic,
        preprocessing={d: s.as_mapping() for d, s in options.settings(found).items()},
        split_rule=options.split_words(),
        import_key=key,
        content_key=content_key(found, options, [result.source_hash for result in results]),
        skipped=_skipped(faults, options.salt),
        source="" if options.salt else str(source.absolute()),
        layout=found.layout,
        label_values={name: value for value, name in (options.structures or {}).items()},
        keeps_all_slices=True,
    )
    store = write_dataset(target, facts, new_cases(good, split, found, options.salt))
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
        found = read_source(source, options.layout, structures=options.structures)
        results = _process(found, options, None, progress)
    except OSError as err:
        raise _cannot(err, source) from err
    faults = _all_faults(found, results)
    return found, faults, tuple(line for result in results for line in result.headers)


def _cannot(err: OSError, place: Path) -> DataError:
    """What the system refused, and what to do about it."""
    way = (
        "free some space; the same command goes on where it stopped"
        if err.errno in (errno.ENOSPC, errno.EDQUOT)
        else "mend its permissions, or name another folder"
    )
    return DataError(f"{err.filename or place}: {err.strerror or err}; {way}")


def _all_faults(found: SourceDataset, results: Sequence[CaseResult]) -> tuple[Fault, ...]:
    of_cases = (fault for result in results for fault in result.faults)
    return (*check_source(found), *of_cases, *check_results(results))


def _process(
    found: SourceDataset, options: ImportOptions, parts: Path | None, progress: Progress | None
) -> list[CaseResult]:
    """Results in the order of the source."""
    settings = options.settings(found)
    jobs = [
        CaseJob(
            case=case,
            root=found.root,
            structures=found.structures,
            settings=settings[case.domain],
            parts=parts,
        )
        for case in found.cases
    ]
    results: dict[tuple[str, Path, Path], CaseResult] = {}
    for done, result in enumerate(
        process_cases(jobs, processes=options.processes or default_processes()), start=1
    ):
        results[_files(result.case)] = result
        if progress is not None:
            progress("check" if parts is None else "import", done, len(jobs))
    return [results[_files(case)] for case in found.cases]


def _files(case: SourceCase) -> tuple[str, Path, Path]:
    """What tells cases of a source apart: one image may be named by several, at fault."""
    return case.case, case.image, case.label


def _without_bad(
    found: SourceDataset,
    results: Sequence[CaseResult],
    faults: Sequence[Fault],
    options: ImportOptions,
) -> list[CaseResult]:
    wrong = errors(faults)
    bad = {fault.case for fault in wrong if fault.case is not None}
    of_all = [fault for fault in wrong if fault.case is None]
    good = [result for result in results if result.case.case not in bad and result.facts]
    if of_all or (bad and not options.skip_bad) or not good:
        way = (
            "mend what the lines above say"
            if of_all or not good
            else "mend them, or go on without these cases with --skip-bad"
        )
        several = "s" if len(wrong) != 1 else ""
        of_cases = f" in {len(bad)} of {len(found.cases)} cases" if bad else ""
        raise FaultyDataError(
            f"{found.root} has {len(wrong)} error{several}{of_cases}; {way}", faults
        )
    return good


def _existing(
    target: Path, key: str, found: SourceDataset, options: ImportOptions
) -> DatasetStore | None:
    """The finished store of the same import; None to import anew."""
    if not target.exists():
        return None
    try:
        store = DatasetStore.open(target)
    except StoreError:
        return None
    if options.replace and (not store.keeps_all_slices or store.damaged_cases()):
        return None
    if store.import_key == key:
        return store
    hashes = [hash_files(case) for case in found.cases]
    if store.content_key == content_key(found, options, hashes):
        return store
    if options.replace:
        return None
    raise DataError(
        f"dataset {store.name} is there already, made from other files or with other options; name"
        " the new one with --name, or replace the old one with --replace"
    )


def _skipped(faults: Sequence[Fault], salt: str | None) -> dict[str, str]:
    """Case -> the lines that keep it out; with a salt, only their codes."""
    skipped: dict[str, str] = {}
    for fault in errors(faults):
        if fault.case is not None:
            name = fault.case if salt is None else salted(fault.case, salt)
            text = fault.line() if salt is None else fault.code
            skipped[name] = f"{skipped[name]} | {text}" if name in skipped else text
    return skipped
