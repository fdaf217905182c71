"""Notes on searched values: the rule that selected them, and the number of trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.report.entries import REFERENCE_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query


def search_notes(query: Query) -> list[str]:
    """One line per selection rule; empty if no values were searched."""
    searches = _searches(query)
    rules: dict[str, set[int]] = {}
    for entry in _measured(query):
        search = searches.get(entry.train_id)
        if search is not None:
            rules.setdefault(search["rule"], set()).add(search["budget"])
    return [
        f"Values chosen by a search: {rule}; {_range(tried)} trainings tried for each cell, each"
        " evaluated only on its source."
        for rule, tried in sorted(rules.items())
    ]


def search_reasons(query: Query) -> list[str]:
    """Draft reasons if the searches of the rows differ in budget or rule."""
    searches = _searches(query)
    tried: dict[str, set[int]] = {}
    budgets: set[tuple[int, int]] = set()
    rules: set[str] = set()
    for entry in _measured(query):
        search = searches.get(entry.train_id)
        tried.setdefault(entry.label, set()).add(search["budget"] if search else 0)
        budgets.add((search["budget"], search["epochs"]) if search else (0, 0))
        rules |= {search["rule"]} if search else set()
    reasons = []
    if len(budgets) > 1:
        each = ", ".join(f"{label} {_range(counts)}" for label, counts in tried.items())
        reasons.append(f"unequal searches (trainings tried for a cell: {each})")
    if len(rules) > 1:
        reasons.append(f"values chosen by {len(rules)} different rules")
    return reasons


def _searches(query: Query) -> dict[str, Mapping[str, Any]]:
    """train_id -> the search that selected the training."""
    return {
        train_id: search
        for sweep in query.results.sweeps
        for search in sweep.plan.get("searches", ())
        for train_id in search["trainings"]
    }


def _measured(query: Query) -> list[Entry]:
    """Entries with a measured run; without upper bounds, which do not compete."""
    return [
        entry
        for entry in query.entries
        if entry.run is not None and not entry.is_imported and entry.method != REFERENCE_METHOD
    ]


def _range(counts: set[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
