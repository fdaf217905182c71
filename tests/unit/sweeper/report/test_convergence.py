"""Undertrained rows carry a dagger, unequal budgets are said, and neither makes a final table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.convergence import unconverged
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.query import make_query

if TYPE_CHECKING:
    from sweeper.report.table import ReportTable

GOOD = {"train_dice": 0.9, "constant_dice": 0.6, "loss_fall_share": 0.001, "n_train_slices": 40.0}
BELOW = {**GOOD, "train_dice": 0.55}
FALLING = {**GOOD, "loss_fall_share": 0.08}
NOTHING = {**GOOD, "train_dice": float("nan")}


def trained(method: str, *summaries: dict[str, float], **params: str):
    """A method trained on A and B."""
    settings = {"training.epochs": "50", "training.batch_size": "8", **params}
    return [
        run(method, source, {t: (0.5, 0.6) for t in "ABC" if t != source}, summary=summary,
            params=settings)
        for source, summary in zip("AB", summaries or (GOOD, GOOD), strict=True)
    ]  # fmt: skip


def table(*runs, **spec) -> ReportTable:
    return build_table(make_query(results(*runs), ReportSpec(columns="source", **spec)))


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (BELOW, "weak: 1 of 2 trainings below the constant mask"),
        (NOTHING, "weak: 1 of 2 trainings below the constant mask"),
        (FALLING, "weak: 1 of 2 trainings with a loss still falling"),
    ],
)
def test_a_row_that_may_be_undertrained_has_a_dagger_and_is_a_draft(summary, words) -> None:
    made = table(*trained("weak", GOOD, summary), *trained("good"))
    assert [row.is_unconverged for row in made.rows] == [True, False]
    assert words in " ".join(made.notes)
    assert "does not beat the best constant mask on its own training cases" in " ".join(made.notes)
    assert any("weak may be undertrained" in reason for reason in made.draft_reasons)
    for name, render in RENDERERS.items():
        if name != "json":
            text = render(made)
            assert "weak $\\dagger$" in text if name == "latex" else "weak †" in text, name
            assert "good †" not in text


def test_reasons_count_trainings_and_not_scorings() -> None:
    both = {**FALLING, "train_dice": 0.1}
    query = make_query(results(*trained("weak", both, both)), ReportSpec(columns="source"))
    assert unconverged(query) == {
        "weak": (
            "2 of 2 trainings below the constant mask",
            "2 of 2 trainings with a loss still falling",
        )
    }


def test_trainings_of_before_convergence_was_recorded_are_not_judged() -> None:
    made = table(*trained("old", {}, {}))
    assert not made.rows[0].is_unconverged
    assert made.draft_reasons == ()


def test_equal_budgets_say_nothing() -> None:
    made = table(*trained("one"), *trained("two"))
    assert made.draft_reasons == ()
    assert not any("differ" in note for note in made.notes)


def test_unequal_epochs_are_said_and_refused_until_the_space_declares_them() -> None:
    runs = [*trained("one"), *trained("long", **{"training.epochs": "160"})]
    words = "epochs differ by row (one 50, long 160)"
    assert words in table(*runs).draft_reasons
    declared = table(*runs, unequal=("epochs",))
    assert declared.draft_reasons == ()
    assert "Epochs differ by row (one 50, long 160)." in declared.notes


def test_unequal_batches_make_unequal_steps() -> None:
    # 40 slices: 5 batches of 8 or 10 of 4, over 50 epochs
    runs = [*trained("one"), *trained("small", **{"training.batch_size": "4"})]
    assert "steps differ by row (one 250, small 500)" in table(*runs).draft_reasons
    assert table(*runs, unequal=("steps",)).draft_reasons == ()


def test_sites_of_other_sizes_are_no_unequal_budget() -> None:
    larger = {**GOOD, "n_train_slices": 80.0}
    assert table(*trained("one", GOOD, larger), *trained("two", GOOD, larger)).draft_reasons == ()
