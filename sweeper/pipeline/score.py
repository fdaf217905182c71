"""`sweeper score`: masks of another tool become rows like any other."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desam_model.scoring.metric_table import metrics
from desam_model.scoring.protocol_scores import score_protocols
from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.data.foreign_masks import CaseFrame, find_masks, other_volumes, read_mask
from sweeper.errors import DataError
from sweeper.records import Row, TrainingRecord, TrialStatus
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.tracker import sweep_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.store.dataset.store import CaseRecord, DatasetStore
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """What a person asked for.

    Attributes:
        folder: One mask file a case.
        method: Name of the row.
        source: Domain the tool was trained on, as the user says.
        seed: The same of its seed.
        structure: Structure that the masks show; the dataset's only one by default.
        label: Its value in the files; every value above 0 by default.
        sweep: Sweep whose table gets the row; the latest by default.
    """

    folder: Path
    method: str
    source: str
    seed: int = 0
    structure: str | None = None
    label: int | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """What became of the masks.

    Attributes:
        sweep: Sweep that has the rows now.
        scored: Cases with numbers.
        regridded: Those of them whose file had another grid.
        missing: Target cases without a file; their rows are undefined.
        unusable: Case to reason; their rows are undefined too.
        empty: Cases whose mask shows nothing; their Dice is 0.
        untested: Cases of the source itself that have a file; their numbers would be no test.
        unmatched: Files that are named after no case.
    """

    sweep: str
    scored: tuple[str, ...]
    regridded: tuple[str, ...]
    missing: tuple[str, ...]
    unusable: dict[str, str]
    empty: tuple[str, ...]
    untested: tuple[str, ...]
    unmatched: tuple[str, ...]


IMPORTED_SPACE = "imported"
"""Where rows go if there is no sweep on their data and none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What the masks are scored as.

    Attributes:
        train_id: Stable over imports, so that masks imported again replace themselves.
        eval_id: The same.
        structure: Segmented structure.
        cases: Cases of the other domains that show it.
    """

    train_id: str
    eval_id: str
    structure: str
    cases: tuple[CaseRecord, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    """One case: its numbers and slices by protocol, empty without a usable mask."""

    case: CaseRecord
    numbers: dict[str, tuple[Mapping[str, float], int]]
    is_regridded: bool = False
    is_empty: bool = False
    problem: str = ""


def score(workspace: Workspace, dataset: DatasetStore, request: ScoreRequest) -> ScoreOutcome:
    """Score every case of the domains that are not the source, and keep the rows.

    Raises:
        DataError: The method has no name, the source or structure is not the dataset's, no file is
            a case's, or no mask shows anything.
    """
    if not request.method.strip():
        raise DataError("--method is empty; it names the row, such as nnunet")
    request = replace(request, source=find_domain(dataset, request.source))
    target = _target(dataset, request)
    files = find_masks(request.folder, [case.case for case in dataset.cases])
    scored = [_score_case(dataset, case, target, files, request.label) for case in target.cases]
    _check_not_all_empty(scored, request)
    tracker = MlflowTracker(workspace)
    sweep = _sweep(tracker, dataset, request.sweep)
    protocols = [
        name for name, p in PROTOCOLS.items() if dataset.keeps_all_slices or not p.needs_whole_scan
    ]
    rows = tuple(row for one in scored for row in _rows(request, target, one, protocols))
    tracker.log_training(_record(dataset, request, target, sweep, rows))
    return ScoreOutcome(
        sweep=sweep,
        scored=tuple(one.case.case for one in scored if one.numbers),
        regridded=tuple(one.case.case for one in scored if one.is_regridded),
        missing=tuple(case.case for case in target.cases if case.case not in files),
        empty=tuple(one.case.case for one in scored if one.is_empty),
        unusable={one.case.case: one.problem for one in scored if one.problem},
        untested=tuple(
            c.case for c in dataset.cases if c.domain == request.source and c.case in files
        ),
        unmatched=tuple(file.name for file in other_volumes(request.folder, files)),
    )


def _check_not_all_empty(scored: Sequence[_Scored], request: ScoreRequest) -> None:
    """Refuse masks of which none shows anything: no tool is that bad, but a `--label` may be wrong.

    Raises:
        DataError: None does.
    """
    masks = [one for one in scored if one.numbers]
    if masks and all(one.is_empty for one in masks):
        value, remedy = "a value above 0", "look at the files"
        if request.label is not None:
            value, remedy = f"the value {request.label}", "name the structure's own with --label"
        raise DataError(
            f"{request.folder}: none of {len(masks)} masks holds {value} in the slices that are"
            f" scored; {remedy}"
        )


def find_domain(dataset: DatasetStore, named: str) -> str:
    """The domain with a name, or the only one that begins with it: `A` is `A-ISBI`."""
    found = [d for d in dataset.domains if d == named] or [
        d for d in dataset.domains if d.startswith(named)
    ]
    if len(found) != 1:
        raise DataError(f"source is {named!r}, {dataset.name} has {', '.join(dataset.domains)}")
    return found[0]


def _target(dataset: DatasetStore, request: ScoreRequest) -> _Target:
    structure = _structure(dataset, request.structure)
    train_id = _hash(
        ["imported", request.method, request.source, request.seed, structure, dataset.fingerprint]
    )
    return _Target(
        train_id=train_id,
        eval_id=_hash([train_id]),
        structure=structure,
        cases=tuple(
            case
            for case in dataset.cases
            if case.domain != request.source and any(case.foreground[structure])
        ),
    )


def _structure(dataset: DatasetStore, named: str | None) -> str:
    if named is None and len(dataset.structures) == 1:
        return dataset.structures[0]
    if named not in dataset.structures:
        raise DataError(
            f"structure is {named!r}, dataset {dataset.name} has {', '.join(dataset.structures)};"
            " name one with --structure"
        )
    return str(named)


def _score_case(
    dataset: DatasetStore,
    case: CaseRecord,
    target: _Target,
    files: Mapping[str, Path],
    label: int | None,
) -> _Scored:
    """The structure's own slices, and the whole scan where it is kept, as for any method."""
    if case.case not in files:
        return _Scored(case, {})
    kept = [i for i, is_there in enumerate(case.foreground[target.structure]) if is_there]
    try:
        mask = read_mask(files[case.case], _frame(dataset, case), label)
    except DataError as err:
        return _Scored(case, {}, problem=str(err))
    references = [dataset.mask(case.start + i, target.structure) for i in range(case.count)]
    reference = np.stack(references).astype(bool)
    found = score_protocols(
        (mask.slices[kept], reference[kept]),
        (mask.slices, reference) if dataset.keeps_all_slices else None,
        case=case.case,
        domain=case.domain,
        structure=target.structure,
        spacing_mm=case.spacing_mm,
    )
    numbers = {score.protocol: (score.values, score.n_slices) for score in found}
    is_empty = not mask.slices.any()
    return _Scored(case, numbers, is_regridded=mask.is_regridded, is_empty=is_empty)


