"""A world in which trainings cost nothing: how good a checkpoint gets follows from its values."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from sweeper.config.sweep import check_sweep
from sweeper.config.trial import TrialConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.search.study import CellStudy, SearchCell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optuna.storages import BaseStorage

    from sweeper.config.search_algorithm import Study
    from sweeper.search.study import LiveTrial

EPOCHS = 27
NAME = "t: desam full, source A-ISBI, dataset toy"

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


def studies(search: str, sites: str = "A-ISBI", space: str = SPACE) -> tuple[Study, ...]:
    parsed = parse_yaml(space.format(search=search, sites=sites), Path("s.yaml"))
    return check_sweep(parsed).studies


def cell_of(study: Study, name: str = NAME) -> SearchCell:
    source = str(study.tree["source"])
    attributes = {"method": "desam full", "source": source, "dataset": "toy"}
    return SearchCell(
        name=name, study=study, epochs=EPOCHS, budget=study.budget, attributes=attributes
    )


def sqlite(path: Path) -> BaseStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{path}/optuna.db")


def cell_study(
    search: str, storage: BaseStorage | None = None, *, site: int = 0, space: str = SPACE
) -> CellStudy:
    study = studies(search, "A-ISBI, F-HK", space)[site]
    return CellStudy.create(cell_of(study), storage or optuna.storages.InMemoryStorage())


def records(config: TrialConfig, n_epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """Best at a learning rate of 1e-3; each epoch is nearer to what the rate is worth."""
    worth = 1.0 / (1.0 + abs(math.log10(config.training.lr or 1e-4) + 3))
    dice, epochs = 0.0, []
    for epoch in range(n_epochs):
        dice += (worth - dice) / 5
        epochs.append(
            {"epoch": epoch, "source_dice": dice, "validation_loss": 1 - dice, "seconds": 1.0}
        )
    return epochs


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A training that was begun.

    Attributes:
        trial: Its trial.
        train_id: Its identity.
        config: Its values.
        n_epochs: Epochs that it has.
    """

    trial: LiveTrial
    train_id: str
    config: TrialConfig
    n_epochs: int = 0


def toy_config(values: Mapping[str, Any]) -> TrialConfig:
    return TrialConfig.model_validate(dict(values))


def toy_id(config: TrialConfig) -> str:
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run(
    study: CellStudy,
    *,
    width: int = 3,
    fails: Callable[[TrialConfig], bool] = lambda _: False,
    kill_after: int | None = None,
) -> list[Ran]:
    """Run a cell with some workers side by side, an epoch of each at a time.

    Args:
        study: The cell's.
        width: Workers.
        fails: True for trainings that fail in their first epoch.
        kill_after: Epochs in all, after which the run is cut off.

    Returns:
        Every training that was begun and is no duplicate, in the order begun.
    """
    begun: list[Ran] = []
    live: list[int] = []
    n_epochs = 0
    while True:
        while len(live) < width and (trial := study.next_trial()) is not None:
            config = toy_config(trial.values)
            if trial.begin(toy_id(config)):
                live.append(len(begun))
                begun.append(Ran(trial=trial, train_id=toy_id(config), config=config))
        if not live:
            return begun
        for index in list(live):
            if n_epochs == kill_after:
                return begun
            n_epochs += 1
            begun[index] = replace(begun[index], n_epochs=begun[index].n_epochs + 1)
            if _has_ended(begun[index], fails):
                live.remove(index)


def _has_ended(ran: Ran, fails: Callable[[TrialConfig], bool]) -> bool:
    epochs = records(ran.config, ran.n_epochs)
    if fails(ran.config):
        ran.trial.fail(0)
    elif ran.trial.judge(epochs):
        ran.trial.prune(len(epochs))
    elif len(epochs) == EPOCHS:
        ran.trial.complete(epochs)
    else:
        return False
    return True
