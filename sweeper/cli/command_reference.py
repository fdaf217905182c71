"""`sweeper commands`: the page docs/commands.md, made from the commands themselves."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Commands

Every command and option, as printed by `sweeper commands` from the program itself;
`sweeper COMMAND --help` says the same on the terminal. `--workspace FOLDER` (or the variable
`SWEEPER_WORKSPACE`) can be given before or after the name of each command."""


@click.command()
@click.pass_context
def commands(ctx: click.Context) -> int:
    """Print the reference of all commands and options, the page docs/commands.md."""
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    click.echo(reference(root))
    return 0


def reference(root: click.Group) -> str:
    """The Markdown page of all commands below `root`, in the order of `--help`."""
    sections = [
        section
        for name in root.list_commands(click.Context(root))
        for section in _sections(root, name, click.Context(root, info_name="sweeper"))
    ]
    return "\n\n".join([_INTRODUCTION, *sections])


def _sections(group: click.Group, name: str, parent: click.Context) -> Iterator[str]:
    """The section of a command, and those of its subcommands."""
    command = group.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    yield "\n\n".join(filter(None, [*_head(command, context), _options(command, context)]))
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            yield from _sections(command, sub, context)


def _head(command: click.Command, context: click.Context) -> Iterator[str]:
    is_of_group = context.parent is not None and context.parent.parent is not None
    yield f"{'###' if is_of_group else '##'} {context.command_path}"
    yield f"`{' '.join([context.command_path, *command.collect_usage_pieces(context)])}`"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield " ".join(paragraph.replace("\b", "").split())


def _options(command: click.Command, context: click.Context) -> str:
    """The table of a command's options; empty if it has none of its own."""
    rows = [
        f"| `{_cell(record[0])}` | {_cell(record[1])} |"
        for param in command.get_params(context)
        if isinstance(param, click.Option) and not {"--help", "--workspace"} & set(param.opts)
        if (record := param.get_help_record(context)) is not None
    ]
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def _cell(text: str) -> str:
    """A text in one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")
