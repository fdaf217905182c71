"""Options of `sweeper report` for LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeper.report.formats.latex import LatexStyle

WIDTHS = ("8.5cm", "12.2cm", "17.4cm")
OPTIONS = ("label", "caption", "drop", "standalone")
"""Keys of the options, which have no meaning for other formats."""


def latex_options(command: Any) -> Any:
    """A command with the options of LaTeX tables."""
    for option in reversed(
        (
            click.option("--label", help="LaTeX: the table's label. Default: tab:NAME."),
            click.option(
                "--caption",
                type=click.Choice(("short", "full")),
                help="LaTeX: short leaves provenance and remarks to a supplement beside --output.",
            ),
            click.option(
                "--drop",
                multiple=True,
                metavar="COLUMN",
                help="LaTeX: leave out a column, or 'delta' or 'spread'.",
            ),
            click.option(
                "--standalone", is_flag=True, help="LaTeX: a document that compiles by itself."
            ),
        )
    ):
        command = option(command)
    return command


def latex_style(values: Mapping[str, Any], width: str | None, format_: str) -> LatexStyle:
    """The style that the options describe.

    Raises:
        ConfigError: An option of LaTeX tables is given with another format.
    """
    from sweeper.report.formats.latex import LatexStyle

    given = [f"--{name}" for name in OPTIONS if values[name]]
    if given and format_ != "latex":
        raise ConfigError(
            f"{', '.join(given)}: only for LaTeX, but the format is {format_}; add --format latex"
        )
    return LatexStyle(
        width_cm=float((width or "12.2cm").removesuffix("cm")),
        label=values["label"] or "",
        is_short=values["caption"] == "short",
        dropped=tuple(values["drop"]),
    )
