"""What is known of searches: Optuna's database, and the records of a former version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError
from sweeper.records import TrialStatus
from sweeper.store.json_file import read_json

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from optuna.storages import BaseStorage

    from sweeper.search.study import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """How a search stands.

    Attributes:
        tried: Every training that has started.
        is_finished: True if nothing is left to try.
        winner: What was chosen; None before the end, and where no training completed.
    """

    tried: tuple[Tried, ...]
    is_finished: bool
    winner: Tried | None

    @property
    def epochs_spent(self) -> int:
        """Epochs of all trainings."""
        return sum(tried.epochs for tried in self.tried)


class StudyDatabase:
    """The SQLite file with a sweep's studies; it is opened once, and only where it is needed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """True if a search of the sweep has started."""
        return self._path.is_file()

    def open(self) -> BaseStorage:
        """Optuna's storage; the file is created if there is none.

        Raises:
            StoreError: Another version of Optuna wrote the file.
        """
        return self._storage

    def tried(self) -> dict[str, set[str]]:
        """Study id -> train ids of all trainings that the study has tried; empty without a file.

        Raises:
            StoreError: Another version of Optuna wrote the file.
        """
        if not self.exists():
            return {}
        from sweeper.search.study import TRAIN_ID  # optuna costs 1 s

        return {
            _study_id(study.study_name): {
                trial.user_attrs[TRAIN_ID]
                for trial in self._storage.get_all_trials(study._study_id, deepcopy=False)
                if TRAIN_ID in trial.user_attrs
            }
            for study in self._storage.get_all_studies()
        }

    def remove(self, study_ids: Collection[str]) -> None:
        """Delete studies, and the file if no study is left.

        Raises:
            StoreError: Another version of Optuna wrote the file.
        """
        if not self.exists():
            return
        studies = self._storage.get_all_studies()
        removed = [study for study in studies if _study_id(study.study_name) in study_ids]
        for study in removed:
            self._storage.delete_study(study._study_id)
        if len(removed) == len(studies):
            self._storage.remove_session()
            self._path.unlink()

    @cached_property
    def _storage(self) -> BaseStorage:
        from optuna.storages import RDBStorage  # costs 1 s, and most spaces search nothing

        self._path.parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{self._path}"
        try:
            return RDBStorage(url)
        except RuntimeError as err:
            raise StoreError(
                f"{self._path}: another version of Optuna wrote it ({err}); upgrade it with"
                f" 'optuna storage upgrade --storage {url}', or move it away to start a new search"
            ) from err


def _study_id(study_name: str) -> str:
    """The identity at the end of a study's name; see `OpenStudy.cell`."""
    return study_name.rpartition("[")[2].removesuffix("]")


def read_former(path: Path, budget: int) -> StudyRecord | None:
    """A finished search of a version that kept records of its own; None if there is none."""
    from sweeper.search.study import Tried

    former = read_json(path)
    if former is None or not former["is_finished"] or former["budget"] != budget:
        return None

    def tried(values: dict[str, Any]) -> Tried:
        objectives, config = values["objectives"], values["config"]
        config["training"].pop("changes", None)  # an option that no search but PBT set
        return Tried(
            number=values["number"],
            train_id=values["train_id"],
            params=values["values"],
            values=config,
            status=TrialStatus(values["state"]),
            epochs=values["epochs"] - values["first_epoch"],
            objectives=None if objectives is None else tuple(objectives),
        )

    return StudyRecord(
        tried=tuple(tried(values) for values in former["tried"]),
        is_finished=True,
        winner=None if former["winner"] is None else tried(former["winner"]),
    )
