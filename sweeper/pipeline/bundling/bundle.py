"""`sweeper bundle`: tables, values, configs, versions and hashes of a sweep as one zip file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.config.yaml_reader import yaml_text
from sweeper.errors import ConfigError
from sweeper.pipeline.bundling.archive import write_archive
from sweeper.pipeline.bundling.contents import (
    TRAININGS,
    json_text,
    packages,
    spaces_of,
    surroundings,
    trainings_of,
)
from sweeper.pipeline.bundling.readme import readme
from sweeper.pipeline.report import SUFFIXES, side_tables, tables
from sweeper.report.formats.html import Page, render_html
from sweeper.report.formats.long import render_long
from sweeper.report.formats.plain_table import PLAIN_RENDERERS
from sweeper.report.formats.registry import RENDERERS, join
from sweeper.report.published_rows import bibliography

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

FORMAT = 1
MANIFEST, ROWS = "bundle.json", "rows.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """A written bundle.

    Attributes:
        path: The zip file.
        n_trainings: Trainings that `sweeper verify` can repeat.
        n_missing: Planned trainings that are not finished in this workspace.
        n_bytes: Size of the file.
        draft_reasons: Why its tables are drafts; empty if they are final.
    """

    path: Path
    n_trainings: int
    n_missing: int
    n_bytes: int
    draft_reasons: tuple[str, ...]


def bundle(workspace: Workspace, query: Query, output: Path) -> Bundled:
    """Write everything that a reader needs to check a table, and nothing of the machine.

    No image, no mask and no weights are in it, and of cases only the names that the rows have.

    Args:
        workspace: With the trainings.
        query: The table.
        output: The zip file to write.

    Raises:
        ConfigError: The file is not called `.zip`, or a sweep was run by an earlier version.
        DataError: The file cannot be written.
    """
    if output.suffix != ".zip":
        raise ConfigError(f"--output is {output}, expected a .zip file such as paper.zip")
    built = tables(query)
    reasons = tuple(dict.fromkeys(reason for table in built for reason in table.draft_reasons))
    records = trainings_of(workspace, query)
    spaces = spaces_of(query)
    for sweep in query.results.sweeps:
        if sweep.plan["cells"] and sweep.name not in spaces:
            raise ConfigError(
                f"sweep {sweep.name} was run by a version that did not record its search space; run"
                " the space again (finished trainings are not repeated), then bundle it"
            )
    about = {"format": FORMAT, **surroundings(workspace, query), "draft_reasons": list(reasons)}
    files = {
        **_tables(workspace, query, built),
        ROWS: render_long(query),
        MANIFEST: json_text(about),
        "packages.txt": packages(),
        **{f"spaces/{name}.yaml": yaml_text(space) for name, space in spaces.items()},
        **{f"{TRAININGS}/{name}.json": json_text(record) for name, record in records.items()},
    }
    files["README.md"] = readme(about, files, built, records)
    write_archive(output, {name: text.encode() for name, text in files.items()})
    planned = {cell["train_id"] for s in query.results.sweeps for cell in s.plan["cells"]}
    return Bundled(
        path=output,
        n_trainings=len(records),
        n_missing=len(planned) - len(records),
        n_bytes=output.stat().st_size,
        draft_reasons=reasons,
    )


def _tables(workspace: Workspace, query: Query, built: Sequence[ReportTable]) -> dict[str, str]:
    """The tables in every format, statistics and costs, and what they cite."""
    sides = side_tables(query, workspace, has_statistics=True, has_costs=True)
    page = Page(title=f"Sweep {query.name}", tables=built, sides=sides, figures={}, provenance={})
    files = {"tables/tables.html": render_html(page)}
    for name, render in RENDERERS.items():
        files[f"tables/table.{SUFFIXES[name]}"] = join(name, [render(table) for table in built])
        for title, side in zip(("statistics", "costs"), sides, strict=True):
            files[f"tables/{title}.{SUFFIXES[name]}"] = PLAIN_RENDERERS[name](side)
    cited = bibliography(row for table in built for row in table.rows)
    return {**files, **({"tables/table.bib": cited} if cited else {})}
