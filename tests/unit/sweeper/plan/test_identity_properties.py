"""The two identities, for spaces written in any way: what is written differs, what is meant not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.config.sweep import check_sweep, load_sweep
from sweeper.config.trial import TrialConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.plan.expand import make_plan
from sweeper.plan.identity import DataFacts

SITES = ("A", "B", "C", "D")
SPACES = Path(__file__).resolve().parents[4] / "search_spaces"

lrs = st.sampled_from(["0.0001", "1e-4", "1.0e-4", "1.00e-04", "100e-6", ".0001"])
"""One number, as people write it."""

chosen = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 3),
        "training.epochs": st.integers(1, 60),
        "training.batch_size": st.integers(1, 16),
        "training.weight_decay": st.sampled_from([0.0, 0.01, 1.0]),
        "training.optimizer": st.sampled_from(["adam", "sgd"]),
        "method.ablation": st.sampled_from(["full", "iou_head", "mask_embedding", "pdmm_only"]),
        "method.loss_weights.iou": st.sampled_from([1.0, 10.0]),
        "evaluation.grid_size": st.integers(1, 9),
        "evaluation.min_region_px": st.integers(0, 2000),
    },
)
"""What a space sets; everything else is a default."""

BASE = {"source": "A", "method.name": "desam", "training.lr": 1e-4}


def facts(path: str = "/data/d.zarr", name: str = "d") -> DataFacts:
    return DataFacts(
        name=name,
        path=path,
        fingerprint="f" * 16,
        is_synthetic=True,
        domains=SITES,
        structures=("prostate",),
        cases={site: (f"{site}1",) for site in SITES},
        slices=dict.fromkeys(SITES, 5),
        embedding_fingerprint="e" * 16,
        embeddings=path + ".embeddings",
        checkpoint=path + ".pth",
    )


def written(values: dict[str, Any], draw: Any, lr: str | None = None) -> str:
    """The values as YAML, keys in any order at every level, in flow or block style."""

    def mapping(tree: dict[str, Any], indent: int) -> str:
        keys = draw(st.permutations(list(tree)))
        lines = []
        for key in keys:
            value = tree[key]
            if isinstance(value, dict):
                lines.append(f"{' ' * indent}{key}:\n{mapping(value, indent + 2)}")
            else:
                text = lr if key == "lr" and lr is not None else number(value, draw)
                lines.append(f"{' ' * indent}{key}: {text}")
        return "\n".join(lines)

    return f"name: {draw(st.sampled_from(['t', 'other']))}\ntrial:\n{mapping(nested(values), 2)}\n"


def number(value: Any, draw: Any) -> str:
    if isinstance(value, float):
        spellings = [repr(value), f"{value:.6e}", f"{value:.8f}"]
        if value == int(value):
            spellings.append(str(int(value)))
        return draw(st.sampled_from(spellings))
    return str(value)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *above, last = key.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def ids(text: str, data: DataFacts | None = None) -> dict[str, set[str]]:
    """eval_ids by train_id."""
    trials = check_sweep(parse_yaml(text)).trials
    plan = make_plan("t", trials, lambda _: data or facts())
    return {t.train_id: {e.eval_id for e in t.evaluations} for t in plan.trainings}


def plainly(values: dict[str, Any]) -> str:
    """The values as flow-style YAML in their own order."""
    return f"name: t\ntrial: {nested({**BASE, **values})}\n".replace("'", "")


@settings(max_examples=60, deadline=None)
@given(chosen, lrs, st.data())
def test_key_order_and_the_spelling_of_numbers_change_no_identity(
    values: dict[str, Any], lr: str, data: st.DataObject
) -> None:
    assert ids(written({**BASE, **values}, data.draw, lr)) == ids(plainly(values))


@settings(max_examples=60, deadline=None)
@given(chosen, st.data())
def test_writing_a_default_down_changes_no_identity(
    values: dict[str, Any], data: st.DataObject
) -> None:
    config = TrialConfig.model_validate(nested({**BASE, **values}))
    every = {
        f"{part}.{key}": value
        for part in ("training", "evaluation", "encoder")
        for key, value in config.model_dump(mode="json")[part].items()
        if value is not None and value != []
    }
    added = data.draw(st.lists(st.sampled_from(sorted(every)), unique=True))
    more = {**BASE, **values, **{key: every[key] for key in added}}
    assert ids(written(more, data.draw)) == ids(plainly(values))


@settings(max_examples=40, deadline=None)
@given(chosen, st.sampled_from(["/", "/mnt/x/", "s3://bucket/"]), st.text("abc", min_size=1))
def test_no_path_and_no_name_of_data_enters_an_identity(
    values: dict[str, Any], root: str, name: str
) -> None:
    elsewhere = facts(path=f"{root}{name}.zarr", name=name)
    settings_ = {**values, "dataset": f"{root}{name}", "encoder.checkpoint": f"{root}w.pth"}
    assert ids(plainly(settings_), elsewhere) == ids(plainly(values))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(SITES), min_size=1, unique=True),
    st.lists(st.integers(0, 5), min_size=1, unique=True),
    st.lists(st.sampled_from([1, 3, 5, 9]), min_size=1, unique=True),
    st.data(),
)
def test_added_values_add_cells_and_leave_the_others_as_they_are(
    sites: list[str], seeds: list[int], grids: list[int], data: st.DataObject
) -> None:
    def space(sites: list[str], seeds: list[int], grids: list[int]) -> str:
        return (
            f"name: t\nseeds: {seeds}\ntrial:\n  source: {{grid: {sites}}}\n"
            f"  method: {{name: desam}}\n  evaluation: {{grid_size: {{grid: {grids}}}}}\n"
        ).replace("'", "")

    few = ids(space(sites, seeds, grids))
    more = ids(
        space(
            data.draw(st.permutations([*sites, *(s for s in SITES if s not in sites)])),
            data.draw(st.permutations([*seeds, max(seeds) + 1])),
            data.draw(st.permutations(sorted({*grids, 7}))),
        )
    )
    assert set(few) < set(more)
    for train_id, evaluations in few.items():
        assert evaluations < more[train_id]


@settings(max_examples=40, deadline=None)
@given(chosen)
def test_what_only_changes_the_scoring_shares_the_training(values: dict[str, Any]) -> None:
    scoring = {key: value for key, value in values.items() if key.startswith("evaluation.")}
    training = {key: value for key, value in values.items() if key not in scoring}
    assert set(ids(plainly(values))) == set(ids(plainly(training)))


@settings(max_examples=40, deadline=None)
@given(chosen, st.data())
def test_an_override_means_what_the_file_would_have_said(
    values: dict[str, Any], data: st.DataObject
) -> None:
    by_hand = ids(plainly(values))
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text(plainly({}))
        overrides = [f"{key}={number(value, data.draw)}" for key, value in values.items()]
        trials = load_sweep(path, overrides).trials
    plan = make_plan("t", trials, lambda _: facts())
    assert {t.train_id: {e.eval_id for e in t.evaluations} for t in plan.trainings} == by_hand
