"""The commands that a run names next must mean the same trainings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from sweeper.cli import cli
from sweeper.cli.run import data_words, finish


def options(**changes: Any) -> dict[str, Any]:
    return {"settings": (), "dataset": None, "encoder": None, "checkpoint": None, **changes}


def test_the_words_are_those_that_choose_trainings() -> None:
    assert data_words(options()) == []
    given = options(settings=("seed=1", "training.lr=1e-4"), dataset="prostate", encoder="vit_h")
    expected = "--set seed=1 --set training.lr=1e-4 --dataset prostate --encoder vit_h"
    assert data_words(given) == expected.split()


@pytest.mark.parametrize(("root", "where"), [([], ""), (["--workspace", "/w"], "--workspace /w ")])
def test_what_failed_is_looked_at_and_tried_again_with_the_runs_own_options(
    root: list[str], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from sweeper.plan.states import State

    cell = SimpleNamespace(
        state=State.FAILED,
        note="why",
        training=SimpleNamespace(train_id="t", config=SimpleNamespace(name=lambda: "desam")),
    )
    outcome: Any = SimpleNamespace(
        searched=(), cells=(cell,), count=lambda state: int(state is State.FAILED),
        ran=1, seconds=1.0, costs=None, signal=0,
    )  # fmt: skip
    places: Any = SimpleNamespace(trainings=Path("/w/trainings"), root=Path("/w"))
    with cli.make_context("sweeper", [*root, "run", "x.yaml"], resilient_parsing=False) as context:
        assert isinstance(context, click.Context)
        assert finish(places, outcome, Path("a.yaml"), options(dataset="my data")) == 1
    said = capsys.readouterr().out
    assert f"next: sweeper {where}status a.yaml --dataset 'my data' --failed" in said
    assert f"then: sweeper {where}retry a.yaml --dataset 'my data'" in said
