"""A search space as written in YAML, and the trainings that it expands to."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.config.base import Level, Strict
from sweeper.config.problems import explain, nearest
from sweeper.config.report import ReportSpec
from sweeper.config.search import draw_all, expand_grid, find_ranges, is_search
from sweeper.config.search_algorithm import (
    SearchConfig,
    Study,
    check_block,
    check_study,
    corners,
    study_of,
)
from sweeper.config.shipped import shipped_spaces, space_file
from sweeper.config.trial import EvaluationConfig, TrialConfig
from sweeper.config.yaml_reader import Document, parse_value, read_yaml
from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sweeper.config.search import SearchRange
    from sweeper.config.yaml_reader import Path_


HANG_MINUTES = 10.0
"""A guess."""


class ResourcesConfig(Strict):
    """Resources of one training; none of them changes a result."""

    gpu: float | None = Field(
        default=None, ge=0, le=8, description="GPUs per training; by default 1 if one exists."
    )
    cpu: int | None = Field(default=None, ge=1, description="CPU cores and threads per training.")
    memory_gb: float | None = Field(default=None, gt=0, description="Host memory per training, GB.")
    max_concurrent: int | None = Field(
        default=None, ge=1, description="Trainings that run at once."
    )
    hang_minutes: float = Field(
        default=HANG_MINUTES,
        gt=0,
        description="Minutes without a finished batch or scored case after which a training counts"
        " as hung. It is resumed once from its last checkpoint; the second time it fails.",
    )


class ToggleConfig(Strict):
    """Named changes to a baseline, and how they are combined."""

    mode: Literal["one_at_a_time", "leave_one_out", "cumulative"] = "one_at_a_time"
    options: dict[str, dict[str, Any]] = Field(min_length=1)


class BlockConfig(Strict):
    """A part of a space; its values override the space's `trial`."""

    name: str | None = None
    trial: dict[str, Any] = Field(default_factory=dict)
    toggles: ToggleConfig | None = None


class SweepSpec(Strict):
    """A search space as written in YAML."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the sweep.")
    description: str = ""
    trial: dict[str, Any] = Field(description="A training's values; any of them may be searched.")
    seeds: tuple[int, ...] = Field(default=(), description="Every cell is trained once per seed.")
    blocks: tuple[BlockConfig, ...] = ()
    toggles: ToggleConfig | None = None
    search: SearchConfig | None = None
    resources: ResourcesConfig = ResourcesConfig()
    report: ReportSpec | None = Field(
        default=None, description="The table that a plain `sweeper report` prints."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A checked search space.

    Attributes:
        spec: The file's content, with `--set` applied.
        trials: All trainings of the space without repeats, in the file's order.
        studies: Cells whose best values are searched first; the winner is then trained as well.
        document: Gives later messages their line numbers.
    """

    spec: SweepSpec
    trials: tuple[TrialConfig, ...]
    studies: tuple[Study, ...] = ()
    document: Document


def load_sweep(path: Path, settings: Sequence[str] = ()) -> Sweep:
    """The checked search space in a YAML file.

    Args:
        path: The file, or the name of a shipped space.
        settings: `key=value` overrides; a key is a path below `trial`, or from the top.

    Raises:
        ConfigError: Names file, line, key and the most similar valid one.
    """
    file = space_file(path)
    document = _include(read_yaml(file), seen=(file,))
    for setting in settings:
        document = _override(document, setting)
    return check_sweep(document)


def check_sweep(document: Document) -> Sweep:
    """The search space in a document; see `load_sweep`."""
    try:
        spec = SweepSpec.model_validate(document.value)
    except ValidationError as err:
        raise ConfigError(explain(err, SweepSpec, document)) from err
    trials: dict[TrialConfig, None] = {}
    studies: dict[str, Study] = {}
    for origin, tree in _trees(spec):
        find_ranges(tree, document, origin)  # checks: the message of a wrong grid names its line
        for point in expand_grid(tree):
            drawn = find_ranges(point, document, origin)
            search = _search(spec, drawn[0], document, origin) if drawn else None
            if search is None or search.algorithm is None:
                for resolved in _draws(point, spec, is_drawn=bool(drawn)):
                    trials[trial_config(resolved, document, origin)] = None
            else:
                _add_study(studies, study_of(origin, point, document, search), document)
    if spec.search is not None:
        check_block(spec.search, len(studies), document)
    _check_report(spec, _scorings(trials, studies.values()), document)
    return Sweep(
        spec=spec, trials=tuple(trials), studies=tuple(studies.values()), document=document
    )


