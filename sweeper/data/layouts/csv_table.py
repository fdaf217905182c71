"""Reads CSV tables: with or without byte-order mark, separated by comma, semicolon or tab."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from sweeper.data.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DELIMITERS = (",", ";", "\t")


def read_table(
    path: Path, required: Sequence[str]
) -> tuple[list[tuple[int, Mapping[str, str]]], list[Fault]]:
    """(line number, column -> text) of every row, and the faults of the file.

    Column names become lower case; further columns are returned as well.
    """

    def fault(code: str, problem: str, remedy: str, line: int | None = None) -> Fault:
        where = path.name if line is None else f"{path.name} line {line}"
        return Fault(code=code, where=where, problem=problem, remedy=remedy)

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return [], [fault("csv-encoding", "it is not UTF-8 text", "save it as CSV UTF-8")]
    if "\0" in text:
        return [], [fault("csv-encoding", "it contains NUL bytes", "save it as CSV UTF-8")]
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        columns = ",".join(required)
        return [], [fault("csv-empty", "it is empty", f"add the columns {columns}")]
    delimiter = max(DELIMITERS, key=lines[0].count)
    header = [name.strip().lower() for name in next(csv.reader(lines[:1], delimiter=delimiter))]
    missing = [name for name in required if name not in header]
    if missing:
        return [], [
            fault(
                "csv-columns",
                f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; it has"
                f" {', '.join(header)}",
                f"the required columns are {','.join(required)}",
            )
        ]
    duplicates = sorted({name for name in header if name and header.count(name) > 1})
    if duplicates:
        problem = f"duplicate column {', '.join(duplicates)}"
        return [], [fault("csv-columns", problem, "keep one of them")]
    rows: list[tuple[int, Mapping[str, str]]] = []
    faults: list[Fault] = []
    for number, cells in enumerate(csv.reader(lines[1:], delimiter=delimiter), start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        empty = [name for name in required if not row.get(name)]
        if len(cells) > len(header):
            problem = f"it has {len(cells)} cells, but the header has {len(header)}"
            faults.append(fault("csv-row", problem, "quote cells that contain a comma", number))
        elif empty:
            problem = f"no value for {', '.join(empty)}"
            faults.append(fault("csv-row", problem, "fill it in or remove the line", number))
        else:
            rows.append((number, row))
    if not rows and not faults:
        faults.append(fault("csv-empty", "it has a header but no rows", "add one row per case"))
    return rows, faults
