"""Choices and refusals of `embed`, `embeddings` and `weights`, before anything is computed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner
from toy_embeddings import fill, make_manifest

from desam_model.encoder.entry import COMPUTES
from desam_model.encoder.precision import PRECISIONS
from sweeper.cli import cli
from sweeper.cli.embed import embed
from sweeper.cli.embeddings import convert
from sweeper.cli.weights import get
from sweeper.errors import StoreError, WeightsError


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "ws"


@pytest.fixture
def run(workspace):
    return lambda *words: CliRunner().invoke(cli, ["--workspace", str(workspace), *words])


def choices(command, name):
    (param,) = (param for param in command.params if param.name == name)
    return set(param.type.choices)


def test_the_choices_are_those_of_the_registries():
    assert choices(embed, "compute") == {"auto", *COMPUTES}
    assert choices(embed, "precision") == set(PRECISIONS)
    smaller = {name for precision in PRECISIONS.values() for name in precision.smaller}
    assert choices(convert, "precision") == smaller
    assert "vit_tiny" not in choices(get, "encoder")


@pytest.mark.parametrize("module", ["embed", "embeddings", "weights"])
def test_the_help_imports_neither_torch_nor_ray(module):
    code = (
        f"import sys, sweeper.cli.{module}; sys.exit(bool({{'torch', 'ray'}} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_an_empty_workspace_names_the_command_that_creates_a_store(run):
    assert "no embedding stores; create one with 'sweeper " in run("embeddings", "list").output
    assert "nothing to remove" in run("embeddings", "gc").output


def test_a_store_that_no_training_uses_is_removed_only_after_consent(run, workspace):
    store = fill(workspace / "embeddings" / "toy.zarr", make_manifest())
    refused = run("embeddings", "gc")
    assert "remove 1 store?" in refused.output
    assert store.path.exists()
    assert run("embeddings", "gc", "--yes").exit_code == 0
    assert not store.path.exists()


def test_a_damaged_store_is_an_error_that_names_the_repair(run, workspace):
    store = fill(workspace / "embeddings" / "toy.zarr", make_manifest())
    assert "6 slices, 0 damaged" in run("embeddings", "verify").output
    (store.path / "neck" / "c.2.0.0.0").write_bytes(b"")
    damaged = run("embeddings", "verify")
    assert isinstance(damaged.exception, StoreError)
    assert "1 slice is damaged; run the command again with --repair" in str(damaged.exception)


def test_a_mirror_that_is_not_a_url_is_refused(run):
    error = run("weights", "get", "vit_b", "--url", "mirror/sam").exception
    assert isinstance(error, WeightsError)
    assert "--url is 'mirror/sam', expected a URL" in str(error)


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "sweeper.cli", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "sweeper")
