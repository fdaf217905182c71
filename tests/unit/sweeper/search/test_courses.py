from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from toy_search import EPOCHS, answer, course_of, records, run, studies

from sweeper.records import TrialOutcome
from sweeper.search.courses import Ended, merit, objectives
from sweeper.search.hyperband import bracket_rungs

if TYPE_CHECKING:
    from pathlib import Path

ALL = [
    "{algorithm: random, samples: 12}",
    "{algorithm: optuna, samples: 12}",
    "{algorithm: random, samples: 12, scheduler: hyperband, grace_epochs: 3}",
    "{algorithm: optuna, samples: 12, scheduler: hyperband, grace_epochs: 3}",
    "{algorithm: random, samples: 8, scheduler: pbt, interval: 9}",
]


def course(search: str, storage: str | None = None):
    return course_of(studies(search)[0], storage)


@pytest.mark.parametrize("search", ALL)
def test_a_course_ends_and_tries_as_many_as_it_was_given(search: str) -> None:
    found = course(search)
    run(found)
    n_samples = found.study.search.samples
    firsts = [one for one in found.tried if one.first_epoch == 0]
    assert len(firsts) == n_samples
    assert {one.state for one in found.tried} <= {"completed", "pruned"}
    assert any(one.state == "completed" and one.epochs == EPOCHS for one in found.tried)
    numbers = [one.number for one in found.tried]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("search", ALL)
