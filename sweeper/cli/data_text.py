"""What `sweeper data` prints: progress, faults, splits and the tables of a dataset."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sweeper.data.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeper.data.faults import Fault
    from sweeper.pipeline.data.showing import DomainSummary
    from sweeper.store.dataset.store import DatasetStore


class ProgressBar:
    """Progress on stderr: a line that is rewritten on a terminal, a few lines elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = ("", -1)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._last[0]:
            click.echo("", err=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say that `done` of `total` are done of what is being done."""
        quarter = (what, 4 * done // total)
        if self._is_terminal:
            click.echo(f"\r{what}: {done}/{total} ", nl=False, err=True)
        elif quarter != self._last:
            click.echo(f"{what}: {done}/{total}", err=True)
        self._last = quarter


def print_faults(faults: Sequence[Fault], *, groups_warnings: bool = False) -> None:
    """Every fault on stderr, one line each.

    Args:
        faults: In the order found.
        groups_warnings: One line for equal warnings of several files, as an import prints them.
    """
    equal: dict[tuple[object, ...], list[Fault]] = {}
    for place, fault in enumerate(faults):
        is_grouped = groups_warnings and fault.severity is Severity.WARNING
        key = (fault.code, fault.problem, fault.remedy) if is_grouped else (place,)
        equal.setdefault(key, []).append(fault)
    for first, *others in equal.values():
        more = f" and {len(others)} more (each: sweeper data check)" if others else ""
        click.echo(replace(first, where=f"{first.where}{more}").line(), err=True)


def print_headers(headers: Sequence[str], *, is_salted: bool) -> None:
    """Header texts that may identify a person, on stderr, and what to do; equal ones once."""
    equal: dict[str, list[str]] = {}
    for line in headers:
        where, _, text = line.partition(": ")
        equal.setdefault(text, []).append(where)
    for text, (first, *others) in equal.items():
        more = f" and {len(others)} more" if others else ""
        click.echo(f"privacy: {first}{more}: {text} may identify a person", err=True)
    if headers and not is_salted:
        click.echo(
            "privacy: none of these texts is stored, but case ids and file names are; --salt TEXT"
            " replaces them",
            err=True,
        )


def print_splits(store: DatasetStore) -> None:
    """How the cases were split, and who validates."""
    from desam_model.types import Split

    click.echo(f"split by {store.split_rule}")
    for domain in store.domains:
        train = store.cases_of(domain, Split.TRAIN)
        validation = ", ".join(c.case for c in store.cases_of(domain, Split.VALIDATION))
        click.echo(f"  {domain}: {len(train)} train; validation: {validation or '-'}")


def print_summary(domains: Sequence[DomainSummary]) -> None:
    """Sizes, volumes and intensities of every domain."""
    from rich.console import Console
    from rich.table import Table

    sizes = Table("domain", "cases", "slices", "matrix", "voxel z,y,x mm", "volume ml", box=None)
    shades = Table("domain", *_bins(domains), "inside", "outside", box=None)
    for one in domains:
        sizes.add_row(
            one.domain,
            f"{len(one.train)}+{len(one.validation)}",
            str(one.n_slices),
            _several(f"{rows}x{cols}" for rows, cols in one.matrices),
            _several("x".join(f"{s:g}" for s in spacing) for spacing in one.spacings_mm),
            _volumes(one.volume_ml),
        )
        shares = [f"{100 * share:.0f}" for share in one.histogram]
        shades.add_row(one.domain, *shares, f"{one.mean_inside:.0f}", f"{one.mean_outside:.0f}")
    console = Console(width=max(100, Console().width))
    console.print(sizes)
    console.print("% of pixels by intensity, and mean intensity inside and outside the label")
    console.print(shades)


def _bins(domains: Sequence[DomainSummary]) -> list[str]:
    n = len(domains[0].histogram)
    return [f"{256 * i // n}-{256 * (i + 1) // n - 1}" for i in range(n)]


def _several(texts: Iterable[str]) -> str:
    """The first two of several texts, and how many more there are."""
    items = list(texts)
    return ", ".join(items[:2]) + (f" +{len(items) - 2}" if len(items) > 2 else "")


def _volumes(volumes: Mapping[str, tuple[float, float, float]]) -> str:
    named = len(volumes) > 1
    return "; ".join(
        (f"{name} " if named else "") + f"{mean:.0f} ({low:.0f}-{high:.0f})"
        for name, (low, mean, high) in volumes.items()
    )
