"""Repeated trainings agree bit by bit here, and within the spread of seeds elsewhere."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import torch

import sweeper
from sweeper.cli import main
from sweeper.errors import DataError
from sweeper.pipeline.bundling import verify as verifying
from sweeper.pipeline.bundling.archive import SUMS, read_archive, write_archive
from sweeper.plan.identity import short_hash
from sweeper.store.json_file import read_json, write_json

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's libraries


@pytest.fixture(scope="module")
def path(tiny_sweep, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "paper.zip"
    tiny_sweep.bundle(path)
    return path


@pytest.fixture
def elsewhere(tiny_folder, tmp_path):
    """A workspace with the data and embeddings, the dataset under another name, no training."""
    for name in ("datasets", "embeddings"):
        shutil.copytree(tiny_folder / "ws" / name, tmp_path / "ws" / name)
    (tmp_path / "ws/datasets/tiny.zarr").rename(tmp_path / "ws/datasets/renamed.zarr")
    return tmp_path / "ws"


@pytest.fixture
def replayed(tiny_folder, monkeypatch):
    """Instead of training again, the folder of the first training is taken."""

    def replay(job, on_epoch):
        first = tiny_folder / "ws" / "trainings" / job.train_id
        shutil.copytree(first, job.folder, dirs_exist_ok=True)
        if replay.platform:
            machines = read_json(Path(job.folder) / "machines.json")
            write_json(
                Path(job.folder) / "machines.json",
                [{**machine, "platform": replay.platform} for machine in machines],
            )
        return True

    replay.platform = ""
    monkeypatch.setattr(verifying, "run_trial", replay)
    return replay


def changed(path, into, change_rows=None, change_record=None):
    """A bundle with other rows or records, and the right checksums."""
    files = read_archive(path)
    del files[SUMS]
    if change_rows is not None:
        rows = list(csv.DictReader(io.StringIO(files["rows.csv"].decode())))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(change_rows(row) for row in rows)
        files["rows.csv"] = stream.getvalue().encode()
    for name in [n for n in files if n.startswith("trainings/")] if change_record else ():
        record = json.loads(files.pop(name))
        change_record(record)
        record["train_id"] = short_hash(record["identity"])
        files[f"trainings/{record['train_id']}.json"] = json.dumps(record).encode()
    write_archive(into, files)
    return into


def plus(shift):
    """A change of rows: the Dice of seed 0 is higher."""

    def change(row):
        if (row["metric"], row["seed"]) != ("dice", "0"):
            return row
        return {**row, "value": repr(float(row["value"]) + shift)}

    return change


def test_a_repeated_training_is_bit_identical_on_the_same_data_under_another_name(
    path, elsewhere, capsys
):
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(elsewhere), "verify", str(path), "--sample", "1"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "repeated 1 of 2 trainings (chosen by seed 0)" in said
    assert "identical: desam full prostate A-ISBI seed " in said
    assert "weights and " in said
    assert "bit by bit" in said
    assert not (elsewhere / "trainings").exists()
    assert list((elsewhere / "verifications").iterdir()) == []
    assert torch.get_num_threads() == threads


def test_the_choice_depends_on_the_seed_only(path, elsewhere, replayed):
    chosen = [
        [check.name for check in sweeper.verify(path, workspace=elsewhere, sample=1, seed=s).checks]
        for s in (0, 0, 1, 2, 3)
    ]
    assert chosen[0] == chosen[1]
    assert len({name for (name,) in chosen}) == 2
    everything = sweeper.verify(path, workspace=elsewhere, sample=9)
    assert everything.agrees
    assert len(everything.checks) == everything.n_trainings == 2


def test_the_smallest_difference_counts_on_the_same_machine(path, elsewhere, replayed, tmp_path):
    other = changed(path, tmp_path / "x.zip", plus(1e-12))
    result = sweeper.verify(other, workspace=elsewhere)
    reasons = {check.name[-1]: (str(check.agreement), check.reason) for check in result.checks}
    assert reasons["1"][0] == "identical"
    assert reasons["0"][0] == "DIFFERENT"
    assert "processor, threads and versions are those of the record" in reasons["0"][1]
    assert not result.agrees


@pytest.mark.parametrize(
    ("shift", "agreement"), [(1e-12, "within the spread of seeds"), (0.9, "DIFFERENT")]
)
def test_another_machine_is_judged_by_the_spread_of_seeds(
    path, elsewhere, replayed, tmp_path, shift, agreement
):
    # both seeds move, so that the spread itself stays what it was
    def change(row):
        return plus(shift)({**row, "seed": "0"}) | {"seed": row["seed"]}

    def record(values):
        values["weights_sha256"] = "0" * 64

    replayed.platform = "another processor"
    other = changed(path, tmp_path / "x.zip", change, record)
    result = sweeper.verify(other, workspace=elsewhere)
    assert {str(check.agreement) for check in result.checks} == {agreement}
    assert "t test, level .05, 2 comparisons" in result.checks[0].reason
    assert "1 degrees of freedom" in result.checks[0].reason


def test_one_seed_elsewhere_is_not_judged(path, elsewhere, replayed, tmp_path):
    files = read_archive(path)
    del files[SUMS], files[sorted(name for name in files if name.startswith("trainings/"))[0]]
    write_archive(tmp_path / "one.zip", files)
    replayed.platform = "another processor"
    other = changed(
        tmp_path / "one.zip", tmp_path / "x.zip", lambda row: plus(1e-6)({**row, "seed": "0"})
    )
    (check,) = sweeper.verify(other, workspace=elsewhere).checks
    assert str(check.agreement) == "not judged"
    assert "no cell of the bundle has two seeds" in check.reason


def test_other_data_and_other_code_are_said_by_name(path, elsewhere, tmp_path):
    def older(record):
        record["identity"]["code"] = "desam-0"

    (check,) = sweeper.verify(
        changed(path, tmp_path / "x.zip", None, older), workspace=elsewhere, sample=1
    ).checks
    assert str(check.agreement) == "not repeated"
    assert "training code changed (desam-0 -> " in check.reason
    shutil.rmtree(elsewhere / "datasets")
    result = sweeper.verify(path, workspace=elsewhere, sample=1)
    assert "dataset 'tiny' is neither in this workspace" in result.checks[0].reason
    assert not result.agrees


def test_a_record_of_another_training_is_refused(path, elsewhere, tmp_path):
    files = read_archive(path)
    del files[SUMS]
    one, two = sorted(name for name in files if name.startswith("trainings/"))
    files[one] = files[two]
    write_archive(tmp_path / "x.zip", files)
    with pytest.raises(DataError, match="is not that training's"):
        sweeper.verify(tmp_path / "x.zip", workspace=elsewhere)
