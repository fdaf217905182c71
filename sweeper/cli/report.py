"""`sweeper report`, `sweeper score` and `sweeper ui`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from desam_model.scoring.protocol_table import PROTOCOLS, protocol_choices
from sweeper.cli.options.global_options import command_line
from sweeper.cli.options.latex_options import OPTIONS, WIDTHS, latex_options, latex_style
from sweeper.cli.terminal.screen import screen_width
from sweeper.config.metric import metric_choices, metric_names
from sweeper.config.report import Columns, Undefined
from sweeper.errors import ConfigError
from sweeper.report.words import without_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.pipeline.page import FigureStyle
    from sweeper.pipeline.report import LatexFiles
    from sweeper.report.formats.latex import LatexStyle
    from sweeper.report.formats.plain_table import PlainTable
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

TABLE_FORMATS = ("terminal", "markdown", "csv", "latex", "json")
ROW_FORMATS = ("long", "challenger")


class _Metrics(click.ParamType):  # type: ignore[type-arg]  # generic only in stubs
    """Names of metrics, separated by commas."""

    name = "metric[,metric]"
    choices = metric_names()

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names, each once."""
        names = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for name in names:
            if name not in self.choices:
                self.fail(f"{name!r} is not one of {', '.join(self.choices)}.", param, ctx)
        return names


