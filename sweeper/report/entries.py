"""What a sweep planned, joined with what its runs hold: the entries every table is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.config.problems import nearest
from sweeper.errors import ConfigError
from sweeper.records import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeper.tracking.tracker import Score, TrackedResults, TrackedRun

REFERENCE_METHOD = "upper_bound"
_NO_LABEL = ("seed", "source", "structure", "fold", "target")
_SHORT_ROWS = {"ablation": "method.ablation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One planned scoring of one training, done or not.

    Attributes:
        train_id: Identity of the training.
        eval_id: Identity of the scoring.
        values: Flat settings of both, by full key, such as `training.lr` and `grid_size`.
        run: The training's run, if it completed with this scoring.
        status: How the training ended; None if it is still to come.
        label: Name of the row it belongs to.
        group: That name before differing settings were added to it.
        is_imported: True for masks of another tool.
    """

    train_id: str
    eval_id: str
    values: Mapping[str, str]
    run: TrackedRun | None
    status: TrialStatus | None
    label: str = ""
    group: str = ""
    is_imported: bool = False

    @property
    def source(self) -> str:
        """Domain trained on; `all` for one training over all of them."""
        return self.values.get("source", "")

    @property
    def seed(self) -> str:
        """Seed of the training."""
        return self.values.get("seed", "0")

    @property
    def structure(self) -> str:
        """Segmented structure."""
        return self.values.get("structure", "")

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.values.get("method.name", "")

    @property
    def is_done(self) -> bool:
        """True if its numbers are there."""
        return self.run is not None

    def measures(self, metric: str, protocol: str) -> bool:
        """True if its numbers of a metric under a protocol are there.

        A former version may have had fewer metrics, and a scoring without whole scans has no
        protocol that needs them.
        """
        scores = list(self.scores(protocol))
        return bool(scores) and all(metric in score.values for score in scores)

    def scores(self, protocol: str) -> Iterable[Score]:
        """Its cases under one protocol."""
        if self.run is None:
            return ()
        return (s for s in self.run.scores if s.eval_id == self.eval_id and s.protocol == protocol)


def gather(results: TrackedResults) -> tuple[Entry, ...]:
    """Every planned scoring of the sweeps, each once, and every imported one."""
    runs: dict[str, TrackedRun] = {}
    for run in results.runs:
        known = runs.get(run.train_id)
        if known is None or known.status is not TrialStatus.COMPLETED:
            runs[run.train_id] = run
    # a run's file of numbers may be lost, whatever its tags say
    scored = {run.train_id: {score.eval_id for score in run.scores} for run in runs.values()}
    entries: dict[tuple[str, str], Entry] = {}
    for sweep in results.sweeps:
        for cell in sweep.plan["cells"]:
            train_id = cell["train_id"]
            entry = _entry(cell, runs.get(train_id), scored.get(train_id, set()))
            entries.setdefault((entry.train_id, entry.eval_id), entry)
    for run in runs.values():
        if run.tags.get("origin") == "imported":
            for eval_id, settings in run.evaluations.items():
                cell = {
                    "train_id": run.train_id,
                    "eval_id": eval_id,
                    "params": run.params,
                    "evaluation": settings,
                }
                entries[run.train_id, eval_id] = replace(
                    _entry(cell, run, scored[run.train_id]), is_imported=True
                )
    return tuple(entries.values())


def _entry(cell: Mapping[str, Any], run: TrackedRun | None, scored: set[str]) -> Entry:
    is_done = (
        run is not None
        and run.status is TrialStatus.COMPLETED
        and cell["eval_id"] in run.evaluations
        and cell["eval_id"] in scored
    )
    return Entry(
        train_id=cell["train_id"],
        eval_id=cell["eval_id"],
        values={**cell["params"], **cell["evaluation"]},
        run=run if is_done else None,
        status=None if run is None else run.status,
    )


