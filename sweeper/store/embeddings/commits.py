"""The journal of a store: one line a slice, written when all bytes of the slice are in place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

JOURNAL = "commits.jsonl"


@dataclass(frozen=True, slots=True)
class Commit:
    """A slice that counts.

    Attributes:
        index: Slice.
        checksums: CRC-32C of each array's uncompressed little-endian bytes, by array name.
    """

    index: int
    checksums: Mapping[str, int]

    def line(self) -> str:
        """The journal's line, with its newline."""
        return json.dumps({"slice": self.index, "crc32c": dict(self.checksums)}) + "\n"


def checksum(values: np.ndarray) -> int:
    """CRC-32C of an array's bytes; about 10 GB/s."""
    return int(google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8)))


def parse_journal(text: str) -> dict[int, Commit]:
    """All commits by slice; a torn line does not count, a revoked slice not any more."""
    commits: dict[int, Commit] = {}
    for line in text.splitlines():
        try:
            values = json.loads(line)
            if values["crc32c"] is None:
                commits.pop(int(values["slice"]), None)
                continue
            commit = Commit(int(values["slice"]), {k: int(v) for k, v in values["crc32c"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        commits[commit.index] = commit
    return commits


def read_journal(store: Path) -> dict[int, Commit]:
    """All commits of a store on a local disk; empty where there is none yet."""
    try:
        return parse_journal((store / JOURNAL).read_text(errors="replace"))
    except FileNotFoundError:
        return {}


def append_commits(store: Path, commits: Iterable[Commit]) -> None:
    """Make slices count."""
    _append(store, "".join(commit.line() for commit in commits))


def revoke_commits(store: Path, slices: Iterable[int]) -> None:
    """Make slices not count any more, so that they are made anew."""
    _append(store, "".join(json.dumps({"slice": i, "crc32c": None}) + "\n" for i in slices))


def _append(store: Path, lines: str) -> None:
    """Add lines in one write; a torn last line is ended first, so that it spoils no other."""
    with (store / JOURNAL).open("ab+") as file:
        torn = False
        if file.tell() > 0:
            file.seek(-1, 2)
            torn = file.read(1) != b"\n"
        file.write((("\n" if torn else "") + lines).encode())