def _check_report(
    spec: SweepSpec, scorings: Iterable[EvaluationConfig], document: Document
) -> None:
    """Refuse a table of numbers that no scoring of the space would make."""
    if spec.report is None or not PROTOCOLS[spec.report.protocol].needs_whole_scan:
        return
    if not any(scoring.whole_scan for scoring in scorings):
        raise ConfigError(
            f"{document.where(('report', 'protocol'))}: is {spec.report.protocol!r}, which scores"
            " whole scans, and no scoring of the space predicts them; write 'evaluation:"
            " {whole_scan: true}' under 'trial:', or choose"
            f" {' or '.join(n for n, p in PROTOCOLS.items() if not p.needs_whole_scan)}"
        )


def _scorings(
    trials: Iterable[TrialConfig], studies: Iterable[Study]
) -> Iterator[EvaluationConfig]:
    """How trainings and the winners of searches are scored."""
    yield from (trial.evaluation for trial in trials)
    for study in studies:
        for variant in study.variants:
            yield EvaluationConfig.model_validate(variant.get("evaluation") or {})


def _search(spec: SweepSpec, drawn: SearchRange, document: Document, origin: Path_) -> SearchConfig:
    if spec.search is None:
        raise ConfigError(
            f"{document.where((*origin, *drawn.path))}: is drawn ({drawn.kind}), but the"
            " space has no 'search:' block; add one, such as 'search: {samples: 20}'"
        )
    return spec.search


def _add_study(studies: dict[str, Study], study: Study, document: Document) -> None:
    """Check a study and add it; cells that differ only in the scoring share a study."""
    trials = [trial_config(tree, document, study.origin) for tree in corners(study.tree)]
    first = trials[0]
    check_study(study, document, first.training.epochs)
    if first.method.cross_validation(first.source, (first.source,)) is not None:
        raise ConfigError(
            f"{document.where((*study.origin, 'method'))}: {first.method.label()} is"
            " cross-validated and cannot be searched; use constant values in its block"
        )
    key = json.dumps([trial.at_level(Level.TRAINING) for trial in trials], sort_keys=True)
    known = studies.get(key)
    if known is not None:
        study = replace(known, variants=(*known.variants, *study.variants))
    studies[key] = study


def trial_config(values: Any, document: Document, origin: Path_ = ("trial",)) -> TrialConfig:
    """The checked config of a training whose searched values are chosen.

    Raises:
        ConfigError: Names file, line, key and the most similar valid one.
    """
    try:
        return TrialConfig.model_validate(values)
    except ValidationError as err:
        raise ConfigError(explain(err, TrialConfig, document, origin)) from err


