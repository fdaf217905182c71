"""`sweeper bundle` and `sweeper verify`."""

from __future__ import annotations

from pathlib import Path

import click

from sweeper.cli.options.global_options import command_line

EXIT_DISAGREES = 1


@click.command()
@click.argument("spaces", nargs=-1, metavar="[SPACE...]")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="The .zip file to write."
)
@click.pass_obj
def bundle(workspace: Path, /, spaces: tuple[str, ...], output: Path) -> int:
    """Write a sweep's results as one zip file that others can check with `sweeper verify`.

    It holds the tables in every format, all values, configs, versions, hashes of data and weights,
    costs and the commands; no image, mask, weights or path of this machine. SPACE is a search space
    or the name of a sweep; by default the latest sweep.
    """
    from sweeper.pipeline.bundling.bundle import bundle as write_bundle
    from sweeper.pipeline.report import changed_query, named_sweeps
    from sweeper.report.words import counted
    from sweeper.store.workspace import Workspace

    opened = Workspace.for_reading(workspace)
    names, spec = named_sweeps(spaces)
    bundled = write_bundle(opened, changed_query(opened, names, spec, {}), output)
    click.echo(
        f"written: {bundled.path} ({bundled.n_bytes / 1e6:.1f} MB,"
        f" {counted(bundled.n_trainings, 'training')})"
    )
    if bundled.n_missing:
        click.echo(
            f"  {counted(bundled.n_missing, 'planned training')} not in it: not finished here"
        )
    for reason in bundled.draft_reasons:
        click.echo(f"  draft: {reason}")
    click.echo(f"check it: {command_line('verify', str(output))}")
    return 0


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--sample", type=click.IntRange(1), default=3, show_default=True, help="Trainings to repeat."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of their choice.")
@click.pass_obj
def verify(workspace: Path, /, path: Path, sample: int, seed: int) -> int:
    """Repeat random trainings of a bundle, and say whether they agree with it.

    They are trained anew on this workspace's data, which is recognised by its fingerprint: bit by
    bit the same where processor, threads and versions are those of the record, else within the
    spread of seeds. Exit codes: 0 all agree, 1 some do not, 2 wrong input.
    """
    from sweeper.cli.terminal.progress import display
    from sweeper.pipeline.bundling.verify import verify as verify_bundle
    from sweeper.store.workspace import Workspace

    result = verify_bundle(Workspace.open(workspace), path, display(), sample=sample, seed=seed)
    click.echo(
        f"repeated {len(result.checks)} of {result.n_trainings} trainings (chosen by seed {seed})"
    )
    for check in result.checks:
        click.echo(f"  {check.agreement}: {check.name} ({check.train_id}): {check.reason}")
    click.echo("all agree" if result.agrees else "not all agree")
    return 0 if result.agrees else EXIT_DISAGREES
