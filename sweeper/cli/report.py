"""`sweeper report`, `sweeper score` and `sweeper ui`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from desam_model.scoring.protocol_table import PROTOCOLS, protocol_choices
from sweeper.cli.global_options import command_line
from sweeper.config.metric import metric_choices, metric_names
from sweeper.config.report import Undefined
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.report import ReportSpec
    from sweeper.report.formats.plain_table import PlainTable
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

TABLE_FORMATS = ("terminal", "markdown", "csv", "latex", "json")
ROW_FORMATS = ("long", "challenger")


def _query_options(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--rows", help="What a row is: method, ablation, grid_size or any key."),
            click.option(
                "--columns",
                type=click.Choice(("source", "target", "matrix", "structure")),
                help="What a column is: trained on it, tested on it, source x target, or a pair"
                " with its organ.",
            ),
            click.option(
                "--aggregate",
                type=click.Choice(("cases", "sites")),
                help="Cases pooled, or the mean of the sites' means.",
            ),
            click.option(
                "--protocol",
                type=click.Choice(tuple(PROTOCOLS)),
                help=f"{protocol_choices()}.",
            ),
            click.option(
                "--metric",
                type=click.Choice(metric_names()),
                help=f"{metric_choices()}.",
            ),
            click.option("--baseline", help="The row that differences are taken against."),
            click.option(
                "--undefined",
                type=click.Choice(get_args(Undefined)),
                help="A cell with an undefined case: undefined, the mean of the rest, or with an"
                " empty prediction's distance as the diagonal of the scan.",
            ),
            click.option(
                "--select",
                type=click.Choice(("none", "validation_loss", "source_dice")),
                help="Of searched trainings each cell's best by this number of the source.",
            ),
            click.option("--title", help="First line of the caption."),
            click.option(
                "--stars/--no-stars", default=None, help="Stars where a baseline is named."
            ),
            click.option(
                "--where", multiple=True, metavar="KEY=VALUE", help="Only these trainings."
            ),
            click.option(
                "--published/--no-published", default=None, help="The paper's rows, dimmed."
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("spaces", nargs=-1, metavar="[SPACE...]")
@_query_options
@click.option(
    "--format",
    "format_",
    type=click.Choice((*TABLE_FORMATS, *ROW_FORMATS, "html")),
    default="terminal",
    help="long: every number as CSV; challenger: challengeR's layout; html: one page with all.",
)
@click.option("--statistics", is_flag=True, help="Tests, intervals and ranks below the table.")
@click.option("--costs", is_flag=True, help="Parameters, memory, time and disk below the table.")
@click.option("--output", type=click.Path(path_type=Path), help="Write there, not to the screen.")
@click.option(
    "--publish",
    is_flag=True,
    help="Write page, figures and tables to the workspace's reports/ and to MLflow.",
)
@click.option("--final", is_flag=True, help="Exit 3 with the reasons rather than print a draft.")
@click.pass_obj
def report(
    workspace: Path,
    /,
    spaces: tuple[str, ...],
    format_: str,
    output: Path | None,
    publish: bool,
    final: bool,
    statistics: bool,
    costs: bool,
    **query: Any,
) -> int:
    """Print the table of the latest sweep, or of the search spaces or sweeps named.

    The table is the one that the space's `report:` names; options change the query. Exit codes: 0
    printed, 2 wrong input, 3 --final and the table is a draft.
    """
    from sweeper.pipeline.report import changed_query, rows_text, side_tables, tables
    from sweeper.report.formats.registry import join
    from sweeper.store.workspace import Workspace

    if format_ in ROW_FORMATS and (statistics or costs):
        raise ConfigError(
            f"--format {format_} is rows, --statistics and --costs are tables; leave them out, or"
            " name a format of tables"
        )
    opened = Workspace.open(workspace)
    names, spec = _sweeps_of(spaces)
    asked = changed_query(opened, names, spec, query)
    if asked.results.others:
        click.echo(f"also there: {', '.join(asked.results.others)} (name one to see it)", err=True)
    built = tables(asked, is_final=final)
    if publish:
        from sweeper.pipeline.page import publish as publish_page

        click.echo(f"written, and kept in MLflow: {publish_page(opened, asked, built)}")
        return 0
    if format_ in ROW_FORMATS:
        text = rows_text(asked, format_)
    elif format_ == "html":
        from sweeper.pipeline.page import make_page

        text = make_page(opened, asked, built)
    else:
        parts = [_render(table, format_) for table in built]
        sides = side_tables(asked, opened, has_statistics=statistics, has_costs=costs)
        text = join(format_, [*parts, *(_render_side(side, format_) for side in sides)])
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
        click.echo(f"written: {output}")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise ConfigError(
            f"--output {path}: cannot be written ({err.strerror}); name a file in a folder that is"
            " there"
        ) from err


def print_table(workspace: Workspace, sweep: str, *, has_page: bool) -> None:
    """Print a sweep's own table, and keep it with the sweep's run in MLflow.

    Args:
        workspace: Where things lie.
        sweep: Name of the sweep.
        has_page: True to make page and figures too, where the table is a new one.
    """
    from sweeper.pipeline.report import is_published, keep_tables, query, tables

    try:
        asked = query(workspace, [sweep])
    except ConfigError as err:
        click.echo(f"no table: {err}")  # a space without `report:`
        return
    built = tables(asked)
    for table in built:
        click.echo(_render(table, "terminal"), nl=False)
    if is_published(asked, built):
        return
    if has_page:
        from sweeper.pipeline.page import publish  # matplotlib: only where something is new

        click.echo(f"page with figures: {publish(workspace, asked, built)}")
    else:
        keep_tables(workspace, asked, built)


def _sweeps_of(spaces: Sequence[str]) -> tuple[list[str] | None, ReportSpec | None]:
    """Names of the sweeps, and the last file's `report:`; an argument is a file or a name."""
    names: list[str] = []
    spec = None
    for space in spaces:
        if space.endswith((".yaml", ".yml")) or Path(space).is_file():
            from sweeper.pipeline.report import read_report_key

            name, spec = read_report_key(Path(space))
            names.append(name)
        else:
            names.append(space)
    return (names or None), spec


