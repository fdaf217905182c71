from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.config.sweep import check_sweep
from sweeper.config.trial import TrialConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError
from sweeper.plan.expand import Plan, make_plan
from sweeper.plan.identity import DataFacts, difference, training_identity

FACTS = DataFacts(
    name="d",
    path="/somewhere/d.zarr",
    fingerprint="f" * 16,
    is_synthetic=True,
    domains=("A", "B", "C"),
    structures=("prostate",),
    cases={d: (f"{d}1", f"{d}2") for d in "ABC"},
    slices=dict.fromkeys("ABC", 20),
    embedding_fingerprint="e" * 16,
    embeddings="/somewhere/e.zarr",
)


def plan(text: str, facts: DataFacts = FACTS) -> Plan:
    loaded = check_sweep(parse_yaml(text))
    return make_plan("t", loaded.trials, lambda _: facts)


def ids(found: Plan) -> list[tuple[str, list[str]]]:
    return [(t.train_id, [e.eval_id for e in t.evaluations]) for t in found.trainings]


BASE = "name: t\ntrial:\n  source: A\n  method: {name: desam}\n"


def moved(**changes: object) -> DataFacts:
    values = {name: getattr(FACTS, name) for name in FACTS.__slots__}
    return DataFacts(**{**values, **changes})  # type: ignore[arg-type]


def test_one_training_fans_out_to_its_evaluations() -> None:
    text = BASE.replace("source: A", "source: {grid: [A, B, C]}") + (
        "  evaluation: {grid_size: {grid: [1, 3, 5, 9]}}\n"
    )
    found = plan(text)
    assert len(found.trainings) == 3
    assert found.n_evaluations == 12


def test_order_of_keys_spelling_and_written_defaults_change_no_identity() -> None:
    one = plan("name: t\ntrial: {source: A, method: {name: desam}, training: {lr: 1e-4}}\n")
    plain = plan(BASE)
    other = plan(
        "trial:\n  training: {epochs: 50, lr: 0.0001}\n  method: {ablation: full, name: desam}\n"
        "  source: A\n  structure: prostate\nname: other\n"
    )
    assert ids(one) == ids(other) != ids(plain)
    assert ids(plan(BASE + "  training: {epochs: 50}\n")) == ids(plain)


def test_moving_or_renaming_the_data_changes_no_identity() -> None:
    elsewhere = moved(path="/tmp/x.zarr", name="x", embeddings="s3://b/e", checkpoint="/w.pth")
    assert ids(plan(BASE, elsewhere)) == ids(plan(BASE))


@pytest.mark.parametrize("change", [{"fingerprint": "0"}, {"embedding_fingerprint": "0"}])
def test_other_data_or_embeddings_are_another_training(change: dict[str, str]) -> None:
    assert ids(plan(BASE, moved(**change))) != ids(plan(BASE))


def test_accumulation_and_places_change_nothing() -> None:
    text = BASE + "  training: {accumulate: 4}\n  dataset: /elsewhere\n"
    assert ids(plan(text)) == ids(plan(BASE))


def test_an_added_value_leaves_the_old_identities_as_they_are() -> None:
    few = plan(BASE.replace("source: A", "source: {grid: [A, B]}"))
    more = plan(BASE.replace("source: A", "source: {grid: [C, A, B]}"))
    assert set(map(str, ids(few))) < set(map(str, ids(more)))


def test_what_the_method_cannot_see_makes_no_new_cell() -> None:
    text = BASE.replace("desam}", "desam, ablation: pdmm_only, prompt_mode: {grid: [MODES]}}")
    text = text.replace("MODES", "grid_points, whole_box")
    assert len(plan(text).trainings) == 1


def test_a_loss_weight_that_the_profile_has_anyway_makes_no_new_cell() -> None:
    def weights(text: str, more: str = "") -> Plan:
        return plan(BASE.replace("desam}", f"desam, loss_weights: {text}{more}}}"))

    assert ids(weights("{iou: 10, dice: 1}")) == ids(plan(BASE))
    assert ids(weights("{iou: 9}")) != ids(plan(BASE))
    boxed = ", prompt_mode: whole_box"  # the only prompt there is is rated by nobody
    assert ids(weights("{iou: 9}", boxed)) == ids(weights("{}", boxed))


