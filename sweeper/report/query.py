"""A spec applied to results: what tables, statistics and figures are all made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sweeper.config.report import ReportSpec
from sweeper.errors import TrackingError
from sweeper.report.entries import gather, label_rows, restrict
from sweeper.report.measurements import pools
from sweeper.report.select import select_trainings

if TYPE_CHECKING:
    from sweeper.report.entries import Entry
    from sweeper.report.measurements import Pool
    from sweeper.tracking.tracker import TrackedResults


@dataclass(frozen=True, kw_only=True)  # no slots: a cached property needs a dict
class Query:
    """A spec applied to results: what tables, statistics and figures share.

    Attributes:
        spec: The query.
        name: Names of the sweeps, for titles and files.
        domains: Domains of the dataset, in order.
        planned: Every entry, labelled.
        entries: Those that the table is made of; fewer than planned after a selection.
        results: What they came from.
    """

    spec: ReportSpec
    name: str
    domains: tuple[str, ...]
    planned: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    results: TrackedResults

    @property
    def is_synthetic(self) -> bool:
        """True if any number comes from the phantom, or will."""
        return any(
            entry.run is not None and entry.run.tags.get("synthetic") == "true"
            for entry in self.entries
        ) or any(sweep.plan.get("dataset", {}).get("synthetic") for sweep in self.results.sweeps)

    @cached_property
    def rows(self) -> dict[str, list[Entry]]:
        """The entries by row, in the order planned."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.label, []).append(entry)
        return found

    @cached_property
    def pools(self) -> dict[str, dict[str, dict[str, Pool]]]:
        """By row, column and seed what is pooled."""
        return {
            label: pools(entries, self.spec, self.domains) for label, entries in self.rows.items()
        }


def own_spec(results: TrackedResults) -> ReportSpec:
    """The spec that the newest sweep's space named."""
    return ReportSpec.model_validate(results.sweeps[-1].plan.get("report", {}))


def make_query(results: TrackedResults, spec: ReportSpec | None = None) -> Query:
    """The query of a spec, by default the one that the newest sweep's space names.

    Raises:
        ConfigError: The spec names a row axis that no training has.
        TrackingError: The sweeps hold nothing.
    """
    chosen = spec or own_spec(results)
    entries = restrict(gather(results), chosen.where)
    if not entries:
        names = ", ".join(sweep.name for sweep in results.sweeps)
        raise TrackingError(f"sweep {names} holds no trainings; run it: sweeper run SPACE.yaml")
    selected = select_trainings(entries, chosen.select)
    domains = list(results.sweeps[-1].plan.get("dataset", {}).get("domains", ()))
    measured = [s.target for e in entries if e.run is not None for s in e.run.scores]
    planned = [e.source for e in entries if e.source not in ("", "all")]
    return Query(
        spec=chosen,
        name="+".join(sweep.name for sweep in results.sweeps),
        domains=tuple(dict.fromkeys([*domains, *(() if domains else sorted(planned + measured))])),
        planned=label_rows(entries, chosen.rows),
        entries=label_rows(selected, chosen.rows),
        results=results,
    )