def restrict(entries: Sequence[Entry], where: Sequence[str]) -> tuple[Entry, ...]:
    """The entries that have every one of some settings, each `KEY=VALUE`.

    Raises:
        ConfigError: A condition is no `KEY=VALUE`, or leaves nothing.
    """
    left = tuple(entries)
    for condition in where:
        key, is_pair, value = condition.partition("=")
        if not is_pair:
            raise ConfigError(f"where: {condition!r} is no KEY=VALUE, such as source=A-ISBI")
        full = "method.name" if key == "method" else _full_key(key, entries, "where")
        values = sorted({entry.values.get(full, "") for entry in left})
        left = tuple(entry for entry in left if entry.values.get(full) == value)
        if not left:
            raise ConfigError(
                f"where: no training has {condition}{nearest(value, values)}; there are"
                f" {', '.join(values)}"
            )
    return left


def label_rows(entries: Sequence[Entry], rows: str) -> tuple[Entry, ...]:
    """The entries with the name of their row.

    Entries that a row's name would throw together, though they differ in more than seed, source,
    structure and fold, get the differing settings added to their name: they are never averaged.
    Masks of another tool have rows of their own, named after it.

    Args:
        entries: All of a report.
        rows: `method`, or keys with commas.

    Raises:
        ConfigError: A key that no entry has.
    """
    keys = [_full_key(part.strip(), entries, "rows") for part in rows.split(",")]
    by_label: dict[str, list[Entry]] = {}
    for entry in entries:
        by_label.setdefault(_label(entry, keys), []).append(entry)
    named: dict[int, Entry] = {}
    for label, members in by_label.items():
        extra = _telling_apart(members)
        for entry in members:
            own = [key for key in extra if entry.values.get(key)]
            suffix = ", ".join(f"{key.split('.')[-1]} {entry.values[key]}" for key in own)
            full = f"{label} ({suffix})" if suffix else label
            named[id(entry)] = replace(entry, label=full, group=label)
    return tuple(named[id(entry)] for entry in entries)


def _full_key(part: str, entries: Sequence[Entry], asked: str) -> str:
    if part == "method":
        return part
    known = sorted({key for entry in entries for key in entry.values})
    short = _SHORT_ROWS.get(part, part)
    matches = [key for key in known if key == short] or [
        key for key in known if key.endswith(f".{short}")
    ]
    if len(matches) != 1:
        what = f"names {' and '.join(matches)}" if matches else "is in no training"
        raise ConfigError(
            f"{asked}: {part!r} {what}{nearest(part, known)}; use method, ablation, grid_size or"
            f" one of {', '.join(known)}"
        )
    return matches[0]


def _label(entry: Entry, keys: Sequence[str]) -> str:
    """Name of a row; masks of another tool have none of our settings, and never join our rows."""
    if entry.is_imported:
        return f"{entry.method} [imported]"
    return " | ".join(_part(key, entry) for key in keys)


def _part(key: str, entry: Entry) -> str:
    if key == "method":
        return method_label(entry.values)
    return entry.values.get(key) or "-"


def method_label(values: Mapping[str, str]) -> str:
    """Name of a method's row: whole box and grid points are two rows, as in the paper."""
    name = values.get("method.name", "?")
    parts = [name]
    for key in ("method.prompt_mode", "method.variant"):
        if values.get(key) and not (name == "medsam" and key == "method.variant"):
            parts.append(values[key])
    if values.get("method.profile") == "official":
        parts.append("official")
    if values.get("method.start"):
        parts.append(f"from {values['method.start']}")
    return " ".join(parts)


def _telling_apart(members: Sequence[Entry]) -> list[str]:
    """Keys by which entries of one cell differ; empty where no cell holds two."""
    cells: dict[tuple[str, ...], list[Entry]] = {}
    for entry in members:
        where = tuple(entry.values.get(key, "") for key in _NO_LABEL)
        cells.setdefault(where, []).append(entry)
    if all(len(cell) == 1 for cell in cells.values()):
        return []
    keys = sorted({key for entry in members for key in entry.values} - set(_NO_LABEL))
    return [key for key in keys if len({entry.values.get(key, "") for entry in members}) > 1]
