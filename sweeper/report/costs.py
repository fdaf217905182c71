"""The cost table: parameters, memory, times and disk space of each row."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from sweeper.report.formats.plain_table import PlainTable
from sweeper.report.words import DASH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweeper.report.query import Query
    from sweeper.tracking.tracker import TrackedRun

_GIGA = 1e9


def cost_table(query: Query, folders: Mapping[str, Path]) -> PlainTable:
    """Parameters, memory and times by row; hours of the sweep and disk space as notes.

    Args:
        query: Query with the trainings.
        folders: Name -> folder whose size is reported, such as the embedding stores.
    """
    rows = []
    for label, entries in query.rows.items():
        runs = list({e.train_id: e.run for e in entries if e.run is not None}.values())
        rows.append(
            (
                label,
                str(len(runs)),
                _text(runs, "trainable_parameters", max, lambda n: f"{n / 1e6:.2f}"),
                _text(runs, "peak_memory_bytes", max, lambda n: f"{n / _GIGA:.2f}"),
                _text(runs, "seconds", fmean, duration_text),
                _text(runs, "evaluation_seconds_per_slice", fmean, lambda s: f"{1000 * s:.1f}"),
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
            "time of a training",
            "test (ms/slice)",
        ),
        rows=tuple(rows),
        notes=(*_hours(query), *_disk(folders)),
    )


def _text(
    runs: Sequence[TrackedRun],
    key: str,
    join: Callable[[list[float]], float],
    shown: Callable[[float], str],
) -> str:
    values = [run.summary[key] for run in runs if key in run.summary]
    return shown(join(values)) if values else DASH


def duration_text(seconds: float) -> str:
    """A time with its unit: `4.2 s`, `3.5 min`, `12.0 h`."""
    for unit, size_s in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.1f} {unit}"
    return f"{seconds:.1f} s"


def _hours(query: Query) -> list[str]:
    """Notes on the training hours of the whole sweep by device, and on peak memory."""
    hours_by_device: dict[str, float] = {}
    for run in query.results.runs:
        if "seconds" not in run.summary:
            continue  # imported masks, whose cost is unknown
        device = run.tags.get("device") or "unknown device"
        spent = run.summary["seconds"] / 3600
        hours_by_device[device] = hours_by_device.get(device, 0.0) + spent
    listed = ", ".join(
        f"{hours:.2f} CPU-hours" if device == "cpu" else f"{hours:.2f} GPU-hours ({device})"
        for device, hours in hours_by_device.items()
    )
    return [
        f"Whole sweep, including failed and searched trainings: {listed or 'not measured'}.",
        "Peak memory: the device's (CUDA), or the process's anonymous memory (CPU).",
    ]


def _disk(folders: Mapping[str, Path]) -> list[str]:
    return [f"Disk: {name} {size_text(size(path))}." for name, path in folders.items()]


def size(path: Path) -> int:
    """Size of the files in a folder in bytes; 0 if it does not exist."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def size_text(n_bytes: int) -> str:
    """Bytes as `3.4 MB` or `12.0 GB`."""
    return f"{n_bytes / _GIGA:.1f} GB" if n_bytes >= _GIGA else f"{n_bytes / 1e6:.1f} MB"
