"""Rows that may be undertrained, and rows whose budgets differ: what a fair reader asks first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweeper.report.entries import REFERENCE_METHOD
from sweeper.report.words import DAGGER, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query

FALLING_SHARE = 0.02
"""A loss that lost more than this share of its whole fall in the last tenth of the epochs was still
falling. A guess: an exponential decay of ten time constants loses 0.01 % there, of three 2 %."""

DAGGER_MEANING = (
    f"{DAGGER} The row may be undertrained: a training does not beat the best constant mask on its"
    f" own training cases, or its loss was still falling (over {100 * FALLING_SHARE:.0f} % of its"
    " whole fall in the last tenth of the epochs)"
)


def unconverged(query: Query) -> dict[str, tuple[str, ...]]:
    """By row why it may be undertrained; rows whose trainings recorded nothing are not judged."""
    by_row = {label: _reasons(entries) for label, entries in query.rows.items()}
    return {label: reasons for label, reasons in by_row.items() if reasons}


def _reasons(entries: list[Entry]) -> tuple[str, ...]:
    summaries = {
        entry.train_id: entry.run.summary for entry in entries if entry.run is not None
    }.values()
    judged = [summary for summary in summaries if "loss_fall_share" in summary]
    # an undefined Dice (every mask empty) beats nothing
    below = sum(not s["train_dice"] > s["constant_dice"] for s in judged)
    falling = sum(s["loss_fall_share"] > FALLING_SHARE for s in judged)
    of = counted(len(judged), "training")
    return (
        *([f"{below} of {of} below the constant mask"] if below else []),
        *([f"{falling} of {of} with a loss still falling"] if falling else []),
    )


def convergence_notes(query: Query) -> list[str]:
    """The dagger's meaning and whom it marks; nothing where no row has one."""
    rows = unconverged(query)
    if not rows:
        return []
    listed = "; ".join(f"{label}: {', '.join(reasons)}" for label, reasons in rows.items())
    return [f"{DAGGER_MEANING}. {listed}."]


def convergence_reasons(query: Query) -> list[str]:
    """A draft reason for every row that may be undertrained."""
    return [
        f"{label} may be undertrained ({', '.join(reasons)})"
        for label, reasons in unconverged(query).items()
    ]


def unequal_budgets(query: Query) -> dict[str, str]:
    """Budgets that differ between rows, in words, by the name under which a space declares them.

    Optimiser steps are compared at each source; they are named only where the epochs are equal, as
    unequal epochs make unequal steps. Upper bounds and imported masks take no part.
    """
    budgets = {}
    epochs = _by_row(query, lambda entry: entry.values.get("training.epochs"))
    steps = _by_row(query, _steps)
    for name, values in (("epochs", epochs), ("steps", steps)):
        sources = {source for by_source in values.values() for source in by_source}
        differs = any(
            len({by_source[s] for by_source in values.values() if s in by_source}) > 1
            for s in sources
        )
        if differs and not (name == "steps" and "epochs" in budgets):
            each = ", ".join(
                f"{label} {' and '.join(sorted(set(by_source.values()), key=float))}"
                for label, by_source in values.items()
            )
            budgets[name] = f"{name} differ by row ({each})"
    return budgets


def _by_row(
    query: Query, value: Callable[[Entry], str | None]
) -> Mapping[str, Mapping[tuple[str, str], str]]:
    """By row a number of its trainings at each (source, structure); rows that say none left out."""
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for label, entries in query.rows.items():
        for entry in entries:
            number = None
            if not entry.is_imported and entry.method != REFERENCE_METHOD:
                number = value(entry)
            if number is not None:
                rows.setdefault(label, {})[entry.source, entry.structure] = number
    return rows


def _steps(entry: Entry) -> str | None:
    """Optimiser steps of a training; None where they are not known."""
    slices = None if entry.run is None else entry.run.summary.get("n_train_slices")
    epochs, batch = (entry.values.get(f"training.{key}") for key in ("epochs", "batch_size"))
    if slices is None or epochs is None or batch is None:
        return None
    return str(int(epochs) * math.ceil(slices / int(batch)))
