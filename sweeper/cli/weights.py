"""`sweeper weights`: downloads and checks SAM's checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweeper.cli.options.registered import Registered, downloadable_encoders

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def weights() -> None:
    """Download and check SAM's checkpoints."""


@weights.command()
@click.argument("encoder", type=Registered(downloadable_encoders))
@click.option("--url", help="Base URL to download from, such as a mirror. Default: SAM's site.")
@click.pass_obj
def get(workspace: Path, /, encoder: str, url: str | None) -> None:
    """Download a checkpoint into the workspace, or check an existing one."""
    from sweeper.cli.terminal.data_text import ProgressBar
    from sweeper.errors import WeightsError
    from sweeper.store.download import get_weights
    from sweeper.store.weights import check_checkpoint
    from sweeper.store.workspace import Workspace

    if url is not None and "://" not in url:
        raise WeightsError(f"--url is {url!r}, expected a URL such as https://mirror.org/sam")
    folder = Workspace.open(workspace).weights
    with ProgressBar() as bar:
        path = get_weights(
            encoder,
            folder,
            base_url=url,
            progress=lambda done, total: bar(f"{encoder} MB", done // 10**6, total // 10**6 or 1),
        )
    click.echo(f"{path}: {path.stat().st_size / 1e6:.0f} MB, SHA-256 {check_checkpoint(path)}")