training_values = st.fixed_dictionaries(
    {
        "epochs": st.integers(1, 500),
        "batch_size": st.integers(1, 64),
        "lr": st.floats(1e-6, 1.0, allow_nan=False),
        "weight_decay": st.floats(0, 1.0, allow_nan=False),
        "precision": st.sampled_from(["float32", "bf16", "fp16"]),
    }
)


def identity(values: dict[str, object], seed: int = 0) -> dict[str, object]:
    config = TrialConfig.model_validate(
        {"source": "A", "method": {"name": "desam"}, "training": values, "seed": seed}
    )
    return training_identity(config, FACTS)


@given(training_values)
def test_identity_survives_a_round_trip_through_json_and_any_key_order(
    values: dict[str, object],
) -> None:
    config = TrialConfig.model_validate(
        {"source": "A", "method": {"name": "desam"}, "training": values}
    )
    again = TrialConfig.model_validate_json(config.model_dump_json())
    shuffled = dict(reversed(list(values.items())))
    assert training_identity(again, FACTS) == identity(values) == identity(shuffled)


@given(training_values, training_values)
def test_equal_identities_mean_equal_values(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert (identity(one) == identity(other)) == (one == other)


def test_a_seed_is_part_of_the_identity() -> None:
    assert identity({}, seed=0) != identity({}, seed=1)


def test_a_site_that_the_dataset_lacks_is_refused_with_the_nearest() -> None:
    facts = moved(domains=("A-ISBI", "F-HK"))
    with pytest.raises(ConfigError, match=r"source is 'A-ISB' \(did you mean 'A-ISBI'\?\)"):
        plan(BASE.replace("source: A", "source: A-ISB"), facts)


def test_several_structures_must_be_chosen_from() -> None:
    with pytest.raises(ConfigError, match="liver, spleen"):
        plan(BASE, moved(structures=("liver", "spleen")))


def test_a_stale_training_says_what_changed() -> None:
    old = {"dataset": "1", "embedding": "2", "code": "3"}
    said = difference(old, {**old, "code": "4"})
    assert said == "training code changed (3 -> 4)"
    said = difference(old, {**old, "code": "desam-1", "lr": 8e-4})
    assert said == (
        "training code changed (3 -> desam-1), the identity now includes the default learning rate"
        " (0.0008)"
    )


def test_the_learning_rate_is_the_resolved_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = plan(BASE)
    assert plain.trainings[0].identity["lr"] == 8e-4
    assert ids(plan(BASE + "  training: {lr: 8e-4}\n")) == ids(plain)
    monkeypatch.setattr("sweeper.plan.identity.default_lr", lambda _: 4e-4)
    changed = plan(BASE).trainings[0].identity
    assert changed["config"] == plain.trainings[0].identity["config"]
    said = difference(dict(plain.trainings[0].identity), dict(changed))
    assert said == "default learning rate changed (0.0008 -> 0.0004)"


def test_other_starting_weights_are_another_training_wherever_the_file_lies() -> None:
    plain = plan(BASE.replace("desam", "medsam"))
    here, there = (
        plan(BASE.replace("name: desam", f"name: medsam, start: {place}/medsam.pth"), facts)
        for place in ("here", "there")
        for facts in [moved(start="a" * 64)]
    )
    assert ids(here) == ids(there) != ids(plain)
    assert ids(here) != ids(plan(BASE.replace("desam", "medsam"), moved(start="b" * 64)))
    assert here.cells()[0]["params"]["method.start"] == "medsam.pth"
    assert "start" not in plain.trainings[0].identity["config"]["method"]


def test_whole_scans_are_another_scoring_of_the_same_training() -> None:
    written = plan(BASE + "  evaluation: {whole_scan: false}\n")
    assert ids(written) == ids(plan(BASE))
    text = BASE + "  evaluation: {whole_scan: {grid: [false, true]}}\n"
    whole = moved(scan_fingerprint="1" * 16, background="/somewhere/b.zarr")
    loaded = check_sweep(parse_yaml(text))
    found = make_plan(
        "t", loaded.trials, lambda trial: whole if trial.evaluation.whole_scan else FACTS
    )
    ((train_id, (plain, scored)),) = ids(found)
    assert [(train_id, [plain])] == ids(written)
    assert found.trainings[0].data.background == "/somewhere/b.zarr"
    settings = [cell["evaluation"].get("whole_scan") for cell in found.cells()]
    assert settings == [None, "True"]
    # what shows no structure is read by this scoring alone
    ((_, others),) = ids(plan(text, moved(scan_fingerprint="2" * 16)))
    assert others[0] == plain
    assert others[1] != scored
