"""The first stage of a run with a search: look for values by the source alone, then choose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.errors import ResourceError
from sweeper.pipeline.display import Ending
from sweeper.pipeline.running.record import name_of_sweep, training_record
from sweeper.pipeline.searching.studies import open_studies
from sweeper.pipeline.searching.study_text import budget_lines, outcome_lines, short
from sweeper.plan.expand import make_plan
from sweeper.plan.job import TrainingJob
from sweeper.records import FailureReason, TrialOutcome, TrialStatus
from sweeper.store.ledger import Ledger
from sweeper.store.processes import process_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.config.trial import TrialConfig
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.searching.studies import OpenStudy
    from sweeper.plan.expand import Training
    from sweeper.plan.identity import DataFacts
    from sweeper.records import Placement
    from sweeper.search.courses import Course, Step, Tried
    from sweeper.store.workspace import Workspace
    from sweeper.tracking.tracker import Tracker

_SAME_BUG_LIMIT = 3
_LOST = FailureReason.LOST_NODE, "its process was killed or its machine was lost"
_SHOWN = {
    TrialStatus.BEGUN: Ending.PAUSED,
    TrialStatus.COMPLETED: Ending.DONE,
    TrialStatus.PRUNED: Ending.PRUNED,
    TrialStatus.FAILED: Ending.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How the searches of a space stand.

    Attributes:
        name: Name under which the sweep is tracked.
        studies: All of them.
        trials: What won, with every seed and scoring.
        signal: Number of the signal that ended the search early; 0 if none.
        ran: True if trainings were run for it now.
    """

    name: str
    studies: tuple[OpenStudy, ...]
    trials: tuple[TrialConfig, ...]
    signal: int = 0
    ran: bool = False


def search(
    workspace: Workspace,
    sweep: Sweep,
    facts: Callable[[TrialConfig], DataFacts],
    tracker: Tracker,
    display: Display,
    address: str | None,
    on_failure: Callable[[str, str], None] = lambda _, __: None,
) -> Searched:
    """Run the searches that are not finished; nothing of a target is read by them."""
    studies = open_studies(workspace, sweep, facts)
    named = make_plan(sweep.spec.name, sweep.trials, facts).trainings
    name = name_of_sweep(sweep.spec.name, (*named, *(one.example for one in studies)))
    ledger = Ledger(workspace.trainings)
    left = [one for one in studies if not one.is_searched(ledger)]
    for line in budget_lines(sweep, studies) if studies else ():
        display.say(line)
    signal = _run(workspace, name, left, tracker, display, address, on_failure) if left else 0
    if not signal:
        for line in outcome_lines(studies):
            display.say(line)
    return Searched(
        name=name,
        studies=tuple(studies),
        trials=tuple(trial for one in studies for trial in one.winning_trials()),
        signal=signal,
        ran=bool(left),
    )


def _run(
    workspace: Workspace,
    name: str,
    left: Sequence[OpenStudy],
    tracker: Tracker,
    display: Display,
    address: str | None,
    on_failure: Callable[[str, str], None],
) -> int:
    from sweeper.engine import cluster, search_tune  # costs 4 s; a finished search needs no engine
    from sweeper.pipeline.running.placement import place

    if address is not None and address.startswith("ray://"):
        raise ResourceError(
            f"a search cannot be run through Ray's client ({address}); run the command on a machine"
            " of the cluster, with --address auto"
        )
    display.phase("starting Ray")
    resources = cluster.start(address)
    placement = place(
        left[0].sweep.spec.resources,
        resources,
        [one.example for one in left for _ in range(one.budget)],
    )
    cluster.check_fits(placement)
    courses = {one.study_id: _course(one, workspace) for one in left}
    listener = _Listener(name, left, courses, Ledger(workspace.trainings), tracker, display)
    listener.on_failure = on_failure
    display.begin(sum(one.budget for one in left), placement.max_concurrent)
    try:
        interrupt = search_tune.run_search(
            [
                search_tune.RunningStudy(
                    search=one.study.search, course=courses[one.study_id], epochs=one.epochs
                )
                for one in left
            ],
            lambda step: _job(step, workspace, placement).to_json(),
            placement,
            listener,
            workspace.logs / "ray",
        )
    finally:
        display.close()
        cluster.stop()
    for one in left:
        course = courses[one.study_id]
        one.write([values_of(tried) for tried in course.tried], is_finished=course.is_finished)
        if course.is_finished:
            _drop_checkpoints(course, Ledger(workspace.trainings))
    return interrupt.signal


def _course(one: OpenStudy, workspace: Workspace) -> Course:
    from sweeper.search.courses import PlainCourse
    from sweeper.search.hyperband import HyperBandCourse
    from sweeper.search.population import PopulationCourse
    from sweeper.search.proposals import make_proposals

    place = workspace.sweeps / one.sweep.spec.name
    place.mkdir(parents=True, exist_ok=True)
    proposals = make_proposals(one.study, f"sqlite:///{place / 'optuna.db'}", one.study_id)
    if one.study.search.scheduler == "hyperband":
        return HyperBandCourse(
            study=one.study, proposals=proposals, train=one.training, epochs=one.epochs
        )
    if one.study.search.scheduler == "pbt":
        return PopulationCourse(
            study=one.study, proposals=proposals, train=one.training, epochs=one.epochs
        )
    return PlainCourse(study=one.study, proposals=proposals, train=one.training)