def test_a_search_that_is_asked_again_repeats_itself(search: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/optuna.db"
    first, again = course(search, storage), course(search, storage)
    run(first)
    again = course(search, storage)
    run(again)
    assert [(t.training.train_id, t.state) for t in again.tried] == [
        (t.training.train_id, t.state) for t in first.tried
    ]


def test_an_optuna_search_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/optuna.db"
    search = "{algorithm: optuna, samples: 12}"
    killed = course(search, storage)
    told = []
    for _ in range(5):
        step = killed.next_step()
        told.append(step.training.train_id)
        if len(told) < 5:  # the last one is at work when the driver is killed
            killed.ended(step, answer(step))
    resumed = course(search, storage)
    run(resumed)
    tried = [one.training.train_id for one in resumed.tried]
    assert tried[:5] == told
    assert len(tried) == 12
    more = course(search.replace("12", "14"), storage)
    run(more)
    assert [one.training.train_id for one in more.tried][:12] == tried
    assert len(more.tried) == 14


def test_a_proposal_that_was_cut_off_while_it_was_made_is_made_anew(tmp_path: Path) -> None:
    import optuna

    storage = f"sqlite:///{tmp_path}/optuna.db"
    search = "{algorithm: optuna, samples: 4}"
    first = course(search, storage)
    first.ended(step := first.next_step(), answer(step))
    live = optuna.load_study(study_name="toy", storage=storage).ask()
    live.suggest_float("training.lr loguniform", 1e-5, 1e-1, log=True)  # and then it was killed
    for _ in range(2):
        resumed = course(search, storage)
        run(resumed)
        assert len(resumed.tried) == 4
        assert resumed.tried[0].training.train_id == step.training.train_id


def test_optuna_learns_where_chance_does_not(tmp_path: Path) -> None:
    found = course("{algorithm: optuna, samples: 40, seed: 3}")
    run(found, width=1)
    late = found.tried[25:]
    near = [one for one in late if 1e-4 < one.values["training.lr"] < 1e-2]
    assert len(near) > 0.7 * len(late)  # chance: half


def test_several_metrics_are_several_objectives() -> None:
    found = course("{algorithm: optuna, samples: 6, metric: [source_dice, seconds]}")
    run(found)
    assert all(len(one.objectives) == 2 for one in found.tried)


def test_draws_are_the_same_for_every_source_and_extend() -> None:
    def lrs(search: str, site: int) -> list[float]:
        found = course_of(studies(search, "A-ISBI, F-HK")[site])
        run(found)
        return [one.values["training.lr"] for one in found.tried]

    assert lrs("{algorithm: random, samples: 6}", 0) == lrs("{algorithm: random, samples: 6}", 1)
    six = lrs("{algorithm: random, samples: 6}", 0)
    assert lrs("{algorithm: random, samples: 9}", 0)[:6] == six


def test_hyperband_gives_the_budget_of_its_brackets() -> None:
    assert bracket_rungs(27, 3, 3) == [
        [(3, 9), (9, 3), (27, 1)],
        [(9, 5), (27, 1)],
        [(27, 3)],
    ]


def test_hyperband_keeps_the_best_of_each_rung() -> None:
    found = course("{algorithm: random, samples: 9, scheduler: hyperband, grace_epochs: 3}")
    run(found)
    assert Counter((one.state, one.epochs) for one in found.tried) == {
        ("pruned", 3): 6,
        ("pruned", 9): 2,
        ("completed", 27): 1,
    }
    winner = next(one for one in found.tried if one.state == "completed")
    at_first_rung = {
        one.number: records(one.training.config, 3)[-1]["source_dice"] for one in found.tried
    }
    assert at_first_rung[winner.number] == max(at_first_rung.values())


def test_failed_trainings_never_win_a_rung() -> None:
    found = course("{algorithm: random, samples: 9, scheduler: hyperband, grace_epochs: 3}")

    def best_fails(step):
        good = 1e-4 < step.training.config.training.lr < 1e-2
        return Ended(outcome=TrialOutcome.FAILED, epochs=[]) if good else answer(step)

    run(found, best_fails)
    failed = [one for one in found.tried if one.state == "failed"]
    assert failed
    assert all(one.objectives is None for one in failed)
    assert sum(one.state == "completed" for one in found.tried) == 1


def test_all_failing_ends_a_course() -> None:
    for search in ALL:
        found = course(search)
        run(found, lambda _: Ended(outcome=TrialOutcome.FAILED, epochs=[]))
        assert {one.state for one in found.tried} == {"failed"}


def test_a_population_beats_its_first_members_and_says_what_it_did() -> None:
    found = course("{algorithm: random, samples: 8, scheduler: pbt, interval: 3, seed: 1}")
    steps = run(found)
    assert max(Counter(step.until for step in steps).values()) == 8
    ended = [one for one in found.tried if one.state == "completed"]
    assert len(ended) == 8
    changed = [one for one in ended if one.first_epoch]
    assert changed
    for one in changed:
        changes = one.training.config.training.changes
        assert changes
        assert max(epoch for epoch, _, _ in changes) == one.first_epoch
        assert one.epochs == EPOCHS
    search = found.study.search
    mean_of = {
        kind: sum(merit(search, one.objectives) for one in group) / len(group)
        for kind, group in (
            ("population", ended),
            (
                "alone",
                [
                    type(one)(
                        number=0,
                        training=one.training,
                        values={},
                        objectives=objectives(search.metric, records(one.training.config, None)),
                    )
                    for one in found.tried
                    if not one.first_epoch
                ],
            ),
        )
    }
    assert mean_of["population"] > mean_of["alone"]


def test_a_members_number_equals_that_of_its_changes_trained_from_the_start() -> None:
    found = course("{algorithm: random, samples: 8, scheduler: pbt, interval: 9}")
    run(found)
    for one in found.tried:
        if one.state == "completed":
            from_start = records(one.training.config, None)
            assert one.objectives == objectives(("source_dice",), from_start)


def test_the_selected_checkpoint_decides_not_the_last() -> None:
    epochs = [
        {"epoch": 0, "source_dice": 0.4, "validation_loss": 0.5, "seconds": 2.0},
        {"epoch": 1, "source_dice": 0.9, "validation_loss": 0.7, "seconds": 3.0},
    ]
    assert objectives(("source_dice", "validation_loss", "seconds"), epochs) == (0.4, 0.5, 5.0)
