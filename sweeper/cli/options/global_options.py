"""Options of all commands, accepted before and after the command name."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

_VARIABLE = "SWEEPER_WORKSPACE"
_META = "sweeper.workspace"


def _choose(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Use the last `--workspace` on the command line, or else the environment variable."""
    if value is not None:
        ctx.obj = value.absolute()
        ctx.meta[_META] = value  # as typed; all contexts of one command line share it


def _workspace_option(**attributes: Any) -> click.Option:
    return click.Option(
        ["--workspace"],
        type=click.Path(path_type=Path),
        callback=_choose,
        expose_value=False,
        help="The folder to which everything is written.",
        **attributes,
    )


def add_to_root(root: click.Group) -> None:
    """Add the options to the program, with their defaults."""
    root.params.insert(
        0,
        _workspace_option(envvar=_VARIABLE, default=Path("workspace"), show_default="./workspace"),
    )


def add_to_command(command: click.Command) -> None:
    """Add the options to a command and its subcommands, without defaults."""
    if not any("--workspace" in param.opts for param in command.params):
        command.params.append(_workspace_option())
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            add_to_command(sub)


def command_line(*words: str) -> str:
    """The text of a suggested command; it names the workspace if it is not the default one."""
    typed = click.get_current_context().meta[_META]
    default = Path(os.environ.get(_VARIABLE) or "workspace")
    option = [] if typed.absolute() == default.absolute() else ["--workspace", str(typed)]
    return shlex.join(["sweeper", *option, *words])
