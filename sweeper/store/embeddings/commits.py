"""The journal of a store: one line per slice, written after all bytes of the slice."""

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
    """Entry of the journal: the slice is completely written.

    Attributes:
        index: Index of the slice.
        checksums: CRC-32C of each array's uncompressed little-endian bytes, by array name.
    """

    index: int
    checksums: Mapping[str, int]

    def line(self) -> str:
        """The line in the journal, with its newline."""
        return json.dumps({"slice": self.index, "crc32c": dict(self.checksums)}) + "\n"


def checksum(values: np.ndarray) -> int:
    """CRC-32C of an array's bytes; about 10 GB/s."""
    return int(google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8)))


def parse_journal(text: str) -> dict[int, Commit]:
    """All valid commits by slice, without truncated lines and revoked slices."""
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
    """All commits of a store on a local disk; empty if there are none yet."""
    try:
        return parse_journal((store / JOURNAL).read_text(errors="replace"))
    except FileNotFoundError:
        return {}


def append_commits(store: Path, commits: Iterable[Commit]) -> None:
    """Append commits to the journal."""
    _append(store, "".join(commit.line() for commit in commits))


def revoke_commits(store: Path, slices: Iterable[int]) -> None:
    """Revoke the commits of slices, so that they are re-created."""
    _append(store, "".join(json.dumps({"slice": i, "crc32c": None}) + "\n" for i in slices))


def _append(store: Path, lines: str) -> None:
    """Append lines in one write; a truncated last line is first ended with a newline."""
    with (store / JOURNAL).open("ab+") as file:
        is_truncated = False
        if file.tell() > 0:
            file.seek(-1, 2)
            is_truncated = file.read(1) != b"\n"
        file.write((("\n" if is_truncated else "") + lines).encode())
