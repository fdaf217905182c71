"""Which training of a search is chosen, and the rule in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweeper.config.search_algorithm import MAXIMISED
from sweeper.records import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.config.search_algorithm import SearchConfig


def rule_text(search: SearchConfig) -> str:
    """How winners are chosen, in words."""
    scheduler = "" if search.scheduler == "none" else f" with {search.scheduler}"
    metrics = " and ".join(search.metric)
    how = "lowest" if search.metric[0] not in MAXIMISED else "highest"
    best = f"{how} {metrics}" if len(search.metric) == 1 else f"best compromise of {metrics}"
    return f"{search.algorithm}{scheduler}, {best} on the source's validation cases"


def front(search: SearchConfig, tried: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Completed trainings that no other one beats in every metric."""
    ended = [one for one in tried if one["state"] == TrialStatus.COMPLETED and _signed(search, one)]
    return [
        one
        for one in ended
        if not any(_dominates(_signed(search, other), _signed(search, one)) for other in ended)
    ]


def winner(search: SearchConfig, tried: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The training that is chosen; None if none completed.

    With one metric the best, the first among equals. With several the one of the front that is
    nearest to the best of each, every metric scaled by its range over the front.
    """
    candidates = front(search, tried)
    if not candidates:
        return None
    values = [_signed(search, one) for one in candidates]
    ideal = [max(column) for column in zip(*values, strict=True)]
    spans = [max(column) - min(column) or 1.0 for column in zip(*values, strict=True)]
    distances = [
        math.dist(
            [0.0] * len(ideal),
            [(top - x) / span for top, x, span in zip(ideal, own, spans, strict=True)],
        )
        for own in values
    ]
    return candidates[distances.index(min(distances))]


def _signed(search: SearchConfig, one: Mapping[str, Any]) -> list[float]:
    """Objectives with signs so that more is better; empty where one is undefined."""
    values = one["objectives"] or []
    if any(value is None or math.isnan(value) for value in values):
        return []
    return [
        value if name in MAXIMISED else -value
        for name, value in zip(search.metric, values, strict=True)
    ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
