"""The planned scorings of a sweep joined with their runs: the entries of every table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.config.problems import matching_key, nearest
from sweeper.config.sources import domains_in
from sweeper.errors import ConfigError
from sweeper.records import TrialStatus
from sweeper.report.encoder_names import ENCODER_KEY, ENCODER_KEYS, display_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeper.tracking.tracker import Score, TrackedResults, TrackedRun

REFERENCE_METHOD = "upper_bound"
_NO_LABEL = ("seed", "source", "structure", "fold", "target")
_SHORT_ROWS = {"ablation": "method.ablation", "encoder": ENCODER_KEY, "pool": "encoder.pool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One planned scoring of one training, finished or not.

    Attributes:
        train_id: Identity of the training.
        eval_id: Identity of the evaluation.
        values: Flattened settings of both, such as `training.lr` and `grid_size`.
        run: The training's run, if it completed with this scoring.
        status: How the training ended; None if it has not run yet.
        label: Name of its row.
        group: The name of the row before differing settings were added.
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
        """What it was trained on: a domain, several as `A+B`, or `all`."""
        return self.values.get("source", "")

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that its source names; none for `all`."""
        return domains_in(self.source)

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
        """True if its scores exist."""
        return self.run is not None

    def measures(self, metric: str, protocol: str) -> bool:
        """True if its scores under the protocol exist and have the metric.

        Earlier versions had fewer metrics, and a scoring without whole scans has no protocol that
        needs them.
        """
        scores = list(self.scores(protocol))
        return bool(scores) and all(metric in score.values for score in scores)

    def scores(self, protocol: str) -> Iterable[Score]:
        """The scores of its cases under one protocol."""
        if self.run is None:
            return ()
        return (s for s in self.run.scores if s.eval_id == self.eval_id and s.protocol == protocol)


def gather(results: TrackedResults) -> tuple[Entry, ...]:
    """All planned scorings of the sweeps, each once, and all imported ones."""
    runs: dict[str, TrackedRun] = {}
    for run in results.runs:
        known = runs.get(run.train_id)
        if known is None or known.status is not TrialStatus.COMPLETED:
            runs[run.train_id] = run
    # the run's file of scores may be missing, whatever its tags say
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
    """The entries that fulfil all conditions, each `KEY=VALUE`.

    Raises:
        ConfigError: A condition is not of the form `KEY=VALUE`, or no entry fulfils it.
    """
    remaining = tuple(entries)
    for condition in where:
        key, is_pair, value = condition.partition("=")
        if not is_pair:
            raise ConfigError(f"where: {condition!r} is not KEY=VALUE, such as source=A-ISBI")
        full = "method.name" if key == "method" else _full_key(key, entries, "where")
        values = sorted({entry.values.get(full, "") for entry in remaining})
        remaining = tuple(entry for entry in remaining if entry.values.get(full) == value)
        if not remaining:
            raise ConfigError(
                f"where: no training has {condition}{nearest(value, values)}; the values are"
                f" {', '.join(values)}"
            )
    return remaining


def label_rows(entries: Sequence[Entry], rows: str, columns: str = "source") -> tuple[Entry, ...]:
    """The entries with the names of their rows.

    If entries with the same name differ in more than seed, source, structure, fold and target, the
    differing settings are added to their names, so that they are never averaged. Masks of another
    tool have separate rows, named after the tool.

    Args:
        entries: All entries of a report.
        rows: `method`, or keys separated by commas.
        columns: The direction; encoders in columns do not distinguish rows.

    Raises:
        ConfigError: A key that no entry has.
    """
    same_row = (*_NO_LABEL, *(ENCODER_KEYS if columns == "encoder" else ()))
    keys = row_keys(entries, rows)
    by_label: dict[str, list[Entry]] = {}
    for entry in entries:
        by_label.setdefault(_label(entry, keys), []).append(entry)
    named: dict[int, Entry] = {}
    for label, members in by_label.items():
        differing = _differing_keys(members, same_row)
        for entry in members:
            keys_set = [key for key in differing if entry.values.get(key)]
            suffix = ", ".join(f"{key.split('.')[-1]} {entry.values[key]}" for key in keys_set)
            full = f"{label} ({suffix})" if suffix else label
            named[id(entry)] = replace(entry, label=full, group=label)
    return tuple(named[id(entry)] for entry in entries)


def row_keys(entries: Sequence[Entry], rows: str) -> list[str]:
    """The full keys of `rows`, such as `method.ablation` for `ablation`.

    Raises:
        ConfigError: A key that no entry has.
    """
    return [_full_key(part.strip(), entries, "rows") for part in rows.split(",")]


def _full_key(part: str, entries: Sequence[Entry], option: str) -> str:
    if part == "method":
        return part
    known = sorted({key for entry in entries for key in entry.values})
    try:
        return matching_key(_SHORT_ROWS.get(part, part), known)
    except ValueError as err:
        raise ConfigError(
            f"{option}: {part!r} {err}; use method, ablation, grid_size or one of"
            f" {', '.join(known)}"
        ) from err


def _label(entry: Entry, keys: Sequence[str]) -> str:
    """Name of a row; masks of another tool never share a row with our trainings."""
    if entry.is_imported:
        return f"{entry.method} [imported]"
    return " | ".join(_part(key, entry) for key in keys)


def _part(key: str, entry: Entry) -> str:
    if key == "method":
        return method_label(entry.values)
    value = entry.values.get(key) or "-"
    return display_name(value) if key == ENCODER_KEY else value


def method_label(values: Mapping[str, str]) -> str:
    """Name of a method's row; whole box and grid points are two rows, as in the paper."""
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


def _differing_keys(members: Sequence[Entry], same_row: Sequence[str]) -> list[str]:
    """Keys in which entries of one cell differ; empty if every cell has one entry.

    Args:
        members: Entries of one name.
        same_row: The keys in which entries of one row may differ.
    """
    cells: dict[tuple[str, ...], list[Entry]] = {}
    for entry in members:
        cell_key = tuple(entry.values.get(key, "") for key in same_row)
        cells.setdefault(cell_key, []).append(entry)
    if all(len(cell) == 1 for cell in cells.values()):
        return []
    keys = sorted({key for entry in members for key in entry.values} - set(same_row))
    return [key for key in keys if len({entry.values.get(key, "") for entry in members}) > 1]
