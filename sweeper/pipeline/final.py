"""`sweeper report --final DIR`: one folder with all that a paper needs of a final table."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import ConfigError
from sweeper.pipeline.bundling.archive import SUMS, checksums
from sweeper.pipeline.bundling.bundle import bundle
from sweeper.pipeline.page import FigureStyle, figures_of
from sweeper.pipeline.report import SUFFIXES, latex_files, tables
from sweeper.report.draft import refuse_drafts
from sweeper.report.formats.registry import RENDERERS, join
from sweeper.report.words import caption_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweeper.report.formats.latex import LatexStyle
    from sweeper.report.query import Query
    from sweeper.report.table import ReportTable
    from sweeper.store.workspace import Workspace

BUNDLE = "bundle.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalFolder:
    """A written folder.

    Attributes:
        path: The folder.
        files: Names of its files.
        warnings: What does not fit on the page.
    """

    path: Path
    files: tuple[str, ...]
    warnings: tuple[str, ...]


def write_final(
    workspace: Workspace,
    queries: Sequence[Query],
    folder: Path,
    latex: LatexStyle,
    figures: FigureStyle,
) -> FinalFolder:
    """Write tables, figures, captions, citations and the bundle of final tables, with checksums.

    The folder appears complete or not at all.

    Args:
        workspace: With the trainings.
        queries: One per metric; the first one has the figures and the bundle.
        folder: The folder, which must not exist, or be empty, or be a former one.
        latex: How LaTeX tables are set.
        figures: How figures are made.

    Raises:
        DraftError: A table is a draft.
        ConfigError: The folder has other files, or cannot be written; a case does not exist.
    """
    by_metric = [tables(query) for query in queries]
    every = [table for of_metric in by_metric for table in of_metric]
    refuse_drafts(every)
    _require_free(folder)
    folder = folder.absolute()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "figures").mkdir(parents=True)
    except OSError as err:
        raise ConfigError(f"--final {folder}: cannot be written ({err.strerror})") from err
    written = latex_files(by_metric, latex)
    main = partial / "table.tex"
    texts = {main: written.text, **written.beside(main)}
    for name, render in RENDERERS.items():
        if name != "latex":
            text = join(name, [render(table) for table in every])
            texts[partial / f"table.{SUFFIXES[name]}"] = text
    drawn = figures_of(workspace, queries[0], partial / "figures", figures)
    texts[partial / "captions.md"] = _captions(every, drawn)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    bundle(workspace, queries[0], partial / BUNDLE)
    files = {
        path.relative_to(partial).as_posix(): path.read_bytes()
        for path in sorted(partial.rglob("*"))
        if path.is_file()
    }
    (partial / SUMS).write_text(checksums(files), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return FinalFolder(path=folder, files=(*files, SUMS), warnings=written.warnings)


def _require_free(folder: Path) -> None:
    """Raise if the folder holds anything but a former final folder.

    Raises:
        ConfigError: It does.
    """
    if not folder.exists():
        return
    is_former = (folder / SUMS).is_file() and (folder / BUNDLE).is_file()
    if not folder.is_dir() or (any(folder.iterdir()) and not is_former):
        raise ConfigError(
            f"--final {folder}: already exists and is not a folder of `--final`; choose another one"
        )


def _captions(built: Sequence[ReportTable], figures: Mapping[str, Path]) -> str:
    """The captions of all tables and figures in Markdown."""
    parts = [
        f"## Table {table.name}\n\n" + "\n".join(f"{line}  " for line in caption_lines(table))
        for table in built
    ]
    parts += [
        f"## figures/{path.stem}.pdf, figures/{path.name}\n\n{caption}"
        for caption, path in figures.items()
    ]
    return "\n\n".join(parts) + "\n"
