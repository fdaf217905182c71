"""What a run will cost is shown before it begins; above a stated cost a person is asked."""

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
            click.option("--yes", is_flag=True, help="Never ask."),
            click.option(
                "--ask-above",
                type=click.FloatRange(min=0),
                default=_ASK_ABOVE_HOURS,
                show_default=True,
                metavar="HOURS",
                help="Ask before a run that is predicted to take longer, on a terminal.",
            ),
            click.option("--no-probe", is_flag=True, help="Predict from finished trainings only."),
        )
    ):
        command = add(command)
    return command


def approval(yes: bool, ask_above: float) -> Callable[[PlanReport], bool]:
    """Shows the predicted cost; asks where there is somebody to ask and it is above the limit.

    Args:
        yes: Never ask.
        ask_above: Hours on the clock.
    """

    def approves(report: PlanReport) -> bool:
        from sweeper.cli.plan_text import cost_lines

        for line in cost_lines(report):
            click.echo(line)
        hours = report.prediction.high_seconds / 3600
        if yes or hours <= ask_above:
            return True
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo(
                f"this may take more than {ask_above:g} h (--ask-above); no terminal, so nobody is"
                " asked and the run begins"
            )
            return True
        return click.confirm(f"this may take more than {ask_above:g} h (--ask-above); begin?")

    return approves
