"""A shell asks the program itself for completions."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sweeper.cli import cli


def offered(*words: str) -> set[str]:
    """What is offered for the last word."""
    *before, incomplete = words
    completer = ShellComplete(cli, {}, "sweeper", "_SWEEPER_COMPLETE")
    return {item.value for item in completer.get_completions(before, incomplete)}


def test_commands_options_and_names_from_registries_are_completed() -> None:
    assert {"report", "remove", "retry", "register"} == offered("re") - {"run"}
    assert offered("plan", "--pro") == {"--probe"}
    assert offered("embed", "prostate", "--encoder", "lite") == {"lite_medsam"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_by_the_variable_that_the_program_answers(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], catch_exceptions=False)
    assert "_SWEEPER_COMPLETE=" in result.output
    assert "sweeper_completion" in result.output
