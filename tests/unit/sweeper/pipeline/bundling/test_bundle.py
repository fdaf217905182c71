"""A bundle holds what a reader needs to check a table, and nothing of the machine."""

from __future__ import annotations

import csv
import getpass
import io
import json
import re
import socket

import pytest

from sweeper.cli import main
from sweeper.config.sweep import load_sweep
from sweeper.errors import ConfigError
from sweeper.pipeline.bundling.archive import read_archive
from sweeper.pipeline.bundling.bundle import bundle
from sweeper.pipeline.bundling.contents import without_paths
from sweeper.pipeline.data.sources import DataSource
from sweeper.pipeline.display import Silent
from sweeper.pipeline.report import changed_query
from sweeper.plan.expand import make_plan
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.ledger import Ledger
from sweeper.tracking.mlflow_tracker import MlflowTracker

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries


@pytest.fixture(scope="module")
def path(tiny_sweep, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "paper.zip"
    made = tiny_sweep.bundle(path)
    assert (made.n_trainings, made.n_missing) == (2, 0)
    assert made.n_bytes == path.stat().st_size
    return path


@pytest.fixture(scope="module")
def files(path):
    return {name: content.decode() for name, content in read_archive(path).items()}


def test_it_holds_the_table_in_every_format_and_every_value(files, tiny_sweep):
    table = tiny_sweep.table()
    for name, form in (("md", "markdown"), ("csv", "csv"), ("tex", "latex"), ("json", "json")):
        assert files[f"tables/table.{name}"] == table.render(form)
        assert f"tables/costs.{name}" in files
        assert f"tables/statistics.{name}" in files
    assert table.caption.splitlines()[0] in files["tables/tables.html"]
    rows = list(csv.DictReader(io.StringIO(files["rows.csv"])))
    assert len(rows) == len(tiny_sweep.rows())


def test_its_space_plans_the_same_trainings(files, tiny_sweep, tmp_path):
    (name,) = [name for name in files if name.startswith("spaces/")]
    space = tmp_path / "again.yaml"
    space.write_text(files[name])
    sweep = load_sweep(space)
    facts = DataSource(tiny_sweep.workspace, Silent(), makes_embeddings=False).facts
    plan = make_plan(sweep.spec.name, sweep.trials, facts)
    records = {name for name in files if name.startswith("trainings/")}
    assert {f"trainings/{training.train_id}.json" for training in plan.trainings} == records
    assert sweep.spec.report.columns == "source"


def test_weights_data_code_and_machine_are_named(files, tiny_sweep):
    about = json.loads(files["bundle.json"])
    store = DatasetStore.open(tiny_sweep.workspace.datasets / "tiny.zarr")
    assert about["datasets"][0]["fingerprint"] == store.fingerprint
    assert about["encoders"][0]["encoder"] == "vit_tiny"
    assert about["versions"]["version.torch"]
    assert about["versions"]["git_commit"]
    assert "torch==" in files["packages.txt"]
    for folder in Ledger(tiny_sweep.workspace.trainings):
        record = json.loads(files[f"trainings/{folder.train_id}.json"])
        assert re.fullmatch(r"[0-9a-f]{64}", record["weights_sha256"])
        assert record["machines"] == folder.machines()
        assert record["machines"][0]["threads"] == "1"
    assert store.fingerprint in files["README.md"]
    assert "sweeper run spaces/" in files["README.md"]
    assert "DRAFT" in files["README.md"]


def test_no_path_host_user_or_other_case_is_in_it(files, tiny_folder, tiny_sweep):
    rows = list(csv.DictReader(io.StringIO(files["rows.csv"])))
    scored = {row["case"] for row in rows}
    store = DatasetStore.open(tiny_sweep.workspace.datasets / "tiny.zarr")
    trained = {case for folder in Ledger(tiny_sweep.workspace.trainings)
               for case in folder.fit()["train_cases"]} - scored  # fmt: skip
    assert trained
    assert trained < {case.case for domain in store.domains for case in store.cases_of(domain)}
    secrets = [str(tiny_folder), str(tiny_folder.parent), "/tmp", socket.gethostname(), *trained]
    secrets += [f"/{getpass.getuser()}/", "Case00.nii"]
    for name, text in files.items():
        assert [secret for secret in secrets if secret in text] == [], name


def test_paths_of_a_space_become_names():
    space = {
        "trial": {
            "dataset": {"grid": ["/data/prostate.zarr", "~/other", "phantom", "v1.2"]},
            "encoder": {"checkpoint": "/home/me/sam.pth"},
            "method": {"name": "medsam", "start": "/home/me/medsam.pth"},
        },
        "description": "CT/MR",
    }
    assert without_paths(space) == {
        "trial": {
            "dataset": {"grid": ["prostate", "other", "phantom", "v1.2"]},
            "encoder": {"checkpoint": "sam.pth"},
            "method": {"name": "medsam", "start": "medsam.pth"},
        },
        "description": "CT/MR",
    }


def test_another_file_name_and_an_old_sweep_are_refused(tiny_sweep, tmp_path, monkeypatch):
    query = changed_query(tiny_sweep.workspace, [tiny_sweep.name], None, {})
    with pytest.raises(ConfigError, match=r"expected a \.zip file such as paper\.zip"):
        bundle(tiny_sweep.workspace, query, tmp_path / "paper.tar")
    del query.results.sweeps[0].plan["space"]
    with pytest.raises(ConfigError, match="run the space again"):
        bundle(tiny_sweep.workspace, query, tmp_path / "paper.zip")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_and_why_it_is_a_draft(
    tiny_sweep, tiny_folder, tmp_path, capsys
):
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(tiny_folder / "ws"), "bundle", str(tiny_folder / "tiny.yaml"),
              "-o", str(tmp_path / "paper.zip")])  # fmt: skip
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "2 trainings" in said
    assert "draft: encoder vit_tiny has random weights" in said or "draft:" in said
    assert f"verify {tmp_path / 'paper.zip'}" in said
    assert MlflowTracker(tiny_sweep.workspace).sweeps()[-1].name == tiny_sweep.name
