"""Expands trials to trainings and their evaluations, without duplicates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.config.problems import nearest
from sweeper.config.sources import ALL, axis_of, domains_in, joined
from sweeper.config.trial import TrialConfig, flatten
from sweeper.errors import CellError
from sweeper.plan.identity import (
    DataFacts,
    evaluation_identity,
    short_hash,
    training_identity,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One evaluation of a training.

    Attributes:
        eval_id: Its identity, 12 hex digits.
        config: A trial with the values of the evaluation level.
    """

    eval_id: str
    config: TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training and all its evaluations.

    Attributes:
        train_id: Its identity, 12 hex digits.
        config: The resolved trial; its evaluation level is that of the first evaluation.
        identity: The values whose hash is `train_id`.
        data: The data that it reads.
        evaluations: Its evaluations, at least one.
    """

    train_id: str
    config: TrialConfig
    identity: Mapping[str, Any]
    data: DataFacts
    evaluations: tuple[Evaluation, ...]

    @property
    def n_source_slices(self) -> int:
        """Slices of its source that show a structure."""
        slices = self.data.slices
        return sum(slices[domain] for domain in domains_in(self.config.source, tuple(slices)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All trainings and evaluations of a sweep.

    Attributes:
        sweep: Name of the sweep.
        trainings: The trainings without duplicates, ordered by source.
    """

    sweep: str
    trainings: tuple[Training, ...]

    @property
    def n_evaluations(self) -> int:
        """Total number of evaluations."""
        return sum(len(t.evaluations) for t in self.trainings)

    def cells(self) -> list[dict[str, Any]]:
        """Every planned (training, evaluation) with its flat settings, in the tracker's format."""
        return [
            {
                "train_id": training.train_id,
                "eval_id": evaluation.eval_id,
                "params": parameters(training.config),
                "evaluation": evaluation_settings(evaluation.config),
            }
            for training in self.trainings
            for evaluation in training.evaluations
        ]


def make_plan(
    sweep: str, trials: Iterable[TrialConfig], data_of: Callable[[TrialConfig], DataFacts]
) -> Plan:
    """The trainings and evaluations of the given trials.

    Args:
        sweep: Name of the sweep.
        trials: The trials of the search space.
        data_of: Returns the data that a trial reads.

    Raises:
        CellError: The dataset does not have a source, target or structure of a trial.
    """
    trainings: dict[str, Training] = {}
    evaluations: dict[str, dict[str, Evaluation]] = {}
    for trial in trials:
        data = data_of(trial)
        for config in _resolve(trial, data):
            identity = training_identity(config, data)
            train_id = short_hash(identity)
            known = trainings.get(train_id)
            if known is None or (known.data.background is None and data.background is not None):
                # an evaluation of whole scans names all that the training's evaluations read
                trainings[train_id] = Training(
                    train_id=train_id,
                    config=config if known is None else known.config,
                    identity=identity,
                    data=data,
                    evaluations=(),
                )
            eval_id = short_hash(evaluation_identity(train_id, config, data))
            evaluations.setdefault(train_id, {}).setdefault(
                eval_id, Evaluation(eval_id=eval_id, config=config)
            )
    planned = [
        replace(training, evaluations=tuple(evaluations[train_id].values()))
        for train_id, training in trainings.items()
    ]
    # trainings on the same site read the same slices, so running them together uses the page cache
    planned.sort(key=_site_order)
    return Plan(sweep=sweep, trainings=tuple(planned))


def _site_order(training: Training) -> int:
    source, domains = training.config.source, training.data.domains
    return -1 if source == ALL else domains.index(domains_in(source)[0])


def parameters(config: TrialConfig) -> dict[str, str]:
    """The flat config as text, for MLflow's parameters; without paths and evaluation settings."""
    values = config.model_dump(mode="json", exclude={"dataset", "evaluation", "target"})
    values.get("encoder", {}).pop("checkpoint", None)
    if values["method"].get("start"):
        values["method"]["start"] = Path(values["method"]["start"]).name
    return flatten(values)


def evaluation_settings(config: TrialConfig) -> dict[str, str]:
    """The flat settings of an evaluation, including `target` if it is set."""
    values = config.evaluation.model_dump(mode="json")
    if not config.evaluation.whole_scan:
        del values["whole_scan"]  # as in scorings of before it was a setting
    if config.target is not None:
        values["target"] = config.target
    return flatten(values)