def _job(step: Step, workspace: Workspace, placement: Placement) -> TrainingJob:
    """A step as it crosses to a worker: without any evaluation, so that no target is opened."""
    training = step.training
    reads = training.config.method.reads_embeddings()
    start = step.start_from
    return TrainingJob(
        train_id=training.train_id,
        identity=training.identity,
        config=training.config,
        evaluations={},
        dataset=training.data.path,
        embeddings=training.data.embeddings if reads else None,
        folder=str(workspace.trainings / training.train_id),
        threads=placement.cpu,
        owner=process_identity(),
        checkpoint=training.data.checkpoint,
        gpu=placement.gpu,
        until=step.until,
        start_from=None if start is None else f"{workspace.trainings / start[0]}@{start[1]}",
    )


def values_of(tried: Tried) -> dict[str, Any]:
    """A tried training as its study's record keeps it."""
    return {
        "number": tried.number,
        "train_id": tried.training.train_id,
        "values": dict(tried.values),
        "state": tried.state.value,
        "epochs": tried.epochs,
        "first_epoch": tried.first_epoch,
        "objectives": None if tried.objectives is None else list(tried.objectives),
        "config": tried.training.config.model_dump(
            mode="json", exclude={"evaluation", "target", "fold"}
        ),
    }


def _drop_checkpoints(course: Course, ledger: Ledger) -> None:
    """Pauses are over, and what was given up is not gone on with."""
    for tried in course.tried:
        folder = ledger.folder(tried.training.train_id)
        for file in folder.path.glob("at-*.pt"):
            file.unlink(missing_ok=True)
        if folder.pruned() is not None:
            for name in ("last.pt", "best.pt"):
                (folder.path / name).unlink(missing_ok=True)


class _Listener:
    """Tells the person, MLflow and the studies' records what happens in a search."""

    def __init__(
        self,
        name: str,
        studies: Sequence[OpenStudy],
        courses: Mapping[str, Course],
        ledger: Ledger,
        tracker: Tracker,
        display: Display,
    ) -> None:
        self._name = name
        self._studies, self._courses, self._ledger = studies, courses, ledger
        self._tracker, self._display = tracker, display
        self._bugs: Counter[str] = Counter()
        self._n_done = 0
        self.on_failure: Callable[[str, str], None] = lambda _, __: None

    def on_start(self, training: Training) -> None:
        """A step has begun."""
        self._display.started(_name(training))

    def on_epoch(self, training: Training, record: Mapping[str, Any]) -> None:
        """An epoch has ended."""
        epochs = training.config.training.epochs
        self._display.epoch(_name(training), int(record["epoch"]), epochs)

    def on_end(self, training: Training, outcome: TrialOutcome) -> bool:
        """Keep a training that has ended; True stops a search that meets one bug only."""
        folder = self._ledger.folder(training.train_id)
        study, tried = self._tried(training)
        is_pruned = outcome is TrialOutcome.PRUNED
        if is_pruned and folder.fit() is None and folder.pruned() is None:
            search = study.study.search
            folder.write(
                "pruned",
                {"epoch": tried.epochs - 1, "by": search.scheduler, "study": study.study_id},
            )
        if outcome is TrialOutcome.LOST and folder.failure() is None:
            folder.fail(*_LOST)
        study.write(
            [values_of(one) for one in self._courses[study.study_id].tried], is_finished=False
        )
        self._log(training, study)
        return self._tell(training, TrialStatus.BEGUN.after(outcome), tried)

    def _tell(self, training: Training, status: TrialStatus, tried: Tried) -> bool:
        from sweeper.trial.remedy import known_remedy

        folder = self._ledger.folder(training.train_id)
        remedy, failure = known_remedy(folder, training.config), folder.failure()
        if status is TrialStatus.FAILED and failure is not None:
            self._display.ended(_name(training), Ending.FAILED, failure.note)
            self.on_failure(_name(training), failure.note)
            if failure.reason is FailureReason.CODE_CHANGED:
                self._display.say(f"the search is stopped: {failure.message}")
                return True
            self._bugs[failure.traceback_hash] += failure.reason is FailureReason.BUG
            return self._n_done == 0 and max(self._bugs.values()) >= _SAME_BUG_LIMIT
        self._n_done += status is TrialStatus.COMPLETED
        values = ", ".join(f"{key} {short(value)}" for key, value in tried.values.items())
        metric = self._tried(training)[0].study.search.metric[0]
        best = "" if tried.objectives is None else f", {metric} {short(tried.objectives[0])}"
        after = f" after {tried.epochs} epochs" if status is TrialStatus.PRUNED else ""
        said = f"; {remedy.text(training.config.training.batch_size)}" if remedy else ""
        self._display.ended(_name(training), _SHOWN[status], f"{values}{best}{after}{said}")
        return False

    def _tried(self, training: Training) -> tuple[OpenStudy, Tried]:
        for study in self._studies:
            for one in self._courses[study.study_id].tried:
                if one.training.train_id == training.train_id:
                    return study, one
        raise AssertionError(f"{training.train_id} belongs to no study")

    def _log(self, training: Training, study: OpenStudy) -> None:
        from sweeper.errors import TrackingError

        folder = self._ledger.folder(training.train_id)
        record = training_record(training, folder, self._name, {})
        tags = {**record.tags, "stage": "search", "selection.study": study.study_id}
        try:
            self._tracker.log_training(replace(record, tags=tags))
        except (TrackingError, OSError) as err:
            self._display.say(f"MLflow: {err}")


def _name(training: Training) -> str:
    return f"{training.config.name()} [{training.train_id[:6]}]"
