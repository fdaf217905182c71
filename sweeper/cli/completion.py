"""`sweeper completion`: the script that lets a shell complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_SWEEPER_COMPLETE"
"""Environment variable by which the script asks for completions; the name is click's convention."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the completion script of a shell.

    For bash, add to ~/.bashrc: eval "$(sweeper completion bash)"; for zsh the same in ~/.zshrc
    with zsh; for fish: sweeper completion fish > ~/.config/fish/completions/sweeper.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "sweeper", _VARIABLE).source())
    return 0
