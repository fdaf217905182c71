"""`sweeper merge`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("other", type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Only check; copy nothing.")
@click.pass_obj
def merge(workspace: Path, /, other: Path, is_dry: bool) -> int:
    """Take over the finished trainings of OTHER, a workspace of another machine.

    Data, encoder and code of each training are checked first; what cannot be used is listed with
    the reason. Run the space again afterwards: it logs the results and trains only the rest.
    """
    from sweeper.pipeline.merging import merge as merge_workspace
    from sweeper.report.words import counted
    from sweeper.store.workspace import Workspace

    outcome = merge_workspace(Workspace.open(workspace), other, is_dry=is_dry)
    would = "would be " if is_dry else ""
    click.echo(f"{counted(len(outcome.taken), 'training')} {would}taken over from {other}")
    if outcome.scored:
        click.echo(f"{counted(len(outcome.scored), 'training')} {would}completed with scorings")
    if outcome.present:
        click.echo(f"{counted(len(outcome.present), 'training')} already here")
    for train_id, reason in outcome.refused.items():
        click.echo(f"  not taken: {train_id}: {reason}")
    return 0
