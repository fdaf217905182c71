"""The registry of output formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.formats.latex import render_latex
from sweeper.report.formats.text import render_csv, render_json, render_markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeper.report.table import ReportTable

RENDERERS: Mapping[str, Callable[[ReportTable], str]] = {
    "markdown": render_markdown,
    "csv": render_csv,
    "latex": render_latex,
    "json": render_json,
}
"""Format -> function that renders a table; the terminal renderer also takes a width."""


def join(format_: str, texts: Sequence[str]) -> str:
    """Several rendered tables as one text; in JSON more than one table become a list."""
    if format_ == "json" and len(texts) > 1:
        return "[\n" + ",\n".join(text.rstrip() for text in texts) + "\n]\n"
    return "\n".join(texts)
