"""`sweeper doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sweeper.cli.options.global_options import command_line
from sweeper.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.pipeline.health.doctor import Examination


@click.command()
@click.option(
    "--repair", is_flag=True,
    help="Move what is damaged to the folder damaged/; `sweeper run` then makes it again.",
)  # fmt: skip
@click.option(
    "--environment", is_flag=True,
    help="Describe this machine instead: paste it into a report of a problem.",
)  # fmt: skip
@click.pass_obj
def doctor(workspace: Path, /, repair: bool, environment: bool) -> int:
    """Check the workspace: datasets, embeddings, weights, trainings and MLflow's store.

    Every file that can become a number is read and compared with its checksum. Nothing is deleted.
    """
    from sweeper.pipeline.health.doctor import examine
    from sweeper.pipeline.health.doctor import repair as repair_workspace
    from sweeper.report.words import counted
    from sweeper.store.workspace import Workspace

    opened = Workspace(workspace)
    if environment:
        from sweeper.pipeline.health.environment import environment_lines

        for line in environment_lines(opened):
            click.echo(line)
        return 0
    examination = examine(opened, _say)
    for finding in examination.findings:
        click.echo(f"damaged: {finding.path}: {finding.problem}")
        click.echo(f"    then: {finding.remedy}")
    _summarise(examination)
    findings = examination.findings
    if not findings:
        return 0
    if not repair:
        raise StoreError(
            f"{counted(len(findings), 'thing')} damaged; mend with"
            f" '{command_line('doctor', '--repair')}', which deletes nothing"
        )
    aside = repair_workspace(Workspace.open(workspace), findings)
    if aside.exists():
        click.echo(f"moved to {aside}; remove it when everything is made again")
    left = [finding for finding in findings if not finding.is_repairable]
    if left:
        raise StoreError(f"{counted(len(left), 'thing')} left that only you can mend, see above")
    click.echo("repaired; run the sweep's command again")
    return 0


def _summarise(examination: Examination) -> None:
    from sweeper.report.words import counted

    click.echo(f"checked: {', '.join(examination.checked)}")
    if examination.running:
        click.echo(f"not checked: {counted(examination.running, 'training')}, which run now")
    if examination.without_checksum:
        click.echo(
            f"{counted(examination.without_checksum, 'result')} of an earlier version without a"
            " checksum: their form was checked, their numbers cannot be"
        )
    if not examination.findings:
        click.echo("nothing is damaged")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[Kchecking {text}", nl=text == "tracking", err=True)
