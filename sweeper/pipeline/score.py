"""`sweeper score`: scores masks of another tool and logs the rows like those of a method."""

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
from desam_model.types import Split
from sweeper.data.foreign_masks import CaseFrame, find_masks, other_volumes, read_mask
from sweeper.errors import DataError
from sweeper.records import Row, TrainingRecord, TrialStatus, in_domain_test
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.tracker import sweep_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.store.dataset.store import CaseRecord, DatasetStore
    from sweeper.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """The arguments of `sweeper score`.

    Attributes:
        folder: Folder with one mask file per case.
        method: Name of the row.
        source: Domain on which the tool was trained, as stated by the user.
        seed: Seed of the tool's training, as stated by the user.
        structure: Segmented structure; by default the only one of the dataset.
        labels: Its values in the files; by default the only one above 0.
        sweep: Sweep whose table gets the row; by default the latest.
    """

    folder: Path
    method: str
    source: str
    seed: int = 0
    structure: str | None = None
    labels: tuple[int, ...] = ()
    sweep: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """The result of scoring the masks.

    Attributes:
        sweep: Sweep to which the rows were added.
        scored: Cases with scores.
        regridded: Scored cases whose file had another grid.
        missing: Target cases without a file; their rows are undefined.
        unusable: Reason by case for files that cannot be used; their rows are undefined too.
        empty: Cases with an empty mask; their Dice is 0.
        untested: Cases of the source domain with a file; they are not scored, because they are not
            test cases.
        unmatched: Files whose names match no case.
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
"""Name of the sweep for the rows if there is no sweep on their dataset and none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Identity and cases of the imported masks.

    Attributes:
        train_id: The same for each import, so that masks that are imported again are replaced.
        eval_id: The same for each import.
        structure: Segmented structure.
        cases: Cases of the target domains that contain the structure.
    """

    train_id: str
    eval_id: str
    structure: str
    cases: tuple[CaseRecord, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    """One case with its metrics and number of slices by protocol; empty without a usable mask."""

    case: CaseRecord
    values: dict[str, tuple[Mapping[str, float], int]]
    is_regridded: bool = False
    is_empty: bool = False
    problem: str = ""


def score(workspace: Workspace, dataset: DatasetStore, request: ScoreRequest) -> ScoreOutcome:
    """Score the test cases of the source and all cases of the other domains, and log the rows.

    Raises:
        DataError: The method has no name, the dataset does not have the source or structure, no
            file matches a case, or all masks are empty.
    """
    # check the request and find the files
    if not request.method.strip():
        raise DataError("--method is empty; it is the name of the row, such as nnunet")
    request = replace(request, source=find_domain(dataset, request.source))
    target = _target(dataset, request)
    files = find_masks(request.folder, [case.case for case in dataset.cases])
    # score the cases
    scored = [_score_case(dataset, case, target, files, request.labels) for case in target.cases]
    _check_not_all_empty(scored, request)
    # log the rows
    tracker = MlflowTracker(workspace)
    sweep = _sweep(tracker, dataset, request.sweep)
    protocols = [
        name for name, p in PROTOCOLS.items() if dataset.keeps_all_slices or not p.needs_whole_scan
    ]
    rows = tuple(row for case in scored for row in _rows(request, target, case, protocols))
    tracker.log_training(_record(dataset, request, target, sweep, rows))
    return ScoreOutcome(
        sweep=sweep,
        scored=tuple(s.case.case for s in scored if s.values),
        regridded=tuple(s.case.case for s in scored if s.is_regridded),
        missing=tuple(case.case for case in target.cases if case.case not in files),
        empty=tuple(s.case.case for s in scored if s.is_empty),
        unusable={s.case.case: s.problem for s in scored if s.problem},
        untested=tuple(
            c.case
            for c in dataset.cases
            if c.domain == request.source and c.split is not Split.TEST and c.case in files
        ),
        unmatched=tuple(file.name for file in other_volumes(request.folder, files)),
    )


def _check_not_all_empty(scored: Sequence[_Scored], request: ScoreRequest) -> None:
    """Refuse masks that are all empty, because `--label` is then probably wrong.

    Raises:
        DataError: All masks are empty.
    """
    masks = [case for case in scored if case.values]
    if masks and all(case.is_empty for case in masks):
        value, remedy = "a value above 0", "check the files"
        if request.labels:
            value = f"the value {' or '.join(map(str, request.labels))}"
            remedy = "set --label to the value of the structure"
        raise DataError(
            f"{request.folder}: none of {len(masks)} masks contains {value} in the scored slices;"
            f" {remedy}"
        )


def find_domain(dataset: DatasetStore, name: str) -> str:
    """The domain with this name, or the only one that starts with it: `A` means `A-ISBI`."""
    matches = [d for d in dataset.domains if d == name] or [
        d for d in dataset.domains if d.startswith(name)
    ]
    if len(matches) != 1:
        raise DataError(
            f"source is {name!r}, dataset {dataset.name} has {', '.join(dataset.domains)}; choose"
            " one with --source"
        )
    return matches[0]


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
            if (case.domain != request.source or case.split is Split.TEST)
            and any(case.foreground[structure])
        ),
    )


def _structure(dataset: DatasetStore, name: str | None) -> str:
    if name is None and len(dataset.structures) == 1:
        return dataset.structures[0]
    if name not in dataset.structures:
        raise DataError(
            f"structure is {name!r}, dataset {dataset.name} has {', '.join(dataset.structures)};"
            " choose one with --structure"
        )
    return str(name)


def _score_case(
    dataset: DatasetStore,
    case: CaseRecord,
    target: _Target,
    files: Mapping[str, Path],
    labels: Sequence[int],
) -> _Scored:
    """Scores of the slices with the structure, and of the whole scan if it is kept."""
    if case.case not in files:
        return _Scored(case, {})
    # read the mask on the grid of the dataset
    slices = [i for i, has_it in enumerate(case.foreground[target.structure]) if has_it]
    try:
        mask = read_mask(files[case.case], _frame(dataset, case), labels)
    except DataError as err:
        return _Scored(case, {}, problem=str(err))
    # compare it with the reference
    references = [dataset.reference(case.start + i, target.structure) for i in range(case.count)]
    labelled = np.stack(references)
    scored, reference = mask.slices & (labelled >= 0), labelled > 0
    case_scores = score_protocols(
        (scored[slices], reference[slices]),
        (scored, reference) if dataset.keeps_all_slices else None,
        case=case.case,
        domain=case.domain,
        structure=target.structure,
        spacing_mm=case.spacing_mm,
    )
    values = {score.protocol: (score.values, score.n_slices) for score in case_scores}
    is_empty = not mask.slices.any()
    return _Scored(case, values, is_regridded=mask.is_regridded, is_empty=is_empty)


def _frame(dataset: DatasetStore, case: CaseRecord) -> CaseFrame:
    source = Path(dataset.source)
    reference_file = (source.parent if source.is_file() else source) / case.label_file
    return CaseFrame(
        shape=(case.n_source_slices, *case.matrix),
        spacing_mm=case.source_spacing_mm,
        preprocessing=dataset.preprocessing[case.domain],
        z=case.z,
        affine=np.array(case.affine) if case.affine else None,
        has_geometry=case.has_geometry,
        reference_file=reference_file if case.label_file and reference_file.is_file() else None,
    )


def _rows(
    request: ScoreRequest, target: _Target, scored: _Scored, protocols: Sequence[str]
) -> list[Row]:
    """The rows of a case for all protocols and metrics; undefined without a usable mask."""
    rows = []
    for protocol in protocols:
        values, n_slices = scored.values.get(protocol, ({}, 0))
        for metric in metrics():
            value = values.get(metric, math.nan)
            rows.append(
                Row(
                    train_id=target.train_id,
                    eval_id=target.eval_id,
                    method=request.method,
                    seed=request.seed,
                    source=request.source,
                    target=in_domain_test(scored.case.domain)
                    if scored.case.domain == request.source
                    else scored.case.domain,
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


def _sweep(tracker: MlflowTracker, dataset: DatasetStore, name: str | None) -> str:
    """The sweep that gets the rows: by default the latest on this dataset, created if needed.

    Raises:
        DataError: The given sweep uses another dataset.
    """
    if name is not None:
        sweep = tracker.results([name]).sweeps[-1]
        data = sweep.plan.get("dataset", {})
        if data.get("fingerprint") != dataset.fingerprint:
            raise DataError(
                f"sweep {sweep.name} uses dataset {data.get('name')!r}, but the masks are scored on"
                f" {dataset.name!r}; choose another --sweep or --dataset"
            )
        return sweep.name
    for sweep in reversed(tracker.sweeps()):
        if sweep.plan.get("dataset", {}).get("fingerprint") == dataset.fingerprint:
            return sweep.name
    name = sweep_name(IMPORTED_SPACE, [dataset.name], [])
    data = {"name": dataset.name, "fingerprint": dataset.fingerprint}
    data |= {"synthetic": dataset.is_synthetic, "domains": list(dataset.domains)}
    about = {"report": {"columns": "source"}, "description": "Masks of other tools."}
    tracker.prepare(name, {"cells": [], "encoder": {}, "dataset": data, **about})
    return name


def _hash(values: list[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]