def _query_options(command: Any) -> Any:
    for option in reversed(
        (
            click.option(
                "--rows", help="Key of the rows: method, ablation, grid_size or any other key."
            ),
            click.option(
                "--columns",
                type=click.Choice(get_args(Columns)),
                help="Key of the columns: domain trained on, domain tested on, source x target,"
                " source and target with the organ, the organ alone, or the encoder.",
            ),
            click.option(
                "--aggregate",
                type=click.Choice(("cases", "sites")),
                help="Average over the pooled cases, or over the means of the sites.",
            ),
            click.option(
                "--protocol",
                type=click.Choice(tuple(PROTOCOLS)),
                help=f"{protocol_choices()}.",
            ),
            click.option(
                "--metric",
                type=_Metrics(),
                metavar=f"[{'|'.join(metric_names())}]",
                help=f"{metric_choices()}. Several, separated by commas, are one LaTeX table.",
            ),
            click.option("--baseline", help="The row with which the other rows are compared."),
            click.option(
                "--undefined",
                type=click.Choice(get_args(Undefined)),
                help="For a cell with an undefined case: nan; the mean of the other cases; or, with"
                " an empty prediction, the diagonal of the scan as its distance.",
            ),
            click.option(
                "--select",
                type=click.Choice(("none", "validation_loss", "source_dice")),
                help="Of the searched trainings, show the best one per cell by this source value.",
            ),
            click.option(
                "--digits", type=click.IntRange(1, 2), help="Decimals of the printed values."
            ),
            click.option("--title", help="First line of the caption."),
            click.option(
                "--stars/--no-stars", default=None, help="Significance stars against the baseline."
            ),
            click.option(
                "--where", multiple=True, metavar="KEY=VALUE", help="Only these trainings."
            ),
            click.option(
                "--published/--no-published", default=None, help="Show the paper's rows, dimmed."
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
    help="long: all values as CSV; challenger: for challengeR; html: one page with everything.",
)
@click.option("--statistics", is_flag=True, help="Add tests, intervals and ranks.")
@click.option("--costs", is_flag=True, help="Add parameters, memory, time and disk space.")
@click.option(
    "--provenance",
    is_flag=True,
    help="Add the fingerprints of data and encoder; other formats than terminal have them anyway.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file.")
@click.option(
    "--width",
    type=click.Choice(WIDTHS),
    help="Width on paper of LaTeX tables (by default 12.2cm) and of figures (17.4cm): one column,"
    " Springer's text, or two columns.",
)
@click.option("--cases", help="Cases of the figure of cases, separated by commas.")
@latex_options
@click.option(
    "--publish",
    is_flag=True,
    help="Write page, figures and tables to reports/ in the workspace and to MLflow.",
)
@click.option(
    "--final",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="If the table is a draft, print the reasons and exit with 3; else write tables, figures,"
    " captions, citations and the bundle to DIR. Put it after SPACE.",
)
@click.pass_obj
def report(
    workspace: Path,
    /,
    spaces: tuple[str, ...],
    format_: str,
    output: Path | None,
    publish: bool,
    final: str | None,
    statistics: bool,
    costs: bool,
    provenance: bool,
    width: str | None,
    cases: str | None,
    metric: tuple[str, ...] | None,
    **query: Any,
) -> int:
    """Print the table of the latest sweep, or of the given search spaces or sweeps.

    The key `report:` of the search space defines the table; options override it. Exit codes: 0
    printed, 2 wrong input, 3 with --final if the table is a draft.
    """
    from sweeper.pipeline.report import changed_query, named_sweeps, tables
    from sweeper.store.workspace import Workspace

    is_elsewhere = publish or query["standalone"] or output is not None or format_ != "terminal"
    folder = _final_folder(final, is_elsewhere=is_elsewhere)
    writes_figures = publish or format_ == "html" or folder is not None
    _check_options(
        format_,
        metric,
        cases,
        is_one_page=publish or format_ == "html",
        has_figures=writes_figures,
        has_sides=statistics or costs,
    )
    options = {name: query.pop(name) for name in OPTIONS}
    style = latex_style(options, width, format_ if folder is None else "latex")
    # query the rows and build the tables
    writes = publish or folder is not None
    opened = Workspace.open(workspace) if writes else Workspace.for_reading(workspace)
    names, spec = named_sweeps(spaces)
    report_query, *others = [
        changed_query(opened, names, spec, {**query, "metric": name}) for name in metric or (None,)
    ]
    if report_query.results.others:
        other_sweeps = ", ".join(report_query.results.others)
        click.echo(f"other sweeps: {other_sweeps} (pass a name to see its table)", err=True)
    if folder is not None:
        return _write_final(opened, [report_query, *others], folder, style, width, cases)
    is_final = final is not None
    built = tables(report_query, is_final=is_final)
    if publish:
        from sweeper.pipeline.page import publish as publish_page

        page = publish_page(opened, report_query, built, _figure_style(width, cases))
        click.echo(f"written, and logged in MLflow: {page}")
        return 0
    # render them in the chosen format
    beside: dict[Path, str] = {}
    if format_ in ROW_FORMATS:
        text = _rows_text(report_query, format_)
    elif format_ == "html":
        from sweeper.pipeline.page import make_page

        text = make_page(opened, report_query, built, _figure_style(width, cases))
    else:
        by_metric = [built, *(tables(other, is_final=is_final) for other in others)]
        if format_ == "terminal" and not provenance:
            by_metric = [tuple(map(without_provenance, part)) for part in by_metric]
        asked = {"has_statistics": statistics, "has_costs": costs}
        sides = _sides_text(opened, [report_query, *others], format_, **asked)
        text, supplements = _tables_text(by_metric, sides, format_, style, options["standalone"])
        beside = {} if output is None or supplements is None else supplements.beside(output)
    return _emit(text, output, beside)


def _rows_text(query: Query, format_: str) -> str:
    """The rows as text; what the format cannot hold is named on stderr."""
    from sweeper.pipeline.report import rows_text

    text, left_out = rows_text(query, format_)
    for reason in left_out:
        click.echo(f"not in the export: {reason}", err=True)
    return text


def _sides_text(
    workspace: Workspace,
    queries: Sequence[Query],
    format_: str,
    *,
    has_statistics: bool,
    has_costs: bool,
) -> list[str]:
    """The tables below: statistics of every query, costs of the first."""
    from sweeper.pipeline.report import side_tables

    return [
        _render_side(side, format_)
        for query in queries
        for side in side_tables(
            query,
            workspace,
            has_statistics=has_statistics,
            has_costs=has_costs and query is queries[0],
        )
    ]


def _emit(text: str, output: Path | None, beside: Mapping[Path, str]) -> int:
    """Print the text, or write it and the files beside it; returns the exit code."""
    if output is None:
        click.echo(text, nl=False)
        return 0
    for path, content in {output: text, **beside}.items():
        _write(path, content)
        click.echo(f"written: {path}")
    return 0


def _check_options(
    format_: str,
    metric: tuple[str, ...] | None,
    cases: str | None,
    *,
    is_one_page: bool,
    has_figures: bool,
    has_sides: bool,
) -> None:
    """Refuse options that exclude each other.

    Raises:
        ConfigError: Names the option and what to do.
    """
    if format_ in ROW_FORMATS and has_sides:
        raise ConfigError(
            f"--format {format_} prints rows, but --statistics and --costs are tables; remove them,"
            f" or use one of the formats {', '.join(TABLE_FORMATS)}"
        )
    if cases and not has_figures:
        raise ConfigError(
            "--cases: chooses the cases of a figure; add --publish, --final DIR or --format html"
        )
    if metric is not None and len(metric) > 1 and (is_one_page or format_ not in TABLE_FORMATS):
        raise ConfigError(
            f"--metric {','.join(metric)}: several metrics are for the formats"
            f" {', '.join(TABLE_FORMATS)}; give one"
        )


def _final_folder(final: str | None, *, is_elsewhere: bool) -> Path | None:
    """The folder that `--final DIR` names; None without one.

    Raises:
        ConfigError: It is a search space, or other options write somewhere else.
    """
    if not final:
        return None
    if final.endswith((".yaml", ".yml")) or Path(final).is_file():
        raise ConfigError(
            f"--final {final}: expected a folder to write; put the space before --final:"
            f" sweeper report {final} --final DIR"
        )
    if is_elsewhere:
        raise ConfigError(
            f"--final {final}: writes every format into that folder; remove --publish, --output,"
            " --format and --standalone"
        )
    return Path(final)


def _write_final(
    workspace: Workspace,
    queries: Sequence[Query],
    folder: Path,
    style: LatexStyle,
    width: str | None,
    cases: str | None,
) -> int:
    from sweeper.pipeline.final import write_final

    made = write_final(workspace, queries, folder, style, _figure_style(width, cases))
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"final tables, with figures and bundle: {made.path} ({len(made.files)} files)")
    return 0


def _tables_text(
    by_metric: Sequence[Sequence[ReportTable]],
    sides: Sequence[str],
    format_: str,
    style: LatexStyle,
    is_standalone: bool,
) -> tuple[str, LatexFiles | None]:
    """The tables of all metrics and what stands below them; for LaTeX also the files beside."""
    from sweeper.pipeline.report import latex_files
    from sweeper.report.formats.latex import latex_document
    from sweeper.report.formats.registry import join

    if format_ != "latex":
        parts = [_render(table, format_) for tables in by_metric for table in tables]
        return join(format_, [*parts, *sides]), None
    files = latex_files(by_metric, style)
    for warning in files.warnings:
        click.echo(f"warning: {warning}", err=True)
    text = join(format_, [files.text, *sides])
    return (latex_document(text) if is_standalone else text), files


def _figure_style(width: str | None, cases: str | None) -> FigureStyle:
    from sweeper.pipeline.page import FigureStyle

    names = tuple(filter(None, (part.strip() for part in (cases or "").split(","))))
    if width is None:
        return FigureStyle(cases=names)
    return FigureStyle(width_cm=float(width.removesuffix("cm")), cases=names)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise ConfigError(
            f"--output {path}: cannot be written ({err.strerror}); choose a file in an existing"
            " folder"
        ) from err


def print_table(workspace: Workspace, sweep: str, *, has_page: bool) -> None:
    """Print the table of a sweep, and log it with the sweep's run in MLflow.

    Args:
        workspace: The workspace.
        sweep: Name of the sweep.
        has_page: True to write page and figures too if the table has changed.
    """
    from sweeper.pipeline.report import is_published, log_tables, query, tables

    try:
        report_query = query(workspace, [sweep])
    except ConfigError as err:
        click.echo(f"no table: {err}")  # a space without `report:`
        return
    built = tables(report_query)
    for table in map(without_provenance, built):
        click.echo(_render(table, "terminal"), nl=False)
    if is_published(report_query, built):
        return
    if has_page:
        from sweeper.pipeline.page import publish  # imports matplotlib, only for a changed table

        click.echo(f"page with figures: {publish(workspace, report_query, built)}")
    else:
        log_tables(workspace, report_query, built)


def _render(table: ReportTable, format_: str) -> str:
    from sweeper.report.formats.registry import RENDERERS

    if format_ == "terminal":
        from sweeper.report.formats.terminal import render_terminal

        width = screen_width()
        return render_terminal(table, width=width, has_colour=width is not None)
    return RENDERERS[format_](table)


def _render_side(table: PlainTable, format_: str) -> str:
    from sweeper.report.formats.plain_table import PLAIN_RENDERERS, render_plain

    if format_ == "terminal":
        return render_plain(table, width=screen_width())
    return PLAIN_RENDERERS[format_](table)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--method", required=True, help="Name of the row, such as nnunet.")
@click.option(
    "--source", required=True, help="Domain on which the tool was trained, or several as A+B."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the tool's training.")
@click.option("--dataset", default="phantom", show_default=True, help="Name or path of a dataset.")
@click.option("--structure", help="Segmented structure. Default: the only one of the dataset.")
@click.option(
    "--label",
    "labels",
    metavar="VALUE[,VALUE]",
    callback=lambda _context, _option, text: _label_values(text),
    help="Its values in the files. Default: the only one above 0.",
)
@click.option(
    "--sweep", help="Sweep whose table gets the row. Default: the latest on this dataset."
)
@click.pass_obj
def score(workspace: Path, /, folder: Path, dataset: str, **request: Any) -> int:
    """Score NIfTI masks from another tool, and add them as a row marked as imported.

    FOLDER contains one file per case, named after the case. Cases without a usable file are listed;
    their scores are undefined.
    """
    from sweeper.cli.terminal.progress import display
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
        click.echo(f"  missing: {case} has no file; its scores are undefined")
    for reason in outcome.unusable.values():
        click.echo(f"  not usable: {reason}")
    for case in outcome.empty:
        click.echo(f"  empty: the mask of {case} is empty; its Dice is 0")
    for name in outcome.unmatched:
        click.echo(f"  unmatched: the name of file {name} is not that of a case of the dataset")
    if outcome.untested:
        click.echo(
            f"  not tested: {len(outcome.untested)} cases of the source domain"
            f" ({', '.join(outcome.untested)})"
        )
    click.echo(f"next: {command_line('report', outcome.sweep)}")
    return 0


def _label_values(text: str | None) -> tuple[int, ...]:
    """`1,2` as numbers; none if the option is not given."""
    parts = [] if text is None else text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"it is {text!r}, expected a number such as 1, or several: 1,2")
    return tuple(int(part) for part in parts)


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port."
)
@click.pass_obj
def ui(workspace: Path, /, port: int) -> int:
    """Open the MLflow UI on this workspace, at 127.0.0.1; stop it with Ctrl-C."""
    from sweeper.pipeline.ui import serve
    from sweeper.store.workspace import Workspace

    return serve(Workspace.open(workspace), port, click.echo)
