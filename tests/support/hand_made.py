"""Results made by hand, small enough to do every table's arithmetic on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweeper.records import TrialStatus
from sweeper.tracking.tracker import Score, TrackedResults, TrackedRun, TrackedSweep

SITES = ("A", "B", "C")
"""Their cases are a1 a2, b1 b2 b3, c1 where a test does not say otherwise: unequal on purpose, so
that pooling cases and averaging sites give different numbers."""


def scores(
    eval_id: str, values: dict[str, tuple[float, ...]], *, strict_loss: float = 0.1
) -> tuple[Score, ...]:
    """Dice by site, case by case; `strict` is lower by `strict_loss`, distances follow Dice."""
    return tuple(
        Score(
            eval_id,
            site,
            case,
            "prostate",
            protocol,
            5,
            {
                "dice": dice - (strict_loss if protocol == "strict" else 0.0),
                "hd95_mm": 100 * (1 - dice),
                "asd_mm": 10 * (1 - dice),
            },
        )
        for protocol in ("desam2024", "strict")
        for site, numbers in values.items()
        for case, dice in zip(_cases(site, len(numbers)), numbers, strict=True)
    )


def _cases(site: str, count: int) -> tuple[str, ...]:
    """As many cases as numbers, named after their site."""
    return tuple(f"{site.lower()}{i + 1}" for i in range(count))


def run(
    method: str,
    source: str,
    values: dict[str, tuple[float, ...]],
    *,
    seed: int = 0,
    status: TrialStatus = TrialStatus.COMPLETED,
    tags: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    evaluation: dict[str, str] | None = None,
    summary: dict[str, float] | None = None,
) -> TrackedRun:
    """One training of a method."""
    extra = "".join(f"-{v}" for v in (params or {}).values())
    train_id = f"{method}-{source}-{seed}{extra}"
    eval_id = f"{train_id}-e" + "".join((evaluation or {}).values())
    return TrackedRun(
        run_id=train_id,
        sweep="golden",
        name=train_id,
        status=status,
        params={
            "method.name": method,
            "source": source,
            "seed": str(seed),
            "structure": "prostate",
            **(params or {}),
        },
        tags={
            "train_id": train_id,
            "synthetic": "false",
            "code_version": f"code-{method}",
            "dataset": "hand-made",
            "dataset_fingerprint": "d" * 16,
            "encoder": "vit_h",
            "encoder_fingerprint": "e" * 16,
            **(tags or {}),
        },
        summary=summary or {},
        evaluations={eval_id: evaluation or {}},
        scores=scores(eval_id, values) if status is TrialStatus.COMPLETED else (),
        artifacts=Path("/nowhere"),
    )


def results(
    *runs: TrackedRun, missing: tuple[TrackedRun, ...] = (), report: dict[str, Any] | None = None
) -> TrackedResults:
    """A sweep that planned `runs` and `missing`, and has `runs`."""
    cells = [
        {"train_id": r.train_id, "eval_id": e, "params": dict(r.params), "evaluation": dict(s)}
        for r in (*runs, *missing)
        for e, s in r.evaluations.items()
    ]
    plan = {
        "cells": cells,
        "report": report or {},
        "dataset": {"domains": list(SITES), "synthetic": False},
        "encoder": {},
    }
    sweep = TrackedSweep(
        name="golden", run_id="p", experiment_id="1", plan=plan, artifacts=Path("/nowhere")
    )
    return TrackedResults(sweeps=(sweep,), runs=runs)


def plain(seed: int = 0, gain: float = 0.0, method: str = "unet") -> tuple[TrackedRun, ...]:
    """A method trained on each site; Dice on targets as in the table of `test_golden.py`."""
    return (
        run(method, "A", {"A": (0.9, 0.9), "B": (0.6, 0.6, 0.6), "C": (0.2 + gain,)}, seed=seed),
        run(method, "B", {"A": (0.5, 0.7), "B": (0.8,) * 3, "C": (0.3 + gain,)}, seed=seed),
        run(method, "C", {"A": (0.4, 0.4), "B": (0.2, 0.3, 0.4), "C": (0.7,)}, seed=seed),
    )
