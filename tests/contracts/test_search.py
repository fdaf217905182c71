"""Searches on a real Ray, in a world in which trainings cost nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import toy_search as toy
from scripted import workers_need_not_import

from sweeper.engine import cluster as ray_cluster
from sweeper.engine import search_tune
from sweeper.engine.search_tune import RunningStudy
from sweeper.records import Placement, TrialOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own deprecations are not ours

PLACEMENT = Placement(cpu=1, gpu=0.0, memory_bytes=0, max_concurrent=2, shares_processes=True)


class Notes:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.epochs: dict[str, list[int]] = {}
        self.ended: dict[str, str] = {}

    def on_start(self, training: Any) -> None:
        self.started.append(training.train_id)

    def on_epoch(self, training: Any, record: Mapping[str, Any]) -> None:
        self.epochs.setdefault(training.train_id, []).append(record["epoch"])

    def on_end(self, training: Any, outcome: TrialOutcome) -> bool:
        assert training.train_id not in self.ended
        self.ended[training.train_id] = outcome
        return False


def work(text: str, limit: int, report: Callable[[dict[str, Any]], None]) -> TrialOutcome:
    """Report what the text says; a bad one would be stopped on its way."""
    job = json.loads(text)
    for record in job["records"]:
        report(record)
        time.sleep(0.002)
    return TrialOutcome(job["word"])


def job_of(step: Any) -> str:
    how = toy.answer(step)
    begin = step.start_from[1] if step.start_from else 0
    own = [record for record in how.epochs if record["epoch"] >= begin]
    return json.dumps({"records": own, "word": how.outcome.value})


HALVING = "{algorithm: random, samples: 9, scheduler: hyperband, grace_epochs: 3}"
POPULATION = "{algorithm: random, samples: 4, scheduler: pbt, interval: 9}"
SEARCHES = {
    "asha": "{algorithm: random, samples: 8, scheduler: asha, grace_epochs: 3}",
    "median": "{algorithm: random, samples: 8, scheduler: median, grace_epochs: 3, seed: 1}",
    "hyperband": HALVING,
    "pbt": POPULATION,
    "optuna": "{algorithm: optuna, samples: 3}",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Notes]]:
    """All searches in one run, each on a source of its own; a Ray costs seconds to start."""
    sites = ["A-ISBI", "B-ISBI_1.5", "C-I2CVB", "D-UCL", "E-BIDMC"]
    found = [
        toy.studies(text, site)[0] for text, site in zip(SEARCHES.values(), sites, strict=True)
    ]
    running = [
        RunningStudy(search=study.search, course=toy.course_of(study), epochs=toy.EPOCHS)
        for study in found
    ]
    notes = Notes()
    workers_need_not_import(__name__)
    ray_cluster.start(None)
    interrupt = search_tune.run_search(
        running, job_of, PLACEMENT, notes, tmp_path_factory.mktemp("tune"), work
    )
    ray_cluster.stop()
    assert interrupt.signal == 0
    return {name: one.course for name, one in zip(SEARCHES, running, strict=True)}, notes


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_scheduler_stops_bad_trainings_before_their_end(
    name: str, ran: tuple[dict[str, Any], Notes]
) -> None:
    courses, notes = ran
    tried = courses[name].tried
    pruned = [one for one in tried if one.state == "pruned"]
    whole = [one for one in tried if one.state == "completed"]
    assert len(tried) == 8 == len(pruned) + len(whole)
    assert pruned
    assert whole
    assert all(3 <= one.epochs < toy.EPOCHS for one in pruned)
    assert all(one.epochs == toy.EPOCHS for one in whole)
    for one in tried:
        # epochs that were reported while the decision was on its way do not count
        assert len(notes.epochs[one.training.train_id]) == one.epochs


@pytest.mark.parametrize("name", ["hyperband", "pbt"])
def test_steps_on_ray_lead_where_they_lead_without_it(
    name: str, ran: tuple[dict[str, Any], Notes]
) -> None:
    course = ran[0][name]
    alone = toy.course_of(course.study)
    toy.run(alone)
    assert [(t.training.train_id, t.state, t.objectives) for t in course.tried] == [
        (t.training.train_id, t.state, t.objectives) for t in alone.tried
    ]


def test_every_training_that_was_begun_ended_once_and_is_told(
    ran: tuple[dict[str, Any], Notes],
) -> None:
    courses, notes = ran
    tried = [one for course in courses.values() for one in course.tried]
    assert notes.ended == {one.training.train_id: one.state for one in tried}
    assert set(notes.started) == set(notes.ended)
    assert all(course.is_finished for course in courses.values())
