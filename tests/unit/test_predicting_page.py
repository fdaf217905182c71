"""The commands of docs/predicting.md are read out of the page and run, in their order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
import tiny_workspace as tiny
import torch

from sweeper.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "predicting.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the page's files and a workspace with its trainings."""
    before = torch.get_num_threads()
    trials = [{"method": tiny.DESAM}, {"method": tiny.DESAM, "seed": 1}]
    workspace = tiny.make_workspace(tmp_path, trials, epochs=1)
    for name in ("scans", "references"):
        (tmp_path / name).mkdir()
    case = tmp_path / "src" / "UCL" / "Case01"
    shutil.copy(f"{case}.nii.gz", tmp_path / "scan.nii.gz")
    shutil.copy(f"{case}.nii.gz", tmp_path / "scans" / "one.nii.gz")
    shutil.copy(f"{case}_segmentation.nii.gz", tmp_path / "references" / "one.nii.gz")
    picture = np.clip(tiny.scan(5)[0][2] / 3, 0, 255).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture), str(tmp_path / "photo.png"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_WORKSPACE", str(workspace.root))
    yield tmp_path
    torch.set_num_threads(before)


def commands():
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        for line in block.splitlines():
            yield shlex.split(line, comments=True)


def test_every_command_of_the_page_works(folder):
    ran = []
    for program, *words in commands():
        assert program == "sweeper"
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, words
        ran.append(words[0])
    assert ran.count("predict") >= 5
    for mask in ("masks/scan.nii.gz", "more/photo.png", "ensemble/previews/scan.png"):
        assert (folder / mask).is_file()
    assert "dice" in (folder / "scored" / "predictions.csv").read_text()
    assert (folder / "model" / "weights.safetensors").is_file()
    assert (folder / "from-the-folder" / "scan.nii.gz").read_bytes()