def _frame(dataset: DatasetStore, case: CaseRecord) -> CaseFrame:
    source = Path(dataset.source)
    reference_file = (source.parent if source.is_file() else source) / case.label_file
    return CaseFrame(
        shape=(case.n_source_slices, *case.matrix),
        spacing_mm=case.source_spacing_mm,
        preprocessing=dataset.preprocessing[case.domain],
        z=case.z,
        reference_file=reference_file if case.label_file and reference_file.is_file() else None,
    )


def _rows(
    request: ScoreRequest, target: _Target, scored: _Scored, protocols: Sequence[str]
) -> list[Row]:
    """Every protocol and metric of a case; undefined where there is no usable mask."""
    rows = []
    for protocol in protocols:
        numbers, n_slices = scored.numbers.get(protocol, ({}, 0))
        for metric in metrics():
            value = numbers.get(metric, math.nan)
            rows.append(
                Row(
                    train_id=target.train_id,
                    eval_id=target.eval_id,
                    method=request.method,
                    seed=request.seed,
                    source=request.source,
                    target=scored.case.domain,
                    case=scored.case.case,
                    patient=scored.case.patient,
                    structure=target.structure,
                    protocol=protocol,
                    metric=metric,
                    value=value,
                    n_slices=n_slices,
                    status="undefined" if math.isnan(value) else "ok",
                    diagonal_mm=scored.case.diagonal_mm,
                )
            )
    return rows


def _record(
    dataset: DatasetStore,
    request: ScoreRequest,
    target: _Target,
    sweep: str,
    rows: tuple[Row, ...],
) -> TrainingRecord:
    name = f"{request.method} {target.structure} {request.source} seed {request.seed} (imported)"
    return TrainingRecord(
        train_id=target.train_id,
        sweep=sweep,
        name=name,
        status=TrialStatus.COMPLETED,
        params={
            "method.name": request.method,
            "source": request.source,
            "seed": str(request.seed),
            "structure": target.structure,
        },
        tags={
            "origin": "imported",
            "dataset": dataset.name,
            "dataset_fingerprint": dataset.fingerprint,
            "synthetic": "true" if dataset.is_synthetic else "false",
            "imported_from": request.folder.name,
        },
        epochs=(),
        summary={},
        evaluations={target.eval_id: {}},
        rows=rows,
    )


def _sweep(tracker: MlflowTracker, dataset: DatasetStore, named: str | None) -> str:
    """The sweep that gets the rows: the latest on the same data; made if there is none.

    Raises:
        DataError: The named sweep is on other data, whose cases these masks do not show.
    """
    if named is not None:
        sweep = tracker.results([named]).sweeps[-1]
        data = sweep.plan.get("dataset", {})
        if data.get("fingerprint") != dataset.fingerprint:
            raise DataError(
                f"sweep {sweep.name} is on dataset {data.get('name')!r} and the masks are scored on"
                f" {dataset.name!r}: no table has both; name another --sweep or --dataset"
            )
        return sweep.name
    for sweep in reversed(tracker.sweeps()):
        if sweep.plan.get("dataset", {}).get("fingerprint") == dataset.fingerprint:
            return sweep.name
    name = sweep_name(IMPORTED_SPACE, [dataset.name], [])
    data = {"name": dataset.name, "fingerprint": dataset.fingerprint}
    data |= {"synthetic": dataset.is_synthetic, "domains": list(dataset.domains)}
    about = {"report": {"columns": "source"}, "description": "Masks that other tools made."}
    tracker.prepare(name, {"cells": [], "encoder": {}, "dataset": data, **about})
    return name


def _hash(values: list[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]
