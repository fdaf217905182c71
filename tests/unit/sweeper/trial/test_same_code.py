from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import toy_plan

from desam_model.types import Decision
from sweeper.errors import CodeChangedError
from sweeper.plan.code_version import ROOT, scoring_version, training_version
from sweeper.plan.job import TrainingJob
from sweeper.store.ledger import TrainingFolder
from sweeper.trial.run_trial import run_trial
from sweeper.trial.same_code import require_same_code
from sweeper.trial.worker import train_one

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "name: t\ntrial:\n  source: A\n  method: {name: unet}\n"
HERE = training_version("desam_model.comparisons.unet")


def job(folder: Path, **changes: Any) -> TrainingJob:
    (training,) = toy_plan.plan_of(SPACE).trainings
    planned = TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={e.eval_id: e.config for e in training.evaluations},
        dataset=str(folder / "nowhere"),
        embeddings=None,
        folder=str(folder),
        threads=1,
        owner="test",
        scoring_code=scoring_version(),
    )
    return replace(planned, **changes)


def test_a_worker_with_other_training_code_refuses_by_name(tmp_path: Path) -> None:
    identity = {**job(tmp_path).identity, "code": "unet-0"}
    other = job(tmp_path, identity=identity)
    words = f"training code is {HERE} here, but the plan was made with unet-0; run the same command"
    with pytest.raises(CodeChangedError, match=words):
        run_trial(other, lambda _: Decision.CONTINUE)
    assert list(tmp_path.iterdir()) == []
    assert train_one(other.to_json(), 0, lambda _: None) == "failed"
    failure = TrainingFolder(tmp_path).failure()
    assert failure is not None
    assert failure.reason == "code_changed"
    assert words in failure.message
    assert not {"config.json", "fit.json", "best.pt"} & {p.name for p in tmp_path.iterdir()}


def test_a_worker_with_other_scoring_code_refuses_by_name(tmp_path: Path) -> None:
    other = job(tmp_path, scoring_code="scoring-0")
    words = f"scoring code is {scoring_version()} here, but the plan was made with scoring-0"
    with pytest.raises(CodeChangedError, match=words):
        run_trial(other, lambda _: Decision.CONTINUE)


def test_a_finished_training_is_not_scored_by_other_training_code(tmp_path: Path) -> None:
    TrainingFolder(tmp_path).write("fit", {})
    identity = {**job(tmp_path).identity, "code": "unet-0"}
    with pytest.raises(CodeChangedError, match="unet-0"):
        run_trial(job(tmp_path, identity=identity), lambda _: Decision.CONTINUE)


def test_an_edit_after_the_worker_has_imported_its_code_changes_nothing_there(
    tmp_path: Path,
) -> None:
    root = tmp_path / "packages"
    for package in ("desam_model", "sweeper"):
        shutil.copytree(ROOT / package, root / package)
    schedule = root / "desam_model/training/schedule.py"
    script = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from sweeper.plan.code_version import training_version as version\n"
        "edited = pathlib.Path(sys.argv[2])\n"
        "first = version('desam_model.comparisons.unet')\n"
        "edited.write_text(edited.read_text() + '\\nADDED = 1\\n')\n"
        "assert version('desam_model.comparisons.unet') == first\n"
        "print(first)"
    )
    words = [sys.executable, "-c", script, str(root), str(schedule)]
    before, after = (
        subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
        for _ in range(2)
    )
    assert before.strip() == HERE
    assert after != before


def test_the_code_of_the_plan_is_accepted(tmp_path: Path) -> None:
    require_same_code(job(tmp_path))


def test_a_job_without_evaluations_needs_only_the_training_code(tmp_path: Path) -> None:
    require_same_code(job(tmp_path, evaluations={}, scoring_code="scoring-0"))
    with pytest.raises(CodeChangedError, match=r"scoring code is .* but the plan was made with"):
        require_same_code(job(tmp_path, scoring_code="scoring-0"))


def test_a_job_of_a_plan_without_versions_is_accepted(tmp_path: Path) -> None:
    identity = {key: value for key, value in job(tmp_path).identity.items() if key != "code"}
    require_same_code(job(tmp_path, identity=identity, scoring_code=None))
