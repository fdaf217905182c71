"""Shows the predicted cost before a run starts, and asks for approval of an expensive one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.pipeline.plan import PlanReport

_ASK_ABOVE_HOURS = 2.0


def cost_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that starts trainings."""
    for add in reversed(
        (
            click.option("--yes", is_flag=True, help="Start without asking."),
            click.option(
                "--ask-above",
                type=click.FloatRange(min=0),
                default=_ASK_ABOVE_HOURS,
                show_default=True,
                metavar="HOURS",
                help="On a terminal, ask before a run that is predicted to take longer than this.",
            ),
            click.option(
                "--no-probe", is_flag=True, help="Predict the cost from finished trainings only."
            ),
        )
    ):
        command = add(command)
    return command


def approval(yes: bool, ask_above: float) -> Callable[[PlanReport], bool]:
    """A function that shows the predicted cost and, on a terminal, asks if it is above the limit.

    Args:
        yes: Never ask.
        ask_above: Limit in hours of wall time.
    """

    def approves(report: PlanReport) -> bool:
        from sweeper.cli.terminal.plan_text import cost_lines

        for line in cost_lines(report):
            click.echo(line)
        hours = report.prediction.high_seconds / 3600
        if yes or hours <= ask_above:
            return True
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo(
                f"this may take more than {ask_above:g} h (--ask-above); the run starts without"
                " asking, because this is not a terminal"
            )
            return True
        return click.confirm(f"this may take more than {ask_above:g} h (--ask-above); start?")

    return approves
