"""What each row cost: the table that people with one small GPU read first."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from sweeper.report.plain_table import PlainTable
from sweeper.report.words import DASH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweeper.report.query import Query
    from sweeper.tracking.tracker import TrackedRun

_MEGA, _GIGA = 1e6, 1e9


def cost_table(query: Query, folders: Mapping[str, Path]) -> PlainTable:
    """Parameters, memory, times and disk by row, and the whole sweep's hours.

    Args:
        query: The trainings.
        folders: Folders whose size is told, by name, such as the embedding stores'.
    """
    rows = []
    for label, entries in query.rows.items():
        runs = list({e.train_id: e.run for e in entries if e.run is not None}.values())
        rows.append(
            (
                label,
                str(len(runs)),
                _text(runs, "trainable_parameters", max, _MEGA, "{:.2f}"),
                _text(runs, "peak_memory_bytes", max, _GIGA, "{:.2f}"),
                _text(runs, "seconds", fmean, 60, "{:.1f}"),
                _text(runs, "evaluation_seconds_per_slice", fmean, 0.001, "{:.1f}"),
            )
        )
    return PlainTable(
        name=f"{query.name}-costs",
        title="Costs",
        header=(
            "row",
            "trainings",
            "trainable parameters (M)",
            "peak memory (GB)",
            "training (min)",
            "test (ms/slice)",
        ),
        rows=tuple(rows),
        notes=(*_hours(query), *_disk(folders)),
    )


def _text(
    runs: Sequence[TrackedRun],
    key: str,
    join: Callable[[list[float]], float],
    unit: float,
    form: str,
) -> str:
    values = [run.summary[key] for run in runs if key in run.summary]
    return form.format(join(values) / unit) if values else DASH


def _hours(query: Query) -> list[str]:
    """Training hours of the whole sweep by device; memory means the device's."""
    hours: dict[str, float] = {}
    for run in query.results.runs:
        device = run.tags.get("device") or "unknown device"
        hours[device] = hours.get(device, 0.0) + run.summary.get("seconds", 0.0) / 3600
    listed = ", ".join(f"{value:.2f} h on {device}" for device, value in hours.items())
    return [
        f"Whole sweep, failed and searched trainings included: {listed}.",
        "Peak memory: the device's (CUDA), or the process's anonymous memory (CPU).",
    ]


def _disk(folders: Mapping[str, Path]) -> list[str]:
    return [f"Disk: {name} {size(path) / _GIGA:.2f} GB." for name, path in folders.items()]


def size(path: Path) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
