"""Output of `sweeper data`: progress, faults, splits and the tables of a dataset."""

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
    """Progress on stderr: one updated line on a terminal, a few lines otherwise."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = ("", -1)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._last[0]:
            click.echo("", err=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of the phase `what` are done."""
        quarter = (what, 4 * done // total)
        if self._is_terminal:
            click.echo(f"\r{what}: {done}/{total} ", nl=False, err=True)
        elif quarter != self._last:
            click.echo(f"{what}: {done}/{total}", err=True)
        self._last = quarter


def print_faults(faults: Sequence[Fault], *, groups_warnings: bool = False) -> None:
    """Every fault on stderr, one line each.

    Args:
        faults: The faults, in the order of the checks.
        groups_warnings: Print one line for equal warnings of several files, as an import does.
    """
    groups: dict[tuple[object, ...], list[Fault]] = {}
    for index, fault in enumerate(faults):
        is_grouped = groups_warnings and fault.severity is Severity.WARNING
        key = (fault.code, fault.problem, fault.remedy) if is_grouped else (index,)
        groups.setdefault(key, []).append(fault)
    for first, *rest in groups.values():
        more = f" and {len(rest)} more (list all: sweeper data check)" if rest else ""
        click.echo(replace(first, where=f"{first.where}{more}").line(), err=True)


def print_headers(headers: Sequence[str], *, is_salted: bool) -> None:
    """Header texts that may identify a person, on stderr, and what to do; equal texts only once."""
    files_of: dict[str, list[str]] = {}
    for line in headers:
        file, _, text = line.partition(": ")
        files_of.setdefault(text, []).append(file)
    for text, (first, *rest) in files_of.items():
        more = f" and {len(rest)} more" if rest else ""
        click.echo(f"privacy: {first}{more}: {text} may identify a person", err=True)
    if headers and not is_salted:
        click.echo(
            "privacy: these texts are not stored, but case ids and file names are; --salt TEXT"
            " replaces them",
            err=True,
        )


def print_splits(store: DatasetStore) -> None:
    """The split rule, and the training and validation cases of each domain."""
    from desam_model.types import Split

    click.echo(f"split by {store.split_rule}")
    for domain in store.domains:
        train = store.cases_of(domain, Split.TRAIN)
        validation = ", ".join(c.case for c in store.cases_of(domain, Split.VALIDATION))
        test = ", ".join(c.case for c in store.cases_of(domain, Split.TEST))
        tested = f"; test: {test}" if test else ""
        click.echo(f"  {domain}: {len(train)} train; validation: {validation or '-'}{tested}")


def print_summary(domains: Sequence[DomainSummary]) -> None:
    """Sizes, volumes and intensities of each domain."""
    from rich.console import Console
    from rich.table import Table

    sizes = Table("domain", "cases", "slices", "matrix", "voxel z,y,x mm", "volume ml", box=None)
    intensities = Table("domain", *_bins(domains), "inside", "outside", box=None)
    for summary in domains:
        sizes.add_row(
            summary.domain,
            f"{len(summary.train)}+{len(summary.validation)}"
            + (f"+{len(summary.test)}" if summary.test else ""),
            str(summary.n_slices),
            _first_two(f"{rows}x{cols}" for rows, cols in summary.matrices),
            _first_two("x".join(f"{s:g}" for s in spacing) for spacing in summary.spacings_mm),
            _volumes(summary.volume_ml),
        )
        percentages = [f"{100 * fraction:.0f}" for fraction in summary.histogram]
        means = (f"{summary.mean_inside:.0f}", f"{summary.mean_outside:.0f}")
        intensities.add_row(summary.domain, *percentages, *means)
    console = Console(width=max(100, Console().width))
    console.print(sizes)
    console.print("% of pixels by intensity, and mean intensity inside and outside the label")
    console.print(intensities)


def _bins(domains: Sequence[DomainSummary]) -> list[str]:
    n = len(domains[0].histogram)
    return [f"{256 * i // n}-{256 * (i + 1) // n - 1}" for i in range(n)]


def _first_two(texts: Iterable[str]) -> str:
    """The first two texts, and the number of further ones."""
    items = list(texts)
    return ", ".join(items[:2]) + (f" +{len(items) - 2}" if len(items) > 2 else "")


def _volumes(volumes: Mapping[str, tuple[float, float, float]]) -> str:
    is_named = len(volumes) > 1
    return "; ".join(
        (f"{name} " if is_named else "") + f"{mean:.0f} ({low:.0f}-{high:.0f})"
        for name, (low, mean, high) in volumes.items()
    )
