"""An installed package adds an encoder, a layout and a method by entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = '''
"""An encoder, a layout and a method from outside."""

from typing import ClassVar, Literal

from desam_model.encoder.sam_vit_entries import RANDOM, SamVitSizes, sam_vit_entry
from sweeper.config.base import Method
from sweeper.config.image_methods import ImageMethodConfig
from sweeper.data.layouts.registry import Layout
from sweeper.data.layouts.source import SourceCase, SourceDataset

ENCODER = sam_vit_entry(
    "vit_pico",
    sizes=SamVitSizes(width=64, depth=8, num_heads=4, window=7, global_blocks=(1, 3, 5, 7)),
    input_px=64,
    neck_channels=32,
    parameters=464_064,
    description="smaller still",
    block=16,
    pretraining=RANDOM,
    fingerprint="0123456789abcdef",
)


def fits(folder):
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def read(folder, structures):
    cases = tuple(
        SourceCase(
            case=image.name.removesuffix(".nii.gz"),
            domain="ours",
            image=image,
            label=folder / "masks" / image.name,
            label_map={1: 1},
        )
        for image in sorted((folder / "images").glob("*.nii.gz"))
    )
    return SourceDataset(root=folder, layout="flat", cases=cases, structures=("prostate",))


LAYOUT = Layout(name="flat", marker="images/ and masks/", fits=fits, read=read)


class MirrorConfig(ImageMethodConfig):
    """A Baseline on mirrored slices."""

    implementation: ClassVar[str] = "Mirror"

    name: Literal["mirror"] = "mirror"

    def module(self):
        return "more_rows.mirror"


METHOD = Method(config=MirrorConfig)
'''
MIRROR = '''
"""Mirror: a Baseline whose training slices are mirrored."""

from desam_model.comparisons.unet import UNetBaseline


class Mirror(UNetBaseline):
    """Sees every slice from the other side."""

    def losses(self, example, generator):
        return super().losses(example, generator)
'''
ENTRY_POINTS = """
[sweeper.encoders]
vit_pico = more_rows:ENCODER
[sweeper.layouts]
flat = more_rows:LAYOUT
[sweeper.methods]
mirror = more_rows:METHOD
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the package as pip would have installed it."""
    code = tmp_path / "site" / "more_rows"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text(PACKAGE)
    (code / "mirror.py").write_text(MIRROR)
    info = tmp_path / "site" / "more_rows-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-rows\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path / "site"


def python(package: Path, code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CLI = "from sweeper.cli import main; main()"
METHOD = """
import json
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method
from sweeper.plan.code_version import training_hash, training_modules
trial = TrialConfig.model_validate({"source": "A", "method": {"name": "mirror"}})
built = build_method(trial, Sizes(image_channels=1), seed=0)
modules = training_modules("more_rows.mirror")
print(json.dumps({
    "class": type(built).__name__,
    "is_followed": "desam_model.comparisons.unet" in modules,
    "hash": training_hash("more_rows.mirror"),
}))
"""
ENCODER = """
import json
import torch
from desam_model.encoder.registry import build_encoder
encoder = build_encoder("vit_pico")
embedding = encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
print(json.dumps({"taps": [list(tap.shape) for tap in embedding.taps]}))
"""


def test_the_names_stand_in_the_schema_and_in_the_options(package: Path) -> None:
    schema = python(package, CLI, "schema")
    assert '"mirror"' in schema
    assert '"vit_pico"' in schema
    assert "vit_pico" in python(package, CLI, "embed", "--help")
    assert "flat" in python(package, CLI, "data", "import", "--help")


def test_the_layout_is_told_by_its_marker_and_imported(package: Path, tmp_path: Path) -> None:
    import fault_sources as sources

    source = sources.saml(tmp_path / "saml")
    flat = tmp_path / "flat"
    for name in ("images", "masks"):
        (flat / name).mkdir(parents=True)
    for number, image in enumerate(sorted((source / "UCL").glob("Case??.nii.gz"))):
        label = image.with_name(image.name.replace(".nii.gz", "_segmentation.nii.gz"))
        (flat / "images" / f"p{number}.nii.gz").write_bytes(image.read_bytes())
        (flat / "masks" / f"p{number}.nii.gz").write_bytes(label.read_bytes())
    words = ("--workspace", str(tmp_path / "ws"), "data", "import", str(flat), "--name", "mine")
    assert "mine: 2 cases" in python(package, CLI, *words)


def test_the_method_is_built_and_versioned_by_its_own_files(package: Path) -> None:
    before = json.loads(python(package, METHOD))
    assert (before["class"], before["is_followed"]) == ("Mirror", True)
    code = package / "more_rows" / "mirror.py"
    code.write_text(MIRROR.replace("return super()", "generator.seed()\n        return super()"))
    assert json.loads(python(package, METHOD))["hash"] != before["hash"]


def test_the_encoder_is_built_from_its_entry(package: Path) -> None:
    taps = json.loads(python(package, ENCODER))["taps"]
    assert taps == [[1, 64, 4, 4]] * 3
