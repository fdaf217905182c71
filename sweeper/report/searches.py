"""What a table must say of values that a search chose: by which rule, of how many trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.report.entries import REFERENCE_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query


def search_notes(query: Query) -> list[str]:
    """One line a rule; nothing where no search chose."""
    searches = _searches(query)
    rules: dict[str, set[int]] = {}
    for entry in _own(query):
        found = searches.get(entry.train_id)
        if found is not None:
            rules.setdefault(found["rule"], set()).add(found["budget"])
    return [
        f"Values chosen by a search: {rule}; {_range(tried)} trainings tried for each cell, each"
        " seen on its source alone."
        for rule, tried in sorted(rules.items())
    ]


def search_reasons(query: Query) -> list[str]:
    """A draft reason where rows had unequal searches: other budgets, or other rules."""
    searches = _searches(query)
    tried: dict[str, set[int]] = {}
    budgets: set[tuple[int, int]] = set()
    rules: set[str] = set()
    for entry in _own(query):
        found = searches.get(entry.train_id)
        tried.setdefault(entry.label, set()).add(found["budget"] if found else 0)
        budgets.add((found["budget"], found["epochs"]) if found else (0, 0))
        rules |= {found["rule"]} if found else set()
    reasons = []
    if len(budgets) > 1:
        each = ", ".join(f"{label} {_range(found)}" for label, found in tried.items())
        reasons.append(f"unequal searches (trainings tried for a cell: {each})")
    if len(rules) > 1:
        reasons.append(f"values chosen by {len(rules)} different rules")
    return reasons


def _searches(query: Query) -> dict[str, Mapping[str, Any]]:
    """The search that chose a training, by the training."""
    return {
        train_id: search
        for sweep in query.results.sweeps
        for search in sweep.plan.get("searches", ())
        for train_id in search["trainings"]
    }


def _own(query: Query) -> list[Entry]:
    """Entries with a run of ours; a reference is no competitor."""
    return [
        entry
        for entry in query.entries
        if entry.run is not None and not entry.is_imported and entry.method != REFERENCE_METHOD
    ]


def _range(counts: set[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
