"""The command line: parses arguments, calls the pipeline, and maps errors to exit codes.

There is one module per command group. Only click is imported here, so that `sweeper --help` is
instant; the module of a command is imported when the command is called.
"""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from desam_model.plugins import PluginError
from sweeper.cli.options.global_options import add_to_command, add_to_root
from sweeper.errors import SweeperError
from sweeper.version import version_text

EXIT_INTERRUPTED = 130

_DISK_FULL = "free some space and run the command again"
_NOT_WRITABLE = "fix its permissions, or choose another folder with --workspace"
_ADVICE = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EACCES: _NOT_WRITABLE,
    errno.EROFS: _NOT_WRITABLE,
}
"""System errors that can occur in any command, and what to do about them."""

_COMMANDS: dict[str, tuple[str, str]] = {
    "run": (
        "sweeper.cli.run:run",
        "Run the missing trainings of a search space, then print its table.",
    ),
    "plan": ("sweeper.cli.run:plan", "Show what a search space still needs and what it costs."),
    "status": (
        "sweeper.cli.run:status",
        "Show every cell of a sweep: done, running, failed, missing.",
    ),
    "retry": ("sweeper.cli.run:retry", "Run the failed trainings of a sweep again."),
    "clean": (
        "sweeper.cli.run:clean",
        "Remove checkpoints and temporary files of finished sweeps.",
    ),
    "remove": (
        "sweeper.cli.remove:remove",
        "Remove a sweep or single trainings, after listing what that frees.",
    ),
    "merge": (
        "sweeper.cli.merge:merge",
        "Take over the finished trainings of another workspace.",
    ),
    "doctor": (
        "sweeper.cli.doctor:doctor",
        "Check the workspace for damage and repair it; describe this machine.",
    ),
    "schema": ("sweeper.cli.run:schema", "Print the JSON schema of search spaces."),
    "report": ("sweeper.cli.report:report", "Print the tables of finished trainings."),
    "curves": ("sweeper.cli.curves:curves", "Draw the learning curves of a sweep."),
    "bundle": (
        "sweeper.cli.bundle:bundle",
        "Write a sweep's results as one zip file that others can check.",
    ),
    "verify": (
        "sweeper.cli.bundle:verify",
        "Repeat random trainings of a bundle and compare.",
    ),
    "score": ("sweeper.cli.report:score", "Score masks from another tool."),
    "predict": (
        "sweeper.cli.predict:predict",
        "Segment new images with a trained model; no label is needed.",
    ),
    "compare": (
        "sweeper.cli.compare:compare",
        "Draw a case as several models segment it.",
    ),
    "export": (
        "sweeper.cli.export:export",
        "Write a trained model as one folder, without pickles.",
    ),
    "register": ("sweeper.cli.export:register", "Put a trained model into MLflow's registry."),
    "ui": ("sweeper.cli.report:ui", "Open the MLflow UI on this workspace."),
    "data": ("sweeper.cli.data:data", "Import, check, show and export datasets."),
    "embed": ("sweeper.cli.embed:embed", "Compute the embeddings of a dataset once."),
    "embeddings": (
        "sweeper.cli.embeddings:embeddings",
        "List, verify, convert and remove embedding stores.",
    ),
    "weights": ("sweeper.cli.weights:weights", "Download and check SAM's checkpoints."),
    "commands": (
        "sweeper.cli.command_reference:commands",
        "Print the reference of all commands and options.",
    ),
    "completion": (
        "sweeper.cli.completion:completion",
        "Print the script that lets bash, zsh or fish complete commands.",
    ),
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


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(version_text())
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the versions of sweeper and of its main packages.",
)  # fmt: skip
def cli() -> None:
    """Hyperparameter and ablation sweeps for DeSAM and comparison methods."""


add_to_root(cli)


def main(args: list[str] | None = None) -> Any:
    """Run the command line; an expected error prints one line on stderr and sets the exit code."""
    try:
        code = cli.main(args=args, prog_name="sweeper", standalone_mode=False)
    except SweeperError as err:
        click.echo(f"sweeper: {err}", err=True)
        sys.exit(err.exit_code)
    except PluginError as err:
        click.echo(f"sweeper: {err}", err=True)
        sys.exit(SweeperError.exit_code)
    except OSError as err:
        if err.errno not in _ADVICE:
            raise
        path = f"{err.filename}: " if err.filename else ""
        click.echo(f"sweeper: {path}{err.strerror}; {_ADVICE[err.errno]}", err=True)
        sys.exit(SweeperError.exit_code)
    except click.ClickException as err:
        err.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sweeper: interrupted; run the same command again to resume", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
