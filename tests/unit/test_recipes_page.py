"""docs/data-recipes.md: every command runs on a set of the shown shape, and warns what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import official_sets as official
import pytest

from sweeper.cli import main
from sweeper.store.dataset.store import DatasetStore

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data-recipes.md"


def btcv_and_chaos(root: Path) -> None:
    official.btcv(root / "btcv")
    official.chaos(root / "chaos")
    (root / "btcv" / "Abdomen" / "RawData").rename(root / "RawData")
    (root / "chaos" / "Train_Sets" / "MR").rename(root / "MR")
    shutil.rmtree(root / "btcv")
    shutil.rmtree(root / "chaos")


def chaos(root: Path) -> None:
    official.chaos(root.parent)


SETS: dict[str, tuple[str, Callable[[Path], object], dict[str, int]]] = {
    "PROMISE12": ("promise12", official.promise12, {"promise12": 3}),
    "Medical Segmentation Decathlon, Task05": (
        "Task05_Prostate",
        official.decathlon,
        {"msd05": 3},
    ),
    "Prostate158": ("prostate158_train", official.prostate158, {"prostate158": 3}),
    "NCI-ISBI 2013": ("nci-isbi", official.nci_isbi, {"nci-isbi": 4}),
    "I2CVB": ("i2cvb", official.i2cvb, {"i2cvb": 2}),
    "PROSTATEx with masks": ("prostatex", official.prostatex, {"prostatex": 2}),
    "nnU-Net version 2": ("Dataset005_Gland", official.nnunet, {"gland": 3}),
    "BTCV and CHAOS": ("abdomen", btcv_and_chaos, {"abdomen": 4}),
    "CHAOS alone": ("Train_Sets", chaos, {"chaos-mr": 2, "chaos-ct": 2}),
    "AMOS22": ("amos22", official.amos, {"amos22": 4}),
    "BIDS with derivatives": ("bids", official.bids, {"bids": 3}),
    "Pictures in two folders": ("skin", official.images_and_masks, {"skin": 3}),
}
"""Section -> its folder, what makes it, and dataset -> number of cases."""


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_section_with_commands_is_run_here() -> None:
    assert {name for name, text in sections().items() if "```sh" in text} == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_the_commands_of_a_section_import_the_set_and_warn_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = sections()[name]
    folder, make, datasets = SETS[name]
    make(tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^sweeper (.+)$", text, flags=re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command)
        extra = ["--processes", "1"] if "import" in words else []
        with pytest.raises(SystemExit) as ended:
            main([*words, *extra])
        assert ended.value.code == 0, command
    printed = set(re.findall(r"^warning \[([\w-]+)\]", capsys.readouterr().err, re.MULTILINE))
    (stated,) = re.findall(r"Warned: (.+?)\.$", text, flags=re.MULTILINE)
    assert printed == set(re.findall(r"`([\w-]+)`", stated))
    for dataset, n_cases in datasets.items():
        store = DatasetStore.open(tmp_path / "workspace" / "datasets" / f"{dataset}.zarr")
        assert len(store.cases) == n_cases