def _resolve(trial: TrialConfig, data: DataFacts) -> Iterator[TrialConfig]:
    """The trial with its structure and source resolved.

    An axis over the dataset's domains becomes one trial per source, an upper bound one per fold.
    """
    structure = _require_structure(trial, data)
    require_domains(trial, data.name, data.domains)
    for source in sources_of(trial, data.domains):
        config = trial.model_copy(update={"structure": structure, "source": source})
        folds = config.method.cross_validation(source, data.domains)
        if folds is None:
            _require_target(config, data.name, data.domains)
            yield config
            continue
        for trained_on, fold in folds:
            yield config.model_copy(update={"source": trained_on, "fold": fold})


def sources_of(trial: TrialConfig, domains: tuple[str, ...]) -> tuple[str, ...]:
    """The sources that a trial means in a dataset; several domains in the dataset's order."""
    axis = axis_of(trial.source)
    if axis is not None:
        return axis.sources(domains)
    if trial.source == ALL:
        return (ALL,)
    return (joined(sorted(domains_in(trial.source), key=domains.index)),)


def axis_words(trials: Iterable[TrialConfig], data_of: Callable[[TrialConfig], DataFacts]) -> str:
    """Which sources the axes of trials mean in their datasets; empty without an axis."""
    words: dict[str, None] = {}
    for trial in trials:
        axis = axis_of(trial.source)
        if axis is not None:
            data = data_of(trial)
            listed = f"the {len(data.domains)} domains of dataset {data.name}"
            words[f"{axis.words} {listed}: {', '.join(data.domains)}"] = None
    return "; ".join(words)


def require_domains(trial: TrialConfig, name: str, domains: tuple[str, ...]) -> None:
    """Refuse a source or target that the dataset does not have; this check is fast.

    Raises:
        CellError: The message lists the domains and a `--set` option that chooses one.
    """
    is_named = trial.source != ALL and axis_of(trial.source) is None
    named = [("source", domain) for domain in domains_in(trial.source)] if is_named else []
    for key, value in (*named, ("target", trial.target)):
        if value is None or value in domains:
            continue
        each = "sites" if key == "source" else f"[{', '.join(domains)}]"
        all_domains = f", or each in turn: --set '{key}={{grid: {each}}}'"
        raise CellError(
            key,
            value,
            f"{key} is {value!r}{nearest(value, list(domains))}, dataset {name!r} has"
            f" {', '.join(domains)}; choose one, such as --set {key}={domains[0]}"
            f"{all_domains if len(domains) > 1 else ''}",
        )


def _require_target(trial: TrialConfig, name: str, domains: tuple[str, ...]) -> None:
    """Refuse a cell that nothing is tested in: validation Dice would stand for target Dice.

    Raises:
        CellError: With what to write instead.
    """
    sources = domains_in(trial.source, domains)
    others = [domain for domain in domains if domain not in sources]
    if not others and (trial.source == ALL or len(domains) > 1):
        raise CellError(
            "source",
            ALL if trial.source == ALL else list(sources),
            f"source is {trial.source!r}, which leaves no domain of {name!r} to test on; name one,"
            " each in turn with --set 'source={grid: sites}', or all but one in turn with"
            " --set 'source={grid: leave_one_out}'. Trained on all domains and tested on held-out"
            " patients of each is method upper_bound, variant all_sites",
        )
    if not others:
        raise CellError(
            "source",
            trial.source,
            f"source is {trial.source!r}, the only domain of dataset {name!r}, so nothing is left"
            " to test on; import a dataset with a second domain, or use method upper_bound, variant"
            " source_cv, which tests held-out patients",
        )
    if trial.target is not None and trial.target in sources:
        raise CellError(
            "target",
            trial.target,
            f"target is {trial.target!r}, which is {'the' if len(sources) == 1 else 'a'} source;"
            " name another domain, or leave target out to test on every other:"
            f" {', '.join(others)}",
        )


def _require_structure(trial: TrialConfig, data: DataFacts) -> str:
    """The structure to segment: that of the trial, or the only one of the dataset."""
    allowed = ", ".join(data.structures)
    if trial.structure in data.structures:
        return str(trial.structure)
    if trial.structure is not None:
        near = nearest(trial.structure, list(data.structures))
        raise CellError(
            "structure",
            trial.structure,
            f"structure is {trial.structure!r}{near}, dataset {data.name!r} has {allowed}",
        )
    if len(data.structures) == 1:
        return data.structures[0]
    raise CellError(
        "structure",
        None,
        f"structure is not set, but dataset {data.name!r} has several; set trial.structure to"
        f" one of {allowed}, or search it: {{grid: [{allowed}]}}",
    )
