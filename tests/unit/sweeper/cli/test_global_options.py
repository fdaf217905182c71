"""`--workspace` may stand on either side of every command, and goes along to the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from sweeper.cli import cli
from sweeper.cli.options.global_options import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator


def leaves(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        elif command is not None:
            yield (*path, name), command


COMMANDS = dict(leaves(cli))


def least_words(command: click.Command) -> list[str]:
    """The words without which the command is refused."""
    words: list[str] = []
    for param in command.params:
        if not param.required:
            continue
        kind = param.type
        word = str(next(iter(getattr(kind, "choices", ["word"]))))
        words += [word] if isinstance(param, click.Argument) else [param.opts[0], word]
    return words


def test_every_command_is_known() -> None:
    assert {"run", "plan", "status", "retry", "clean", "report", "score", "ui", "embed"} <= {
        path[0] for path in COMMANDS
    }
    assert {path[1] for path in COMMANDS if path[0] == "data"} == {
        "import",
        "check",
        "show",
        "export",
        "list",
        "merge",
        "remove",
        "table",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("side", ["none", "variable", "before", "between", "after", "both"])
def test_the_workspace_on_either_side(
    path: tuple[str, ...], side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def look(**_: Any) -> None:
        seen.append((click.get_current_context().obj, command_line("status", "x y")))

    command = COMMANDS[path]
    monkeypatch.setattr(command, "callback", look)
    monkeypatch.delenv("SWEEPER_WORKSPACE", raising=False)
    if side == "variable":
        monkeypatch.setenv("SWEEPER_WORKSPACE", "/w")
    given, words = ["--workspace", "/w"], least_words(command)
    line = {
        "none": [*path, *words],
        "variable": [*path, *words],
        "before": [*given, *path, *words],
        "between": [path[0], *given, *path[1:], *words],
        "after": [*path, *words, *given],
        "both": ["--workspace", "/v", *path, *words, *given],
    }[side]
    result = CliRunner().invoke(cli, line, standalone_mode=False)
    assert result.exception is None, result.output
    ((place, following),) = seen
    assert place == (Path("workspace").absolute() if side == "none" else Path("/w"))
    where = "" if side in ("none", "variable") else "--workspace /w "
    assert following == f"sweeper {where}status 'x y'"


def test_the_usual_workspace_by_another_spelling_is_not_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_WORKSPACE", raising=False)
    args = ["--workspace", str(tmp_path / "workspace"), "data", "show"]
    result = CliRunner().invoke(cli, args)
    assert "no dataset yet; import one with `sweeper data import SOURCE" in result.output
    args = ["data", "show", "--workspace", "other"]
    result = CliRunner().invoke(cli, args)
    assert "import one with `sweeper --workspace other data import SOURCE" in result.output
