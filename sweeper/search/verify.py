"""Compares the record of searches with the epochs that their trainings recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from sweeper.search.objectives import objectives
from sweeper.search.study import TRAIN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna.storages import BaseStorage


def changed_trials(
    storage: BaseStorage, epochs_of: Callable[[str], Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Completed trials whose objectives are not those of their training, by study and number.

    Args:
        storage: The studies.
        epochs_of: train_id -> the epochs that the training recorded; empty if they are not here.
    """
    changed = []
    for summary in optuna.get_all_study_summaries(storage):
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        metrics = study.metric_names
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            epochs = epochs_of(str(trial.user_attrs.get(TRAIN_ID, "")))
            if metrics and epochs and list(objectives(tuple(metrics), epochs)) != trial.values:
                changed.append(f"{summary.study_name} trial {trial.number}")
    return changed