def _render(table: ReportTable, format_: str) -> str:
    from sweeper.report.formats.registry import RENDERERS

    if format_ == "terminal":
        from sweeper.report.formats.terminal import render_terminal

        width = _screen_width()
        return render_terminal(table, width=width, has_colour=width is not None)
    return RENDERERS[format_](table)


def _render_side(table: PlainTable, format_: str) -> str:
    from sweeper.report.formats.plain_table import PLAIN_RENDERERS, render_plain

    if format_ == "terminal":
        return render_plain(table, width=_screen_width())
    return PLAIN_RENDERERS[format_](table)


def _screen_width() -> int | None:
    """Columns of the terminal; None where stdout is a pipe or a file."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--method", required=True, help="Name of the row, such as nnunet.")
@click.option("--source", required=True, help="Domain the tool was trained on.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the tool's training.")
@click.option("--dataset", default="phantom", show_default=True, help="Name or path of a dataset.")
@click.option("--structure", help="Structure shown; by default the dataset's only one.")
@click.option("--label", type=int, help="Its value in the files; by default every value above 0.")
@click.option(
    "--sweep", help="Sweep whose table gets the row; by default the latest on this dataset."
)
@click.pass_obj
def score(workspace: Path, /, folder: Path, dataset: str, **request: Any) -> int:
    """Score NIfTI masks that another tool made, and add them as a row marked as imported.

    FOLDER holds one file a case, named after it. Cases without a usable file are listed, and stay
    in the rows as undefined.
    """
    from sweeper.cli.progress import display
    from sweeper.pipeline.data.sources import DataSource
    from sweeper.pipeline.score import ScoreRequest
    from sweeper.pipeline.score import score as score_masks
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    store = DataSource(opened, display()).dataset(dataset)
    outcome = score_masks(opened, store, ScoreRequest(folder=folder, **request))
    click.echo(f"{len(outcome.scored)} cases scored, now in sweep {outcome.sweep}")
    for case in outcome.regridded:
        click.echo(f"  regridded: {case} (its file had another grid)")
    for case in outcome.missing:
        click.echo(f"  missing: {case} has no file; its numbers are undefined")
    for reason in outcome.unusable.values():
        click.echo(f"  not usable: {reason}")
    for case in outcome.empty:
        click.echo(f"  empty: {case} has a mask that shows nothing; its Dice is 0")
    for name in outcome.unmatched:
        click.echo(f"  no case's: {name} is named after no case of the dataset")
    if outcome.untested:
        click.echo(
            f"  not tested: {len(outcome.untested)} cases of the source itself"
            f" ({', '.join(outcome.untested)})"
        )
    click.echo(f"next: {command_line('report', outcome.sweep)}")
    return 0


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="At 127.0.0.1."
)
@click.pass_obj
def ui(workspace: Path, /, port: int) -> int:
    """Open the MLflow UI on this workspace, at 127.0.0.1; Ctrl-C ends it."""
    from sweeper.pipeline.ui import serve
    from sweeper.store.workspace import Workspace

    return serve(Workspace.open(workspace), port, click.echo)
