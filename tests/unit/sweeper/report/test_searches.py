"""Tables with searched values name the rule and the budget; unequal searches make a draft."""

from __future__ import annotations

from dataclasses import replace

from hand_made import plain, results

from sweeper.config.report import ReportSpec
from sweeper.report.query import make_query
from sweeper.report.searches import search_notes, search_reasons


def query(*searches, runs=None):
    """A query over two methods whose trainings these searches selected."""
    made = results(*(runs or (*plain(), *plain(method="csdg"))))
    (sweep,) = made.sweeps
    plan = {**sweep.plan, "searches": list(searches)}
    tracked = replace(made, sweeps=(replace(sweep, plan=plan),))
    return make_query(tracked, ReportSpec(columns="source"))


def search(method: str, *, budget: int = 8, epochs: int = 40, rule: str = "lowest loss"):
    return {
        "rule": rule,
        "budget": budget,
        "epochs": epochs,
        "trainings": [f"{method}-{source}-0" for source in "ABC"],
    }


def test_without_a_search_there_is_nothing_to_say() -> None:
    assert search_notes(query()) == []
    assert search_reasons(query()) == []


def test_the_note_has_rule_and_number_of_trainings() -> None:
    (note,) = search_notes(query(search("unet"), search("csdg", budget=12)))
    assert note.startswith("Values chosen by a search: lowest loss; 8 to 12 trainings tried")
    (same,) = search_notes(query(search("unet"), search("csdg")))
    assert "; 8 trainings tried" in same


def test_equal_searches_are_fair_and_other_budgets_or_rules_make_a_draft() -> None:
    assert search_reasons(query(search("unet"), search("csdg"))) == []
    (budget,) = search_reasons(query(search("unet"), search("csdg", budget=12)))
    assert budget == "unequal searches (trainings tried for a cell: unet 8, csdg 12)"
    (unsearched,) = search_reasons(query(search("unet")))
    assert unsearched == "unequal searches (trainings tried for a cell: unet 8, csdg 0)"
    epochs = search_reasons(query(search("unet"), search("csdg", epochs=80)))
    assert len(epochs) == 1
    rule = search_reasons(query(search("unet"), search("csdg", rule="highest Dice")))
    assert rule == ["values chosen by 2 different rules"]


def test_an_upper_bound_does_not_compete() -> None:
    runs = (*plain(), *plain(method="upper_bound"))
    assert search_reasons(query(search("unet"), runs=runs)) == []
