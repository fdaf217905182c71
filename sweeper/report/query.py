"""A report spec applied to results; tables, statistics and figures are made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from desam_model.scoring.metric_table import metrics
from sweeper.config.report import Columns, ReportSpec
from sweeper.config.sources import domains_in, joined
from sweeper.errors import ConfigError, TrackingError
from sweeper.records import is_in_domain_test
from sweeper.report.entries import REFERENCE_METHOD, gather, label_rows, restrict
from sweeper.report.measurements import case_shares, is_own_pair, pools
from sweeper.report.select import select_trainings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from desam_model.scoring.metric_table import Metric
    from sweeper.report.entries import Entry
    from sweeper.report.measurements import CaseShares, Pool
    from sweeper.tracking.tracker import TrackedResults


@dataclass(frozen=True, kw_only=True)  # no slots: a cached property needs a dict
class Query:
    """A report spec applied to results.

    Attributes:
        spec: The report spec.
        name: Names of the sweeps, for titles and files.
        domains: Domains of the dataset, in order.
        planned: All entries, labelled.
        entries: The entries in the table; fewer than `planned` after a selection.
        results: The tracked results of the entries.
    """

    spec: ReportSpec
    name: str
    domains: tuple[str, ...]
    planned: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    results: TrackedResults

    @property
    def metric(self) -> Metric:
        """The metric of the table."""
        return metrics()[self.spec.metric]

    @property
    def digits(self) -> int:
        """Decimals of printed values."""
        return self.spec.digits or self.metric.digits

    def shown(self, name: str) -> str:
        """The printed name of a column; the names of rows are those of the entries.

        A source of several domains is named after them, or after the only one that it leaves out.
        """
        names, parts = self.spec.names, domains_in(name)
        if name in names or len(parts) < 2 or not set(parts) <= set(self.domains):
            return names.get(name, name)
        left_out = [domain for domain in self.domains if domain not in parts]
        if len(left_out) == 1:
            return f"all but {names.get(left_out[0], left_out[0])}"
        return joined([names.get(part, part) for part in parts])

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The domains of the dataset, then the planned sources of several domains."""
        several = [entry.source for entry in self.planned if len(entry.sources) > 1]
        return tuple(dict.fromkeys((*self.domains, *several)))

    @property
    def is_synthetic(self) -> bool:
        """True if any result comes from the phantom, or will."""
        return any(
            entry.run is not None and entry.run.tags.get("synthetic") == "true"
            for entry in self.entries
        ) or any(sweep.plan.get("dataset", {}).get("synthetic") for sweep in self.results.sweeps)

    @cached_property
    def rows(self) -> dict[str, list[Entry]]:
        """Row -> entries, in the planned order."""
        rows: dict[str, list[Entry]] = {}
        for entry in self.entries:
            rows.setdefault(entry.label, []).append(entry)
        return rows

    @cached_property
    def pools(self) -> dict[str, dict[str, dict[str, Pool]]]:
        """Row -> column -> seed -> pool."""
        return {
            label: pools(entries, self.spec, self.domains, self.sources)
            for label, entries in self.rows.items()
        }

    @cached_property
    def references(self) -> frozenset[str]:
        """Rows that are upper bounds: they are shown, but not ranked."""
        return frozenset(
            label
            for label, entries in self.rows.items()
            if any(entry.method == REFERENCE_METHOD for entry in entries)
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that enter the average, in the order of the domains, then as planned.

        These are the columns that any row plans; an upper bound adds none to those of the other
        rows, and the diagonal of a matrix (source validation) is not included.
        """
        ranked = [name for label in self._ranked_rows for name in self.averaged(label)]
        planned = ranked or [name for label in self.pools for name in self.averaged(label)]
        order = {domain: i for i, domain in enumerate(self.domains)}
        names = dict.fromkeys(planned or self.domains)
        return tuple(sorted(names, key=lambda name: order.get(name, len(order))))

    def averaged(self, label: str) -> dict[str, dict[str, Pool]]:
        """Column -> seed -> pool, for the columns in a row's average."""
        return {
            column: by_seed
            for column, by_seed in self.pools[label].items()
            if not is_own_pair(column)
        }

    @cached_property
    def case_shares(self) -> dict[str, dict[str, CaseShares]]:
        """Row (no upper bounds) -> column -> cases of each finished cell."""
        skips = self.spec.undefined == "skip"
        return {
            label: {
                column: case_shares(by_seed, skips_undefined=skips)
                for column, by_seed in self.pools[label].items()
                if all(pool.done == pool.planned for pool in by_seed.values())
            }
            for label in self._ranked_rows
        }

    @property
    def _ranked_rows(self) -> list[str]:
        return [label for label in self.rows if label not in self.references]


def own_spec(results: TrackedResults) -> dict[str, Any]:
    """The `report:` keys of the latest sweep's space; empty if it has none."""
    return dict(results.sweeps[-1].plan.get("report") or {})


def spec_of(keys: Mapping[str, Any]) -> ReportSpec:
    """The report spec with the given keys.

    Raises:
        ConfigError: The direction is missing, or a value is not allowed.
    """
    if keys.get("columns") is None:
        raise ConfigError(
            f"report: no direction; set it with --columns {'|'.join(get_args(Columns))}, or under"
            " 'report:' in the search space"
        )
    try:
        return ReportSpec.model_validate(keys)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"report.{key}: is {first.get('input')!r}; {first['msg']}") from err


