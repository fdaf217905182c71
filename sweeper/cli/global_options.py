"""Options of every command: accepted before its name and after it, and carried to the next one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

_VARIABLE = "SWEEPER_WORKSPACE"
_META = "sweeper.workspace"


def _choose(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Where the command works: the last `--workspace` on the line, else the variable's."""
    if value is not None:
        ctx.obj = value.absolute()
        ctx.meta[_META] = value  # as it was typed; shared by the contexts of one command line


def _workspace_option(**attributes: Any) -> click.Option:
    return click.Option(
        ["--workspace"],
        type=click.Path(path_type=Path),
        callback=_choose,
        expose_value=False,
        help="The one folder that everything is written to.",
        **attributes,
    )


def add_to_root(root: click.Group) -> None:
    """The options as the program itself takes them, with their defaults."""
    root.params.insert(
        0,
        _workspace_option(envvar=_VARIABLE, default=Path("workspace"), show_default="./workspace"),
    )


def add_to_command(command: click.Command) -> None:
    """The same options on a command and on all of its subcommands; what is not given stays."""
    if not any("--workspace" in param.opts for param in command.params):
        command.params.append(_workspace_option())
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            add_to_command(sub)


def command_line(*words: str) -> str:
    """A command to type next: it works in the same workspace without a second thought."""
    typed = click.get_current_context().meta[_META]
    usual = Path(os.environ.get(_VARIABLE) or "workspace")
    where = [] if typed.absolute() == usual.absolute() else ["--workspace", str(typed)]
    return shlex.join(["sweeper", *where, *words])
