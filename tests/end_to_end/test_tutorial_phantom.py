"""docs/tutorial-phantom.md is executed word by word, and prints what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-phantom.md"


def without_numbers(text: str) -> list[str]:
    """The lines without numbers and lengths of spaces, which differ from machine to machine."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+", "#", line)).strip() for line in text.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_reader_who_types_the_page_sees_what_it_shows(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed: list[str] = []
    for block in blocks(PAGE):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-e", "-c", block.text],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env={**os.environ, "PATH": programs},
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed = without_numbers(done.stdout)
        elif block.language == "text":
            rest = iter(printed)
            for line in without_numbers(block.text):
                assert line in rest, f"not printed, or not in this order: {line!r}\n{printed}"
    assert (tmp_path / "curves.png").is_file()
    assert not list((tmp_path / "workspace" / "trainings").iterdir())  # the page ends with remove
