"""The command line: parse, call, map errors to exit codes; one module a command group.

Only click is imported here, so that `sweeper --help` is instant; a command's module is imported
when it is called.
"""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from desam_model.plugins import PluginError
from sweeper import __version__
from sweeper.cli.global_options import add_to_command, add_to_root
from sweeper.errors import SweeperError

EXIT_INTERRUPTED = 130

_FULL = "free some space and run it again"
_CLOSED = "mend its permissions, or name another folder with --workspace"
_MENDABLE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _CLOSED,
    errno.EROFS: _CLOSED,
}
"""What the system may refuse at any place, and what to do about it."""

_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("sweeper.cli.run:run", "Run what is missing of a search space, then print its table."),
    "plan": ("sweeper.cli.run:plan", "Show what a search space needs, has and costs."),
    "status": (
        "sweeper.cli.run:status",
        "Show every cell of a sweep: done, running, failed, missing.",
    ),
    "retry": ("sweeper.cli.run:retry", "Run the failed trainings of a sweep again."),
    "clean": (
        "sweeper.cli.run:clean",
        "Remove checkpoints and temporary files of finished sweeps.",
    ),
    "schema": ("sweeper.cli.run:schema", "Print the JSON schema of search spaces."),
    "report": ("sweeper.cli.report:report", "Print the tables of finished trainings."),
    "score": ("sweeper.cli.report:score", "Score masks that another tool made."),
    "ui": ("sweeper.cli.report:ui", "Open the MLflow UI on this workspace."),
    "data": ("sweeper.cli.data:data", "Import, check, show and export datasets."),
    "embed": ("sweeper.cli.embed:embed", "Compute a dataset's embeddings once."),
    "embeddings": (
        "sweeper.cli.embeddings:embeddings",
        "List, verify, convert, remove stores.",
    ),
    "weights": ("sweeper.cli.weights:weights", "Fetch and check SAM's checkpoints."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        add_to_command(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sweeper")
def cli() -> None:
    """Hyperparameter and ablation sweeps for DeSAM and the methods it is compared with."""


add_to_root(cli)


def main(args: list[str] | None = None) -> Any:
    """Run the command line; expected errors become one line on stderr and their exit code."""
    try:
        code = cli.main(args=args, prog_name="sweeper", standalone_mode=False)
    except SweeperError as err:
        click.echo(f"sweeper: {err}", err=True)
        sys.exit(err.exit_code)
    except PluginError as err:
        click.echo(f"sweeper: {err}", err=True)
        sys.exit(SweeperError.exit_code)
    except OSError as err:
        if err.errno not in _MENDABLE:
            raise
        where = f"{err.filename}: " if err.filename else ""
        click.echo(f"sweeper: {where}{err.strerror}; {_MENDABLE[err.errno]}", err=True)
        sys.exit(SweeperError.exit_code)
    except click.ClickException as err:
        err.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sweeper: interrupted; run the same command again to go on", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
