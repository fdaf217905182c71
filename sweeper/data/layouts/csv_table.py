"""CSV files as people write them: with or without a byte-order mark, comma, semicolon or tab."""

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
    """(line number, column -> text) of every row, and what is wrong with the file.

    Column names are taken in lower case; columns that are not required are kept.
    """

    def fault(code: str, problem: str, remedy: str, line: int | None = None) -> Fault:
        where = path.name if line is None else f"{path.name} line {line}"
        return Fault(code=code, where=where, problem=problem, remedy=remedy)

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return [], [fault("csv-encoding", "it is not UTF-8 text", "save it as CSV UTF-8")]
    if "\0" in text:
        return [], [fault("csv-encoding", "it holds NUL bytes", "save it as CSV UTF-8")]
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        wanted = ",".join(required)
        return [], [fault("csv-empty", "it is empty", f"give it the columns {wanted}")]
    delimiter = max(DELIMITERS, key=lines[0].count)
    header = [name.strip().lower() for name in next(csv.reader(lines[:1], delimiter=delimiter))]
    missing = [name for name in required if name not in header]
    if missing:
        return [], [
            fault(
                "csv-columns",
                f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; it has"
                f" {', '.join(header)}",
                f"name the columns {','.join(required)}",
            )
        ]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        problem = f"column {', '.join(twice)} stands twice"
        return [], [fault("csv-columns", problem, "keep one of them")]
    rows: list[tuple[int, Mapping[str, str]]] = []
    faults: list[Fault] = []
    for number, cells in enumerate(csv.reader(lines[1:], delimiter=delimiter), start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        empty = [name for name in required if not row.get(name)]
        if len(cells) > len(header):
            problem = f"{len(cells)} cells, the header has {len(header)}"
            faults.append(fault("csv-row", problem, "quote cells that hold a comma", number))
        elif empty:
            problem = f"no value for {', '.join(empty)}"
            faults.append(fault("csv-row", problem, "fill it in or remove the line", number))
        else:
            rows.append((number, row))
    if not rows and not faults:
        faults.append(fault("csv-empty", "it has a header and no row", "add one row a case"))
    return rows, faults
