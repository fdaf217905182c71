"""Sources that the dataset decides: an axis over its domains, and several domains as one source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_plan import FACTS, plan_of

from sweeper.config.sweep import load_sweep
from sweeper.config.trial import SITES, TrialConfig
from sweeper.errors import CellError
from sweeper.plan.expand import Plan, axis_words, make_plan

SPACES = Path(__file__).resolve().parents[4] / "search_spaces"


def facts_of(*domains: str):
    return replace(
        FACTS,
        domains=domains,
        cases={d: (f"{d}1", f"{d}2") for d in domains},
        slices=dict.fromkeys(domains, 10),
    )


def planned(source: object, *domains: str, **values) -> Plan:
    trial = TrialConfig(**{"method": {"name": "unet"}, **values, "source": source})
    return make_plan("t", [trial], lambda _: facts_of(*domains))


def sources(plan: Plan) -> list[str]:
    return [training.config.source for training in plan.trainings]


@pytest.mark.parametrize("name", ["ablation", "grid_points", "encoders", "main_table"])
def test_a_shipped_space_runs_on_the_hospitals_of_the_dataset(name: str) -> None:
    trials = load_sweep(SPACES / f"{name}.yaml").trials
    plan = make_plan(name, trials, lambda _: facts_of("Graz", "Lyon", "Porto"))
    trained_on = sources(plan)
    assert set(trained_on) == {"Graz", "Lyon", "Porto"}
    by_source = {s: trained_on.count(s) for s in trained_on}
    assert len(set(by_source.values())) == 1
    words = axis_words(trials, lambda _: facts_of("Graz", "Lyon", "Porto"))
    assert words == "each of the 3 domains of dataset d: Graz, Lyon, Porto"


def test_the_axis_is_the_list_of_the_six_sites_on_the_six_sites() -> None:
    space = load_sweep(SPACES / "ablation.yaml")
    listed = [trial.model_copy(update={"source": site}) for site in SITES for trial in space.trials]
    by_axis = make_plan("t", space.trials, lambda _: facts_of(*SITES))
    by_list = make_plan("t", listed, lambda _: facts_of(*SITES))
    assert by_axis == by_list
    assert len(by_axis.trainings) == 24


def test_an_upper_bound_of_each_site_trains_every_other_site_once() -> None:
    method = {"name": "upper_bound", "variant": "target_cv", "folds": 2}
    plan = planned("{grid: sites}", "A", "B", "C", method=method)
    assert sources(plan) == ["A", "A", "B", "B", "C", "C"]
    one = planned(["A", "B"], "A", "B", "C", method=method)
    assert sources(one) == ["C", "C"]


def test_leave_one_site_out_trains_on_all_others() -> None:
    plan = planned("{grid: leave_one_out}", "A", "B", "C")
    assert sorted(sources(plan)) == ["A+B", "A+C", "B+C"]
    with pytest.raises(CellError, match="source is 'A', the only domain of dataset 'd'"):
        planned("{grid: leave_one_out}", "A")


def test_the_order_of_several_sources_is_the_datasets_and_changes_no_identity() -> None:
    one, other = planned(["B", "A"], "A", "B", "C"), planned(["A", "B"], "A", "B", "C")
    assert sources(one) == ["A+B"]
    assert one == other
    assert one.trainings[0].identity["config"]["source"] == "A+B"


def test_a_single_source_has_the_identity_it_always_had() -> None:
    plan = plan_of("name: t\ntrial: {source: A, method: {name: unet}, training: {epochs: 2}}\n")
    assert plan.trainings[0].identity["config"]["source"] == "A"


@pytest.mark.parametrize(
    ("source", "values", "words"),
    [
        (["A", "X"], {}, "source is 'X', dataset 'd' has A, B, C"),
        (["A", "B", "C"], {}, "source is 'A.B.C', which leaves no domain of 'd' to test on"),
        (["A", "B"], {"target": "B"}, "target is 'B', which is a source; .*: C$"),
    ],
)
def test_sources_that_cannot_be_tested_are_refused(source, values, words) -> None:
    with pytest.raises(CellError, match=words):
        planned(source, "A", "B", "C", **values)