def _trees(spec: SweepSpec) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Every trial tree of the space, with the path of its values in the document."""
    blocks: list[tuple[Path_, BlockConfig]] = [
        (("blocks", i, "trial"), block) for i, block in enumerate(spec.blocks)
    ] or [(("trial",), BlockConfig())]
    for origin, block in blocks:
        base = merge(spec.trial, block.trial)
        toggles = block.toggles or spec.toggles
        at = (*origin[:-1], "toggles") if block.toggles else ("toggles",)
        for name, variant in _variants(base, toggles):
            yield origin if name is None else (*at, "options", name), variant


def _variants(
    base: dict[str, Any], toggles: ToggleConfig | None
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """(name of the last applied toggle, trial tree): the baseline first, then its variants.

    With `leave_one_out` the tree with all toggles is first.
    """
    if toggles is None:
        yield None, base
        return
    options = toggles.options
    if toggles.mode == "leave_one_out":
        for left_out in (None, *options):
            tree, last = base, None
            for name, option in options.items():
                if name != left_out:
                    tree, last = merge(tree, option), name
            yield last, tree
        return
    yield None, base
    tree = base
    for name, option in options.items():
        tree = merge(tree if toggles.mode == "cumulative" else base, option)
        yield name, tree


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` overridden by `over`, key by key; a search or a new method replaces all of a value."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _is_same_kind(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _is_same_kind(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """False if merging the two would mix two methods or two searches."""
    if is_search(old) or is_search(new):
        return False
    return "name" not in new or "name" not in old or new["name"] == old["name"]


def with_seeds(point: dict[str, Any], seeds: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """The point once per seed; unchanged if there are no seeds."""
    if not seeds:
        yield point
    for seed in seeds:
        yield {**point, "seed": seed}


def _draws(point: dict[str, Any], spec: SweepSpec, *, is_drawn: bool) -> Iterator[dict[str, Any]]:
    """The trials of a point without a study: the point or its draws, once per seed."""
    for seeded in with_seeds(point, spec.seeds):
        if spec.search is None or not is_drawn:
            yield seeded
            continue
        # every grid point gets the same draws, so that all have an equal search budget
        rng = random.Random(spec.search.seed)
        for _ in range(spec.search.samples):
            yield draw_all(seeded, rng)


def _include(document: Document, seen: tuple[Path, ...]) -> Document:
    value = dict(document.value)
    name = value.pop("include", None)
    if name is None:
        return document
    where = document.where(("include",))
    if not isinstance(name, str) or document.path is None:
        raise ConfigError(
            f"{where}: is {name!r}, expected the path of one YAML file, or the name of a shipped"
            f" space: {', '.join(shipped_spaces())}"
        )
    path = document.path.parent / name
    if not path.is_file():
        path = shipped_spaces().get(name, path)
    if path in seen:
        raise ConfigError(f"{where}: {name} includes itself; remove one of the two includes")
    if not path.is_file():
        raise ConfigError(
            f"{where}: no file {path}{nearest(name, list(shipped_spaces()))}; a path is relative to"
            f" this file's folder, and the shipped spaces are {', '.join(shipped_spaces())}"
        )
    base = _include(read_yaml(path), (*seen, path))
    own = [("trial", *leaf) for leaf in _leaves(value.get("trial", {}))]
    lines = {k: v for k, v in base.lines.items() if not any(_is_below(k, keys) for keys in own)}
    return Document(
        path=document.path, value=_over(base.value, value), lines={**lines, **document.lines}
    )


def _leaves(tree: Any) -> Iterator[Path_]:
    """Paths of the values in nested mappings; a searched value is one value."""
    if not isinstance(tree, dict) or is_search(tree):
        yield ()
        return
    for key, value in tree.items():
        yield from ((key, *rest) for rest in _leaves(value))


def _over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` overridden by `over`, whose trial has priority over the blocks of `base`."""
    merged = merge(base, over)
    blocks, trial = base.get("blocks"), over.get("trial")
    if "blocks" not in over and isinstance(blocks, list) and isinstance(trial, dict):
        merged["blocks"] = [
            {**b, "trial": merge(b.get("trial", {}), trial)} if isinstance(b, dict) else b
            for b in blocks
        ]
    return merged


def _override(document: Document, setting: str) -> Document:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {setting}: expected key=value, such as training.epochs=5")
    keys: Path_ = tuple(key.split("."))
    if keys[0] not in SweepSpec.model_fields:
        keys = ("trial", *keys)
    try:
        value = parse_value(text)
    except ConfigError as err:
        problem = str(err).rpartition("not valid YAML: ")[2]
        raise ConfigError(f"--set {setting}: the value is not valid YAML: {problem}") from err
    for part in reversed(keys):
        value = {part: value}
    lines = {k: v for k, v in document.lines.items() if not _is_below(k, keys)}
    return Document(
        path=document.path,
        value=_over(document.value, value),
        lines={**lines, keys: f"--set {setting}"},
    )


def _is_below(path: Path_, keys: Path_) -> bool:
    """True if `path` is `keys` or below it, in the shared trial or in any block."""
    if path[:1] == ("blocks",):
        path = path[2:]
    return path[: len(keys)] == keys
