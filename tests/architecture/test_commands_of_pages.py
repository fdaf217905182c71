"""Every `sweeper` command in a documentation page is one that the program accepts."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from doc_pages import blocks

from sweeper.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [
    (page.relative_to(ROOT), words)
    for page in PAGES
    for block in blocks(page)
    for words in block.commands()
]


def parse(words: list[str]) -> None:
    """Parse a command line without calling the command."""
    context = cli.make_context("sweeper", list(words))
    command: click.Command = cli
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, sub, rest = command.resolve_command(context, rest)
        assert sub is not None
        context = sub.make_context(name, rest, parent=context)
        command = sub


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 80


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda value: str(value)[:60])
def test_a_command_of_a_page_is_accepted(page: Path, words: list[str]) -> None:
    try:
        parse(words)
    except click.ClickException as err:
        pytest.fail(f"{page}: sweeper {' '.join(words)}: {err.format_message()}")


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(["plan", "a.yaml", "--porbe"])


def test_commands_within_sentences_and_tables_name_commands_that_exist() -> None:
    known = set(cli.list_commands(click.Context(cli)))
    for page in PAGES:
        named = set(re.findall(r"`sweeper ([a-z]+)\b(?!\.)", page.read_text()))
        assert named <= known, f"{page.name}: {named - known}"
