"""The code blocks of documentation pages: files to write, commands to run, Python to execute."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = re.compile(r"(?:^`([\w./-]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUNNER = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:uv run (?:--extra \w+ )?)?(?=sweeper )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A code block.

    Attributes:
        language: The word after the fence; `bash` is executed, `sh` only parsed.
        text: Its lines.
        file: Name of the file in the line above it; empty if it is none.
    """

    language: str
    text: str
    file: str = ""

    def commands(self) -> Iterator[list[str]]:
        """The words of every `sweeper` command, without comments and without `sweeper`."""
        for line in self.text.replace("\\\n", " ").splitlines():
            runner = _RUNNER.match(line)
            if runner is not None:
                yield shlex.split(line[runner.end() :], comments=True)[1:]


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    return [
        Block(language=language, text=text, file=file)
        for file, language, text in _BLOCK.findall(page.read_text())
    ]
