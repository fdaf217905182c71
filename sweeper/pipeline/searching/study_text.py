"""How searches read on the terminal: what each method may spend, what was spent, what won."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.records import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.pipeline.searching.studies import OpenStudy


def budget_lines(sweep: Sweep, studies: Sequence[OpenStudy]) -> list[str]:
    """What each method may spend on its search, and whether that is the same for all."""
    lines, totals = [], {}
    for method, own in _by_method(studies).items():
        epochs = sum(one.budget * one.epochs for one in own)
        per_cell = sorted({(one.budget, one.epochs) for one in own})
        each = ", ".join(f"{n} trainings of up to {epochs} epochs" for n, epochs in per_cell)
        lines.append(f"  {method}: {len(own)} cells, each {each}: {epochs} epochs")
        totals[method] = per_cell
    unsearched = sorted({trial.method.label() for trial in sweep.trials} - set(totals))
    lines += [f"  {method}: nothing searched" for method in unsearched]
    is_equal = len({tuple(found) for found in totals.values()}) <= 1 and not unsearched
    verdict = "the same for every method" if is_equal else "UNEQUAL between methods"
    return [f"search budget ({verdict}):", *lines]


def _by_method(studies: Iterable[OpenStudy]) -> dict[str, list[OpenStudy]]:
    found: dict[str, list[OpenStudy]] = {}
    for one in studies:
        found.setdefault(one.method, []).append(one)
    return found


def outcome_lines(studies: Sequence[OpenStudy]) -> list[str]:
    """What was spent and what won, by method and cell."""
    lines = []
    for method, own in _by_method(studies).items():
        records = [record for one in own if (record := one.record()) is not None]
        states = [one["state"] for record in records for one in record["tried"]]
        spent = sum(record["epochs_spent"] for record in records)
        counts = ", ".join(f"{states.count(status)} {status}" for status in ENDED)
        lines.append(
            f"searched {method}: {len(states)} trainings, {counts}; {spent} of"
            f" {sum(one.budget * one.epochs for one in own)} epochs spent"
        )
        lines += [f"  {_winner_line(record)}" for record in records]
    return lines


def _winner_line(record: Mapping[str, Any]) -> str:
    won = record["winner"]
    if won is None:
        return f"{record['name']}: no training of the search completed"
    values = ", ".join(f"{key} {short(value)}" for key, value in won["values"].items())
    scores = ", ".join(
        f"{name} {short(value)}"
        for name, value in zip(record["metric"], won["objectives"], strict=True)
    )
    changes = won["config"]["training"].get("changes") or []
    path = f", changed {len(changes)} times on its way" if changes else ""
    return f"{record['name']}: {values}{path} ({scores})"


def short(value: Any) -> str:
    """A value for people: four digits of a fraction."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
