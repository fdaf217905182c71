"""The trainings of a space's searches, handed out as the run has room for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from desam_model.types import Decision
from sweeper.pipeline.searching.study_text import short
from sweeper.records import TrialStatus
from sweeper.search.objectives import EPOCH_KEYS, objectives

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeper.pipeline.searching.studies import OpenStudy
    from sweeper.plan.expand import Training
    from sweeper.search.study import CellStudy, LiveTrial
    from sweeper.store.ledger import Ledger, TrainingFolder

Epoch = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    """A trial that wants a training.

    Attributes:
        study: Its study.
        trial: The trial.
    """

    study: OpenStudy
    trial: LiveTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A training that was handed out.

    Attributes:
        askers: Trials of one study each; blocks of a space may overlap.
        epochs: Records by epoch.
    """

    askers: list[_Asker]
    epochs: dict[int, Epoch] = field(default_factory=dict)

    def until(self, epoch: int) -> list[Epoch]:
        """Records up to an epoch, in order."""
        return [self.epochs[number] for number in sorted(self.epochs) if number <= epoch]


class SearchSource:
    """A `TrainingSource` of all studies of a space, the first study's trainings first.

    No training of a search names an evaluation, so that no target is opened.

    Args:
        studies: Those that are not finished.
        ledger: Holds what was trained already.
        keep: Called with each training that need not be run, as the ledger says how it ended.
    """

    def __init__(
        self,
        studies: Sequence[OpenStudy],
        ledger: Ledger,
        keep: Callable[[Training], None] = lambda _: None,
    ) -> None:
        self._ledger, self.keep = ledger, keep
        self._studies: list[tuple[OpenStudy, CellStudy]] = [
            (study, study.open(ledger)) for study in studies
        ]
        self._running: dict[str, _Running] = {}
        self._study_ids: dict[str, str] = {}

    def next_training(self) -> Training | None:
        """The next training that must be run; one whose outcome is known is told at once."""
        for study, trials in self._studies:
            while (trial := trials.next_trial()) is not None:
                training = study.training(trial.values)
                if not trial.begin(training.train_id):
                    continue
                self._study_ids[training.train_id] = study.study_id
                asker = _Asker(study=study, trial=trial)
                running = self._running.get(training.train_id)
                if running is not None:  # another study has it at work
                    running.askers.append(asker)
                    for epoch in running.epochs:
                        trial.report(running.until(epoch))
                elif not self._is_known(asker, training):
                    self._running[training.train_id] = _Running(askers=[asker])
                    return training
        return None

    def name(self, training: Training) -> str:
        """See `TrainingSource`."""
        return f"{training.config.name()} [{training.train_id[:6]}]"

    def tags(self, training: Training) -> Mapping[str, str]:
        """See `TrainingSource`."""
        return {"stage": "search", "selection.study": self._study_ids[training.train_id]}

    def on_epoch(self, training: Training, epoch: Mapping[str, Any]) -> Decision:
        """Report the epoch to Optuna; stop the training if every study that wants it says so."""
        running, number = self._running[training.train_id], int(epoch["epoch"])
        running.epochs[number] = {key: epoch[key] for key in EPOCH_KEYS}
        epochs = running.until(number)
        stops = [asker.trial.judge(epochs) for asker in running.askers]
        return Decision.STOP if all(stops) else Decision.CONTINUE

    def on_end(self, training: Training, status: TrialStatus) -> str:
        """Tell Optuna how the training ended; its values and its objective."""
        running = self._running.pop(training.train_id)
        folder = self._ledger.folder(training.train_id)
        epochs = running.until(training.config.training.epochs)
        if status is TrialStatus.PRUNED:
            _write_pruned(folder, running.askers[0].study, epochs, len(epochs))
        elif status is TrialStatus.COMPLETED:
            epochs = [dict(epoch) for epoch in folder.epochs()]
        for asker in running.askers:
            _tell(asker.trial, status, epochs)
        search, trial = running.askers[0].study.study.search, running.askers[0].trial
        values = ", ".join(f"{key} {short(value)}" for key, value in trial.params.items())
        best = (
            f", {search.metric[0]} {short(objectives(search.metric, epochs)[0])}" if epochs else ""
        )
        after = f" after {len(epochs)} epochs" if status is TrialStatus.PRUNED else ""
        return f"{values}{best}{after}"

    def _is_known(self, asker: _Asker, training: Training) -> bool:
        """Tell Optuna the outcome of a training that has ended already; False if it has not."""
        folder, trial = self._ledger.folder(training.train_id), asker.trial
        epochs = [dict(epoch) for epoch in folder.epochs()]
        pruned, failure = folder.pruned(), folder.failure()
        if folder.fit() is not None:
            status = TrialStatus.COMPLETED
        elif trial.is_stopped or (pruned or {}).get("study") == asker.study.study_id:
            status = TrialStatus.PRUNED
        elif failure is not None and failure.reason.is_final:
            status = TrialStatus.FAILED
        else:
            return False
        for epoch in range(len(epochs)):
            trial.report(epochs[: epoch + 1])
        if status is TrialStatus.PRUNED and pruned is None:  # stopped just before a kill
            _write_pruned(folder, asker.study, epochs, trial.n_reported)
        _tell(trial, status, epochs)
        self.keep(training)
        return True


def _tell(trial: LiveTrial, status: TrialStatus, epochs: Sequence[Epoch]) -> None:
    if status is TrialStatus.COMPLETED:
        trial.complete(epochs)
    elif status is TrialStatus.PRUNED:
        trial.prune(max(len(epochs), trial.n_reported))
    else:
        trial.fail(len(epochs))


def _write_pruned(
    folder: TrainingFolder, study: OpenStudy, epochs: Sequence[Epoch], n_epochs: int
) -> None:
    """Record who stopped the training, and remove its checkpoints: nothing resumes from them."""
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(
        "pruned",
        {
            "epoch": n_epochs - 1,
            "by": study.study.search.scheduler,
            "study": study.study_id,
            "epochs": list(epochs),
        },
    )
    for name in ("last.pt", "best.pt"):
        (folder.path / name).unlink(missing_ok=True)
