"""`sweeper run`, `plan`, `status`, `retry` and `clean`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sweeper.cli.options.global_options import command_line
from sweeper.cli.terminal.approval import approval, cost_options
from sweeper.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.pipeline.run import RunOutcome
    from sweeper.store.workspace import Workspace

EXIT_FAILED = 1
EXIT_ELSEWHERE = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
_SIGTERM = 15
_RESTARTS = "SWEEPER_RAY_RESTARTS"
"""Environment variable: number of times this command was restarted because its Ray had ended."""
_MAX_RESTARTS = 2


def _space_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options of all commands that take a search space."""
    for add in reversed(
        (
            click.argument("space", type=click.Path(path_type=Path)),
            click.option(
                "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value."
            ),
            click.option("--dataset", metavar="NAME_OR_PATH", help="Default: the phantom."),
            click.option(
                "--encoder",
                metavar="NAME",
                help="vit_tiny (default: small, random weights), lite_medsam, vit_h or another"
                " (docs/embeddings.md).",
            ),
            click.option(
                "--checkpoint",
                type=click.Path(path_type=Path),
                help="File with the encoder's weights.",
            ),
        )
    ):
        command = add(command)
    return command


def _settings(values: dict[str, Any]) -> tuple[str, ...]:
    """The overrides from `--set`, then those from the data options."""
    checkpoint = values["checkpoint"]
    overrides = {
        "dataset": values["dataset"],
        "encoder.name": values["encoder"],
        "encoder.checkpoint": checkpoint.absolute() if checkpoint else None,
    }
    data_settings = tuple(f"{key}={value}" for key, value in overrides.items() if value is not None)
    return (*values["settings"], *data_settings)


@click.command()
@_space_options
@cost_options
@click.option("--address", help="Use a Ray cluster: 'auto' or ray://HOST:PORT.")
@click.option(
    "--notify", metavar="URL", help="Webhook to notify of the first failure and of the end."
)
@click.pass_obj
def run(
    workspace: Path, /, space: Path, address: str | None, notify: str | None, **values: Any
) -> int:
    """Run the missing trainings of a search space, then print its table.

    Running the same command again resumes what is not finished. Exit codes: 0 all done, 1 some
    trainings failed, 2 wrong input, 4 some trainings are left to another run, 5 Ray ended three
    times, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
    """
    return _run(workspace, space, address, notify, _settings(values), values)


@click.command()
@_space_options
@cost_options
@click.option("--address", help="Use a Ray cluster: 'auto' or ray://HOST:PORT.")
@click.option(
    "--notify", metavar="URL", help="Webhook to notify of the first failure and of the end."
)
@click.pass_obj
def retry(
    workspace: Path, /, space: Path, address: str | None, notify: str | None, **values: Any
) -> int:
    """Resume failed trainings from their last checkpoints, and run the missing ones."""
    from sweeper.cli.terminal.progress import display
    from sweeper.pipeline.status import forget_failures, status
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    settings = _settings(values)
    count = forget_failures(status(opened, space, settings, display()), opened)
    click.echo(f"{counted(count, 'failed training')} will run again, and the missing trainings")
    return _run(workspace, space, address, notify, settings, values)


def _run(
    root: Path,
    space: Path,
    address: str | None,
    notify: str | None,
    settings: tuple[str, ...],
    values: dict[str, Any],
) -> int:
    from sweeper.cli.terminal.hangup import survive_hangup
    from sweeper.cli.terminal.progress import display
    from sweeper.pipeline.run import RunRequest
    from sweeper.pipeline.run import run as run_sweep
    from sweeper.store.workspace import Workspace

    survive_hangup()
    n_restarts = int(os.environ.get(_RESTARTS, "0"))
    workspace = Workspace.open(root)
    request = RunRequest(
        space=space,
        settings=settings,
        address=address,
        notify=notify,
        probes=not values["no_probe"],
        approves=approval(values["yes"] or n_restarts > 0, values["ask_above"]),
        restarts=_restart if n_restarts < _MAX_RESTARTS else None,
    )
    outcome = run_sweep(workspace, request, display())
    return finish(workspace, outcome, space, values)


