"""One import: a folder of any known layout becomes a checked dataset store."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.data.faults import Fault, FaultyDataError, errors
from sweeper.data.importer import CaseJob, CaseResult, default_processes, process_cases
from sweeper.data.layouts import read_source
from sweeper.data.preprocessing import profile
from sweeper.data.privacy import salted
from sweeper.data.set_checks import check_results, check_source
from sweeper.data.splits import split_cases
from sweeper.data.volume import files_of
from sweeper.errors import DataError, StoreError
from sweeper.pipeline.case_records import new_cases
from sweeper.store.dataset_store import DatasetStore
from sweeper.store.dataset_writer import DatasetFacts, write_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweeper.data.preprocessing import LabelResize, Preprocessing
    from sweeper.data.source import SourceDataset
    from sweeper.data.splits import SplitRule

    Progress = Callable[[str, int, int], None]
    """Told (what is being done, how many are done, how many there are)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What a person may choose of an import.

    Attributes:
        layout: Name of the layout, or `auto`.
        skip_bad: Go on without the cases that have errors.
        replace: Replace a store of that name made from other files or with other options.
        label_resize: Instead of the profile's own.
        split: Rule that tells training from validation cases.
        split_seed: Of the seeded rule.
        structures: Label value -> name, for the CSV layout.
        salt: With one, the store keeps salted ids and no file names.
        processes: Worker processes; None for one a core.
        is_synthetic: The data is a phantom.
    """

    layout: str = "auto"
    skip_bad: bool = False
    replace: bool = False
    label_resize: LabelResize | None = None
    split: SplitRule = "desam"
    split_seed: int = 0
    structures: Mapping[int, str] | None = None
    salt: str | None = None
    processes: int | None = None
    is_synthetic: bool = False


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

    Interrupted, it goes on from the cases already prepared; done before, it does nothing.

    Raises:
        FaultyDataError: Cases have errors and `skip_bad` is off, or the source as a whole is wrong.
        DataError: The store is there, made from other files or options, and `replace` is off.
    """
    options = options or ImportOptions()
    found = read_source(source, options.layout, structures=options.structures)
    key = _import_key(found, options)
    if target.exists():
        existing = _existing(target, key, replace_it=options.replace)
        if existing is not None:
            return ImportReport(store=existing, is_unchanged=True)
    parts = target.with_name(f".{target.name}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    results = _process(found, options, parts, progress)
    faults = (
        *check_source(found),
        *(f for r in results for f in r.faults),
        *check_results(results),
    )
    good = _without_bad(found, results, faults, options)
    split = split_cases(
        [result.case for result in good], rule=options.split, seed=options.split_seed
    )
    facts = DatasetFacts(
        name=target.name.removesuffix(".zarr"),
        structures=found.structures,
        is_synthetic=options.is_synthetic,
        preprocessing={d: s.as_mapping() for d, s in _settings(found, options).items()},
        split_rule=_split_words(options),
        import_key=key,
        skipped=_skipped(faults, options.salt),
        source="" if options.salt else str(source.absolute()),
        layout=found.layout,
        label_values={name: value for value, name in (options.structures or {}).items()},
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
    found = read_source(source, options.layout, structures=options.structures)
    results = _process(found, options, None, progress)
    faults = (
        *check_source(found),
        *(f for r in results for f in r.faults),
        *check_results(results),
    )
    return found, faults, tuple(line for result in results for line in result.headers)


def _all_faults(found: SourceDataset, results: Sequence[CaseResult]) -> tuple[Fault, ...]:
    of_cases = (fault for result in results for fault in result.faults)
    return (*check_source(found), *of_cases, *check_results(results))


def _settings(found: SourceDataset, options: ImportOptions) -> dict[str, Preprocessing]:
    return {
        domain: profile(name, label_resize=options.label_resize)
        for domain, name in sorted(found.profiles.items())
    }


def _process(
    found: SourceDataset, options: ImportOptions, parts: Path | None, progress: Progress | None
) -> list[CaseResult]:
    """Results in the order of the source."""
    settings = _settings(found, options)
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
    results: dict[str, CaseResult] = {}
    for done, result in enumerate(
        process_cases(jobs, processes=options.processes or default_processes()), start=1
    ):
        results[str(result.case.image)] = result
        if progress is not None:
            progress("check" if parts is None else "import", done, len(jobs))
    return [results[str(case.image)] for case in found.cases]


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
        raise FaultyDataError(
            f"{found.root} has {len(wrong)} error{'s' if len(wrong) != 1 else ''} in {len(bad)} of"
            f" {len(found.cases)} cases; {way}",
            faults,
        )
    return good


def _existing(target: Path, key: str, *, replace_it: bool) -> DatasetStore | None:
    """The finished store of the same import; None to import anew."""
    try:
        store = DatasetStore.open(target)
    except StoreError:
        return None
    if store.import_key == key:
        return store
    if replace_it:
        return None
    raise DataError(
        f"dataset {store.name} is there already, made from other files or with other options; name"
        " the new one with --name, or replace the old one with --replace"
    )


def _import_key(found: SourceDataset, options: ImportOptions) -> str:
    """Hash of names, sizes and times of all files, and of what changes the store."""
    files = []
    for case in found.cases:
        for path in (*files_of(case.image), *files_of(case.label)):
            stat = path.stat() if path.exists() else None
            where = path.relative_to(found.root) if path.is_relative_to(found.root) else path
            files.append([str(where), stat and stat.st_size, stat and stat.st_mtime_ns])
    chosen = {
        name: getattr(options, name) for name in ("skip_bad", "split", "split_seed", "is_synthetic")
    }
    cases = [
        [c.case, c.domain, c.split and c.split.value, sorted(c.label_map.items())]
        for c in found.cases
    ]
    settings = {d: s.as_mapping() for d, s in _settings(found, options).items()}
    text = json.dumps([cases, files, chosen, settings, found.structures, bool(options.salt)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _skipped(faults: Sequence[Fault], salt: str | None) -> dict[str, str]:
    """Case -> the lines that keep it out; with a salt, only their codes."""
    skipped: dict[str, str] = {}
    for fault in errors(faults):
        if fault.case is not None:
            name = fault.case if salt is None else salted(fault.case, salt)
            text = fault.line() if salt is None else fault.code
            skipped[name] = f"{skipped[name]} | {text}" if name in skipped else text
    return skipped


def _split_words(options: ImportOptions) -> str:
    if options.split == "seeded":
        return (
            f"seeded: 90 % of the cases of each domain train, drawn with seed {options.split_seed}"
        )
    return "desam: the first 90 % of the cases of each domain, in the order of the source, train"
