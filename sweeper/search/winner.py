"""Which training of a search is chosen, and the rule in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweeper.config.search_algorithm import MAXIMISED
from sweeper.records import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.search_algorithm import SearchConfig
    from sweeper.search.study import Tried


def rule_text(search: SearchConfig) -> str:
    """How winners are chosen, in words."""
    scheduler = "" if search.scheduler == "none" else f" with {search.scheduler}"
    metrics = " and ".join(search.metric)
    how = "lowest" if search.metric[0] not in MAXIMISED else "highest"
    best = f"{how} {metrics}" if len(search.metric) == 1 else f"best compromise of {metrics}"
    return f"{search.algorithm}{scheduler}, {best} on the source's validation cases"


def front(search: SearchConfig, tried: Sequence[Tried]) -> list[Tried]:
    """Completed trainings that no other one beats in every metric."""
    completed = [t for t in tried if t.status is TrialStatus.COMPLETED and t.objectives is not None]
    merits = [_merits(search, training) for training in completed]
    return [
        training
        for training, own in zip(completed, merits, strict=True)
        if not any(_dominates(other, own) for other in merits)
    ]


def winner(search: SearchConfig, tried: Sequence[Tried]) -> Tried | None:
    """The training that is chosen; None if none completed.

    With one metric the best, the first among equals. With several the one of the front that is
    nearest to the best of each, every metric scaled by its range over the front.
    """
    candidates = front(search, tried)
    if not candidates:
        return None
    merits = [_merits(search, candidate) for candidate in candidates]
    ideal = [max(column) for column in zip(*merits, strict=True)]
    spans = [max(column) - min(column) or 1.0 for column in zip(*merits, strict=True)]
    distances = [
        math.hypot(
            *((best - own) / span for best, own, span in zip(ideal, row, spans, strict=True))
        )
        for row in merits
    ]
    return candidates[distances.index(min(distances))]


def _merits(search: SearchConfig, training: Tried) -> list[float]:
    """Objectives with signs so that more is better."""
    return [
        value if name in MAXIMISED else -value
        for name, value in zip(search.metric, training.objectives or (), strict=True)
    ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
