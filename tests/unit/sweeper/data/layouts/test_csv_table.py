"""CSV tables in every common dialect give the same rows; each fault names its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sweeper.data.layouts.csv_table import read_table

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = ("case", "site")


def read(path: Path, content: bytes):
    file = path / "t.csv"
    file.write_bytes(content)
    return read_table(file, REQUIRED)


@pytest.mark.parametrize(
    "content",
    [
        b"case,site,note\na,north,x\nb,south,y\n",
        b"case;site;note\r\na;north;x\r\nb;south;y\r\n",
        b"case\tsite\tnote\na\tnorth\tx\nb\tsouth\ty",
        b"\xef\xbb\xbfCase, SITE ,note\n a ,north,x\nb, south,y\n",
        b'case,site,note\n"a","north","x"\nb,south,y\n',
    ],
    ids=["comma", "semicolon", "tab", "byte-order mark and spaces", "quotes"],
)
def test_every_dialect_gives_the_same_rows(tmp_path: Path, content: bytes) -> None:
    rows, faults = read(tmp_path, content)
    assert faults == []
    assert rows == [
        (2, {"case": "a", "site": "north", "note": "x"}),
        (3, {"case": "b", "site": "south", "note": "y"}),
    ]


@pytest.mark.parametrize(
    ("content", "code", "problem"),
    [
        (b"case,site\n\xff,x\n", "csv-encoding", "it is not UTF-8 text"),
        (b"case,site\na\0,x\n", "csv-encoding", "it contains NUL bytes"),
        (b"\n \n", "csv-empty", "it is empty"),
        (b"case,site\n\n", "csv-empty", "it has a header but no rows"),
        (b"case,center\na,b\n", "csv-columns", "column site missing; it has case, center"),
        (b"a,b\nx,y\n", "csv-columns", "columns case, site missing; it has a, b"),
        (b"case,site,Site\na,b,c\n", "csv-columns", "duplicate column site"),
    ],
)
def test_a_table_that_cannot_be_used_has_no_rows_and_one_fault(
    tmp_path: Path, content: bytes, code: str, problem: str
) -> None:
    rows, faults = read(tmp_path, content)
    assert rows == []
    assert [(fault.code, fault.where, fault.problem) for fault in faults] == [
        (code, "t.csv", problem)
    ]


def test_a_faulty_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    rows, faults = read(tmp_path, b"case,site\na,north\n\nb,\nc,d,e\nf,south\n")
    assert [number for number, _ in rows] == [2, 6]
    assert [(fault.where, fault.problem) for fault in faults] == [
        ("t.csv line 4", "no value for site"),
        ("t.csv line 5", "it has 3 cells, but the header has 2"),
    ]