def _restart() -> NoReturn:
    """Replace this process by the same command; the process id stays the same, and so do leases."""
    os.environ[_RESTARTS] = str(int(os.environ.get(_RESTARTS, "0")) + 1)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def finish(
    workspace: Workspace, outcome: RunOutcome, space: Path, values: Mapping[str, Any]
) -> int:
    """Print the table, the folder, and what to run next; return the exit code."""
    from sweeper.cli.report import print_table
    from sweeper.cli.terminal.plan_text import comparison_lines
    from sweeper.plan.states import State

    # table and failures
    failed = [cell for cell in (*outcome.searched, *outcome.cells) if cell.state is State.FAILED]
    if outcome.count(State.DONE):
        print_table(workspace, outcome.name, has_page=not outcome.signal)
    for cell in failed:
        log = workspace.trainings / cell.training.train_id / "log.txt"
        click.echo(f"FAILED {cell.training.config.name()}: {cell.note}; log {log}", err=True)
    # counts and costs
    click.echo(_summary(outcome))
    if outcome.costs is not None:
        for line in comparison_lines(*outcome.costs):
            click.echo(line)
    click.echo(f"all files are in {workspace.root}")
    # what to run next
    if outcome.signal:
        left = len(outcome.cells) - outcome.count(State.DONE)
        when = f"with {counted(left, 'training')} left" if outcome.cells else "during the search"
        click.echo(f"interrupted {when}; run the same command again to resume", err=True)
        return EXIT_TERMINATED if outcome.signal == _SIGTERM else EXIT_INTERRUPTED
    if failed:
        options = data_words(values)
        status_command, retry_command = (
            command_line(name, str(space), *options) for name in ("status", "retry")
        )
        click.echo(f"next: {status_command} --failed    then: {retry_command}")
        return EXIT_FAILED
    left = sum(cell.state not in (State.DONE, State.PRUNED) for cell in outcome.cells)
    if left:
        who = "another run is at work on it" if left == 1 else "other runs are at work on them"
        click.echo(
            f"{counted(left, 'training')} left: {who}, or it ended early; run the same command"
            " again for the complete table",
            err=True,
        )
        return EXIT_ELSEWHERE
    click.echo(f"next: {command_line('ui')}    (curves and images in the browser)")
    report = command_line("report", str(space))
    click.echo(f"      {report} --format latex    (the table for the paper)")
    return 0


def data_words(values: Mapping[str, Any]) -> list[str]:
    """The options that define the trainings; a suggested command needs the same options."""
    words = [word for setting in values["settings"] for word in ("--set", setting)]
    for name in ("dataset", "encoder", "checkpoint"):
        if values[name] is not None:
            words += [f"--{name}", str(values[name])]
    return words


def _summary(outcome: RunOutcome) -> str:
    """The number of trainings in each state and the time; a terminal bell rings at the end."""
    from sweeper.cli.terminal.progress import clock
    from sweeper.plan.states import State

    counts = ", ".join(f"{outcome.count(s)} {s}" for s in State if outcome.count(s))
    bell = "\a" if outcome.ran and sys.stdout.isatty() else ""
    return f"{bell}{counts} in {clock(outcome.seconds)}"


@click.command()
@_space_options
@click.option(
    "--probe",
    is_flag=True,
    help="Measure the speed of kinds of training that never ran here; about a minute.",
)
@click.pass_obj
def plan(workspace: Path, /, space: Path, probe: bool, **values: Any) -> int:
    """Show what a search space will run, how much is done, and what the rest costs here.

    The matrix has the rows and columns of the table; a cell such as 1/3 says that one of its
    three evaluations is done. Costs are predicted from trainings that ended in this workspace.
    """
    from sweeper.cli.terminal.plan_text import plan_lines
    from sweeper.cli.terminal.progress import display
    from sweeper.cli.terminal.screen import screen_width
    from sweeper.pipeline.plan import plan_space
    from sweeper.store.workspace import Workspace

    report = plan_space(
        Workspace.open(workspace), space, _settings(values), display(), probes=probe
    )
    for line in plan_lines(report, screen_width()):
        click.echo(line)
    return 0


@click.command()
@_space_options
@click.option(
    "--failed", "only_failed", is_flag=True, help="Only failed cells, with the end of their logs."
)
@click.pass_obj
def status(workspace: Path, /, space: Path, only_failed: bool, **values: Any) -> int:
    """Show all cells of a sweep: done, running, failed, pruned, stale, missing."""
    from sweeper.cli.terminal.progress import display
    from sweeper.pipeline.status import last_lines
    from sweeper.pipeline.status import status as cells_of_space
    from sweeper.plan.states import State
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    cells = cells_of_space(opened, space, _settings(values), display())
    for cell in cells:
        if only_failed and cell.state is not State.FAILED:
            continue
        note = f"  {cell.note}" if cell.note else ""
        click.echo(f"{cell.state:8} {cell.training.train_id} {cell.training.config.name()}{note}")
        if only_failed:
            for line in last_lines(opened, cell):
                click.echo(f"    | {line}")
    counts = {state: sum(c.state is state for c in cells) for state in State}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    click.echo(summary or "nothing yet: the searches of this space have not started")
    return EXIT_FAILED if counts[State.FAILED] else 0


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def clean(workspace: Path, yes: bool) -> int:
    """Remove resume checkpoints of finished trainings and Ray's old logs; asks first.

    Results, masks, selected weights and tables are not removed.
    """
    from sweeper.pipeline.status import find_removable, remove
    from sweeper.store.workspace import Workspace

    removable = find_removable(Workspace.open(workspace))
    if not removable.files:
        click.echo("nothing to remove")
        return 0
    size = f"{len(removable.files)} files and folders, {removable.n_bytes / 1e6:.1f} MB"
    if yes or click.confirm(f"remove {size}?"):
        remove(removable)
        click.echo(f"removed {size}")
    return 0


@click.command()
@click.option("--markdown", is_flag=True, help="Print the page docs/search-spaces.md instead.")
def schema(markdown: bool) -> int:
    """Print the JSON schema of search spaces, for your editor."""
    import json

    from sweeper.config.reference import json_schema, reference_markdown

    text = reference_markdown() if markdown else json.dumps(json_schema(), indent=2) + "\n"
    click.echo(text, nl=False)
    return 0