def make_query(results: TrackedResults, spec: ReportSpec | None = None) -> Query:
    """The query of a report spec, by default of the one in the latest sweep's space.

    Raises:
        ConfigError: The direction is missing, or no training has the key of the rows.
        TrackingError: The sweeps have no trainings.
    """
    chosen = spec or spec_of(own_spec(results))
    entries = restrict(gather(results), chosen.where)
    if not entries:
        names = ", ".join(sweep.name for sweep in results.sweeps)
        raise TrackingError(f"sweep {names} has no trainings; run it: sweeper run SPACE.yaml")
    selected = select_trainings(entries, chosen.select)
    plans = [sweep.plan for sweep in results.sweeps]
    domains = [d for plan in plans for d in plan.get("dataset", {}).get("domains", ())]
    scores = [score for e in entries if e.run is not None for score in e.run.scores]
    measured = [score.target for score in scores if not is_in_domain_test(score.target)]
    planned = [domain for e in entries if e.source for domain in e.sources]
    labelled = label_rows(entries, chosen.rows, chosen.columns)
    return Query(
        spec=_with_shown_baseline(chosen, labelled),
        name="+".join(sweep.name for sweep in results.sweeps),
        domains=tuple(dict.fromkeys([*domains, *(() if domains else sorted(planned + measured))])),
        planned=_renamed(labelled, chosen.names),
        entries=_renamed(label_rows(selected, chosen.rows, chosen.columns), chosen.names),
        results=results,
    )


def _renamed(entries: Sequence[Entry], names: Mapping[str, str]) -> tuple[Entry, ...]:
    """The entries with the printed names of their rows.

    Raises:
        ConfigError: Two rows would have the same name.
    """
    by_name: dict[str, str] = {}
    for label in dict.fromkeys(entry.label for entry in entries):
        name = names.get(label, label)
        if name in by_name:
            raise ConfigError(
                f"report.names: rows {by_name[name]!r} and {label!r} are both called {name!r};"
                " give each row its own name"
            )
        by_name[name] = label
    return tuple(
        replace(
            entry,
            label=names.get(entry.label, entry.label),
            group=names.get(entry.group, entry.group),
        )
        for entry in entries
    )


def _with_shown_baseline(spec: ReportSpec, entries: Sequence[Entry]) -> ReportSpec:
    """The spec with the printed name of its baseline, which may be given by its own name too."""
    baseline = spec.baseline
    if baseline is None or not spec.names:
        return spec
    labels = list(dict.fromkeys(entry.label for entry in entries))
    matches = [label for label in labels if label == baseline] or [
        label for label in labels if label.startswith(baseline)
    ]
    if len(matches) == 1:
        baseline = spec.names.get(matches[0], matches[0])
    return spec.model_copy(update={"baseline": baseline})
