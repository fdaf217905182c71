"""A world in which trainings cost nothing: how good a checkpoint gets follows from its values."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.sweep import check_sweep
from sweeper.config.trial import TrialConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.records import TrialOutcome
from sweeper.search.courses import Course, Ended, PlainCourse, Step
from sweeper.search.hyperband import HyperBandCourse
from sweeper.search.population import PopulationCourse
from sweeper.search.proposals import make_proposals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeper.config.search_algorithm import Study

EPOCHS = 27

SPACE = """
name: t
trial:
  source: {{grid: [{sites}]}}
  method: {{name: desam}}
  training:
    epochs: 27
    lr: {{loguniform: [1e-5, 1e-1]}}
    batch_size: {{choice: [1, 2, 4, 8]}}
search: {search}
"""


@dataclass(frozen=True)
class ToyTraining:
    """What a course needs of a training."""

    train_id: str
    config: TrialConfig


def toy_training(values: Mapping[str, Any]) -> Any:
    config = TrialConfig.model_validate(dict(values))
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return ToyTraining(hashlib.sha256(text.encode()).hexdigest()[:12], config)


def studies(search: str, sites: str = "A-ISBI") -> tuple[Study, ...]:
    space = parse_yaml(SPACE.format(search=search, sites=sites), Path("s.yaml"))
    return check_sweep(space).studies


def course_of(study: Study, storage: str | None = None, name: str = "toy") -> Course:
    proposals = make_proposals(study, storage, name)
    common = {"study": study, "proposals": proposals, "train": toy_training}
    if study.search.scheduler == "hyperband":
        return HyperBandCourse(**common, epochs=EPOCHS)
    if study.search.scheduler == "pbt":
        return PopulationCourse(**common, epochs=EPOCHS)
    return PlainCourse(**common)


def records(config: TrialConfig, until: int | None) -> list[dict[str, Any]]:
    """Best at a learning rate of 1e-3; each epoch adds what its own learning rate is worth."""
    found, dice = [], 0.0
    for end, part in config.stretches():
        worth = 1.0 / (1.0 + abs(math.log10(part.training.lr or 1e-4) + 3))
        for epoch in range(len(found), end):
            dice += (worth - dice) / 5
            found.append(
                {"epoch": epoch, "source_dice": dice, "validation_loss": 1 - dice, "seconds": 1.0}
            )
    return found[:until]


def answer(step: Step, until: int | None = None) -> Ended:
    epochs = records(step.training.config, until or step.until)
    is_whole = len(epochs) == EPOCHS
    return Ended(outcome=TrialOutcome.COMPLETED if is_whole else TrialOutcome.PAUSED, epochs=epochs)


def run(course: Course, ask: Callable[[Step], Ended] = answer, width: int = 3) -> list[Step]:
    """Run a course with some workers side by side; every step in the order begun."""
    begun: list[Step] = []
    live: list[Step] = []
    while not course.is_finished:
        step = course.next_step() if len(live) < width else None
        if step is not None:
            begun.append(step)
            live.append(step)
            continue
        assert live or course.is_finished, "nothing runs and nothing can be begun"
        if live:
            one = live.pop(0)
            course.ended(one, ask(one))
    assert course.next_step() is None
    return begun
