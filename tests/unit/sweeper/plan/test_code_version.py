"""Which edit makes which numbers stale."""

from __future__ import annotations

import ast
import shutil
from typing import TYPE_CHECKING

import pytest

from sweeper.plan.code_version import (
    ROOT,
    normalised,
    scoring_hash,
    scoring_modules,
    training_hash,
    training_modules,
)

if TYPE_CHECKING:
    from pathlib import Path

DESAM = "desam_model.desam.desam"
MAXSTYLE = "desam_model.comparisons.maxstyle"
MEDSAM = "desam_model.comparisons.medsam"

EVERY_TRAINING = {"desam", "maxstyle", "medsam"}

EDITS = {
    "hd95_percentile": (
        "desam_model/scoring/metrics.py",
        "np.percentile(pooled, 95)",
        "np.percentile(pooled, 90)",
        {"scoring"},
    ),
    "clean_up": (
        "desam_model/scoring/clean_up.py",
        "small = sizes < area",
        "small = sizes <= area",
        {"scoring"},
    ),
    "field_of_a_case_score": (
        "desam_model/scoring/case_score.py",
        "    values: Mapping[str, float]\n",
        "    values: Mapping[str, float]\n    volume_ml: float\n",
        {"scoring"},
    ),
    "default_learning_rate": (
        "desam_model/training/default_rates.py",
        "RELEASED_LR = 1e-4",
        "RELEASED_LR = 2e-4",
        EVERY_TRAINING,
    ),
    "schedule_of_the_factory": (
        "sweeper/factory.py",
        "if training.lr is None else training.lr",
        "if training.lr is None else 2 * training.lr",
        EVERY_TRAINING,
    ),
    "settings_of_a_scoring": (
        "sweeper/trial/scoring_settings.py",
        "min_region_px=config.min_region_px",
        "min_region_px=config.min_region_px + 1",
        {"scoring"},
    ),
    "choice_of_cases": (
        "sweeper/trial/cases.py",
        "dataset.cases_of(d, Split.TRAIN)]",
        "dataset.cases_of(d)]",
        EVERY_TRAINING,
    ),
    "slices_of_a_view": (
        "sweeper/store/dataset/views.py",
        "if present]",
        "if present or offset == 0]",
        EVERY_TRAINING,
    ),
    "factory": (
        "sweeper/factory.py",
        "weight_decay=training.weight_decay,",
        "weight_decay=2 * training.weight_decay,",
        EVERY_TRAINING,
    ),
    "slices_of_a_fit": (
        "sweeper/trial/train.py",
        "reader(cases.validation),",
        "reader(cases.train),",
        EVERY_TRAINING,
    ),
    "loader": (
        "desam_model/training/loader.py",
        "_CHUNK_VALUES = 2**18",
        "_CHUNK_VALUES = 2**17",
        EVERY_TRAINING,
    ),
    "prim": (
        "desam_model/desam/prim.py",
        "NUM_MASK_TOKENS = 4",
        "NUM_MASK_TOKENS = 3",
        {"desam", "medsam"},
    ),
    "maxstyle": (
        "desam_model/comparisons/maxstyle.py",
        "alpha: float = 0.1",
        "alpha: float = 0.2",
        {"maxstyle"},
    ),
    "harness_of_the_image_methods": (
        "desam_model/comparisons/image/harness.py",
        "import annotations\n",
        "import annotations\n\n_ADDED = 1\n",
        {"maxstyle"},
    ),
    "nouns_of_both": (
        "desam_model/types.py",
        "import annotations\n",
        "import annotations\n\n_ADDED = 1\n",
        EVERY_TRAINING | {"scoring"},
    ),
    "comment": (
        "desam_model/training/fit.py",
        "    if not len(train)",
        "    # both are asked for\n    if not len(train)",
        set(),
    ),
    "docstring_of_a_value": (
        "desam_model/training/fit.py",
        '"""`last.pt` is written',
        '"""The file `last.pt` is written',
        set(),
    ),
    "message_of_the_command_line": (
        "sweeper/cli/__init__.py",
        "import importlib\n",
        "import importlib\n\n_ADDED = 1\n",
        set(),
    ),
}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("untouched"))


def copied(root: Path) -> Path:
    for package in ("desam_model", "sweeper"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    return root


def hashes(root: Path) -> dict[str, str]:
    return {
        "desam": training_hash(DESAM, root),
        "maxstyle": training_hash(MAXSTYLE, root),
        "medsam": training_hash(MEDSAM, root),
        "scoring": scoring_hash(root),
    }


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_makes_stale_what_it_can_change_and_nothing_else(
    edit: str, untouched: Path, tmp_path: Path
) -> None:
    file, old, new, changed = EDITS[edit]
    root = copied(tmp_path)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    before, after = hashes(untouched), hashes(root)
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    "written",
    [
        "from desam_model.networks import unet\n",
        "import desam_model.networks.unet as unet\n",
        "def f():\n    from desam_model.networks.unet import UNet\n",
        "if TYPE_CHECKING:\n    from desam_model.networks.unet import UNet\n",
        "from ..networks.unet import UNet\n",
        "from ..networks import unet\n",
    ],
)
def test_an_import_counts_wherever_it_stands_and_however_it_is_written(
    written: str, tmp_path: Path
) -> None:
    assert "desam_model.networks.unet" not in training_modules(DESAM)
    root = copied(tmp_path)
    with (root / "desam_model/training/epoch.py").open("a") as file:
        file.write(written)
    assert "desam_model.networks.unet" in training_modules(DESAM, root)


def test_training_and_scoring_share_the_nouns_only() -> None:
    assert training_modules(DESAM) & scoring_modules() == {
        "desam_model",
        "desam_model.types",
        "desam_model.slices",
        "desam_model.method",
    }


def test_every_module_of_the_training_package_is_hashed() -> None:
    folder = ROOT / "desam_model" / "training"
    names = {f"desam_model.training.{p.stem}" for p in folder.glob("*.py") if p.stem[0] != "_"}
    assert names <= training_modules(DESAM)


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n\nclass C:\n    a: int\n"
    commented = (
        '"""Doc."""\n# why\ndef f(x):\n    """Doc."""\n    return (x +\n 1)  # so\n'
        'class C:\n    """Doc."""\n    a: int\n    """Doc."""\n'
    )
    other = plain.replace("+ 1", "+ 2")
    of = [normalised(ast.parse(text)) for text in (plain, commented, other)]
    assert of[0] == of[1] != of[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f(0)", "f()"),
        ("f('')", "f(None)"),
        ("x = None", "x = 0"),
        ("lambda *, a, b=1: 0", "lambda *, a=1, b: 0"),
        ("{**a}", "{a: a}"),
        ("x: int", "x: int = 1"),
        ("return_ = 1", "return_ = 1.0"),
    ],
)
def test_different_code_is_different_text(one: str, other: str) -> None:
    assert normalised(ast.parse(one)) != normalised(ast.parse(other))
