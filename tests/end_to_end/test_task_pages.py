"""The pages of docs/tasks are executed block by block, in the order of their index."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import fault_sources as sources
import numpy as np
import pytest
from doc_pages import Block, blocks
from tiny_workspace import scan

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tasks"
INDEX = FOLDER / "README.md"
PAGES = [INDEX, *(FOLDER / name for name in re.findall(r"\]\(([\w-]+\.md)\)", INDEX.read_text()))]
SMALLER = {"epochs: 50": "epochs: 1", "samples: 8": "samples: 2"}
"""What the pages have, and what is run instead, for minutes instead of hours."""


def test_every_page_is_in_the_index_once_and_short() -> None:
    assert sorted(PAGES) == sorted(FOLDER.glob("*.md"))
    assert [page.name for page in PAGES if len(page.read_text().splitlines()) >= 60] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_commands_of_all_pages_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("new1", "new2"):
        sources.write(tmp_path / "new_scans" / f"{name}.nii.gz", scan(len(name))[0])
    for page in PAGES:
        for block in blocks(page):
            if block.file:
                write(tmp_path / block.file, block)
            elif block.language == "python":
                execute(block, tmp_path)
            elif block.language == "bash":
                for words in block.commands():
                    done = sweeper(*words)
                    said = f"{page.name}: sweeper {' '.join(words)}\n{done.stdout}{done.stderr}"
                    assert done.returncode == 0, said
    # what the pages say of the results
    assert not list((tmp_path / "workspace/datasets").glob("seeded*"))
    assert {path.name for path in (tmp_path / "masks").glob("new*.nii.gz")} == {
        "new1.nii.gz",
        "new2.nii.gz",
    }


def sweeper(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper.cli", *words], capture_output=True, text=True, check=False
    )


def write(path: Path, block: Block) -> None:
    """A file of a page; the volumes that a CSV names are made too."""
    text = block.text
    for long, short in SMALLER.items():
        text = text.replace(long, short)
    path.write_text(text)
    if block.language != "csv":
        return
    for number, row in enumerate(csv.DictReader(text.splitlines())):
        image, label = scan(number, 300.0 if row["site"] == "north" else 180.0)
        if "organs" in row["label"]:
            half = np.arange(label.shape[2]) > np.argwhere(label)[:, 2].mean()
            label = (label * (1 + half)).astype(np.uint8)
        sources.write(path.parent / row["image"], image)
        sources.write(path.parent / row["label"], label)


def execute(block: Block, folder: Path) -> None:
    """Run a script in a process of its own, with a check of the part that it defines."""
    check = {
        "SENSITIVITY": "import numpy as np; full = np.ones((2, 3, 3), bool)\n"
        "assert SENSITIVITY.function()(full, full, (1, 1, 1)) == 1.0",
        "FLAT": "import pathlib; assert not FLAT.fits(pathlib.Path('.'))",
    }
    checks = [code for name, code in check.items() if name in block.text]
    named = re.match(r"# (\w+\.py)\n", block.text)
    script = folder / (named[1] if named else "block.py")
    script.write_text("\n".join([block.text, *checks]))
    done = subprocess.run(
        [sys.executable, script.name],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg"},
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
