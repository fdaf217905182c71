"""Tables whose right answers were worked out by hand.

`plain()` holds, in Dice %, per source the targets' cases:

| source | A | B | C |
|---|---|---|---|
| A | (90 90) | 60 60 60 | 20 |
| B | 50 70 | (80 80 80) | 30 |
| C | 40 40 | 20 30 40 | (70) |

Source columns, cases pooled: A (3 x 60 + 20) / 4 = 50; B 150 / 3 = 50; C 170 / 5 = 34.
Source columns, site means:   A (60 + 20) / 2 = 40; B (60 + 30) / 2 = 45; C (40 + 30) / 2 = 35.
Target columns, cases pooled: A (50 + 70 + 40 + 40) / 4 = 50; B (180 + 90) / 6 = 45; C 25.
`strict` is 10 points below `desam2024` everywhere.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError, DraftError
from sweeper.records import TrialStatus
from sweeper.report.build import build_table, build_tables
from sweeper.report.draft import refuse_drafts
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.formats.terminal import render_terminal
from sweeper.report.query import make_query
from sweeper.report.table import Mark, ReportTable


def table(*runs, missing=(), **spec) -> ReportTable:
    return build_table(
        make_query(results(*runs, missing=missing), ReportSpec(**{"columns": "source", **spec}))
    )


def values(of: ReportTable, row: int = 0) -> list[float | None]:
    return [cell.value for cell in of.rows[row].cells]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"columns": "source", "aggregate": "cases"}, [50, 50, 34, 134 / 3]),
        ({"columns": "source", "aggregate": "sites"}, [40, 45, 35, 40]),
        ({"columns": "target", "aggregate": "cases"}, [50, 45, 25, 40]),
        ({"columns": "source", "protocol": "strict"}, [40, 40, 24, 104 / 3]),
        ({"columns": "source", "metric": "hd95_mm"}, [50, 50, 66, 166 / 3]),
        ({"columns": "source", "metric": "asd_mm"}, [5, 5, 6.6, 16.6 / 3]),
    ],
)
def test_each_direction_aggregator_protocol_and_metric_has_its_own_right_number(
    spec, expected
) -> None:
    assert values(table(*plain(), **spec)) == pytest.approx(expected)


def test_the_matrix_keeps_source_validation_out_of_its_means() -> None:
    (matrix,) = build_tables(make_query(results(*plain()), ReportSpec(columns="matrix")))
    assert matrix.columns == ("A", "B", "C", "Mean")
    assert [values(matrix, i) for i in range(4)] == [
        pytest.approx([90, 60, 20, 40]),
        pytest.approx([60, 80, 30, 45]),
        pytest.approx([40, 30, 70, 35]),
        pytest.approx([50, 45, 25, 40]),
    ]


def test_the_caption_says_direction_aggregator_protocol_seeds_and_counts() -> None:
    made = table(*plain())
    words = " ".join(made.caption)
    for part in (
        "each column is a source",
        "all target cases pooled",
        "desam2024",
        "one seed (0)",
        "n = 6 cases, 30 slices",
    ):
        assert part.lower() in words.lower()
    assert "44.67" not in words
    assert made.provenance == f"Provenance: dataset {'d' * 16}; encoder {'e' * 16}."
    assert "d" * 8 not in words
    assert any("44.67 / 40.00" in note for note in made.notes)


def test_spread_is_printed_only_with_two_seeds_and_is_the_standard_deviation() -> None:
    one = table(*plain())
    assert all(cell.deviation is None for cell in one.rows[0].cells)
    assert "±" not in render_terminal(one).split("Dice in %")[0]
    two = table(*plain(seed=0), *plain(seed=1, gain=0.4))
    # A: C rises by 40 points, so the pooled mean by 10: sd of (50, 60)
    assert two.rows[0].cells[0].value == pytest.approx(55)
    assert two.rows[0].cells[0].deviation == pytest.approx(50**0.5)
    assert "55.00 ± 7.07" in render_terminal(two)


def test_a_missing_seed_is_a_dash_that_says_so_and_never_a_quiet_mean() -> None:
    runs = (*plain(seed=0), *plain(seed=1))
    made = table(*runs[:-1], missing=runs[-1:])
    cell = made.rows[0].cells[2]
    assert (cell.value, cell.seeds_done, cell.seeds_planned) == (None, 1, 2)
    assert made.rows[0].cells[3].value is None
    assert "– (1/2 seeds)" in render_terminal(made)
    assert any("1 of 6 scorings missing (1 not run yet)" in r for r in made.draft_reasons)


def test_best_is_bold_and_second_underlined_with_ties_on_unrounded_values() -> None:
    low, high = plain(method="low"), plain(method="high", gain=0.001)
    tied = plain(method="tied", gain=0.001)
    made = table(*low, *high, *tied)
    marks = [row.cells[0].mark for row in made.rows]
    assert marks == [Mark.SECOND, Mark.BEST, Mark.BEST]
    assert made.rows[0].cells[2].mark is Mark.BEST  # C is equal in all three
    distances = table(*low, *high, metric="hd95_mm")
    assert [row.cells[0].mark for row in distances.rows] == [Mark.SECOND, Mark.BEST]


def test_differences_are_taken_to_the_named_row() -> None:
    made = table(*plain(method="low"), *plain(method="high", gain=0.04), baseline="low")
    # A gains 4/4 = 1 point, B 4/3 points, C nothing
    assert made.rows[0].delta is None
    assert made.rows[1].delta == pytest.approx((1 + 4 / 3) / 3)
    with pytest.raises(ConfigError, match=r"baseline: 'hihg'.*did you mean.*high"):
        table(*plain(method="low"), *plain(method="high"), baseline="hihg")


def test_a_difference_below_the_spread_of_seeds_is_said() -> None:
    # the seeds' averages are 44.67 and 50.50 (7.5 + 10 points over three columns): sd 4.12
    base = (*plain(method="base"), *plain(method="base", seed=1, gain=0.3))
    near = (*plain(method="near", gain=0.04), *plain(method="near", seed=1, gain=0.34))
    made = table(*base, *near, baseline="base")
    assert "Δ smaller than the spread over seeds: near +0.78 against ± 4.12." in made.notes
    alone = table(*plain(method="base"), *plain(method="near", gain=0.04), baseline="base")
    assert not any("spread over seeds" in note for note in alone.notes)


def test_trainings_that_differ_in_more_than_the_row_says_are_never_averaged() -> None:
    slow = tuple(
        replace(r, params={**r.params, "training.lr": "0.1"}) for r in plain(method="unet")
    )
    fast = tuple(
        replace(
            r,
            params={**r.params, "training.lr": "0.2"},
            tags={**r.tags, "train_id": r.train_id + "fast"},
        )
        for r in plain(method="unet", gain=0.5)
    )
    made = table(*slow, *fast)
    assert [row.label for row in made.rows] == ["unet (lr 0.1)", "unet (lr 0.2)"]


def test_an_unknown_row_axis_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="rows: 'grid_sise' is not a key of any training"):
        table(*plain(), rows="grid_sise")


def test_a_complete_table_of_real_data_is_final_and_every_flaw_makes_it_a_draft() -> None:
    assert table(*plain()).draft_reasons == ()
    refuse_drafts([table(*plain())])
    synthetic = tuple(replace(r, tags={**r.tags, "synthetic": "true"}) for r in plain())
    assert "synthetic data" in table(*synthetic).draft_reasons
    first, *rest = plain()
    other_code = replace(first, tags={**first.tags, "code_version": "other"})
    assert any("training code" in r for r in table(other_code, *rest).draft_reasons)
    other_data = replace(first, tags={**first.tags, "dataset_fingerprint": "x"})
    assert any("of the dataset" in r for r in table(other_data, *rest).draft_reasons)
    pruned = replace(first, status=TrialStatus.PRUNED, scores=())
    assert any("1 pruned" in r for r in table(pruned, *rest).draft_reasons)
    more_seeds = table(*plain(method="a"), *plain(method="b"), *plain(method="b", seed=1))
    assert any("different seeds" in r for r in more_seeds.draft_reasons)
    with pytest.raises(
        DraftError,
        match=r"(?s)no final table:\n  cells have different seeds .*: give all rows the same",
    ):
        refuse_drafts([more_seeds])


def test_the_winner_of_a_search_is_chosen_on_the_source_and_budgets_are_compared() -> None:
    def searched(lr: str, loss: float, c: float):
        return run(
            "unet",
            "A",
            {"B": (0.5,) * 3, "C": (c,)},
            params={"training.lr": lr},
            summary={"selected_validation_loss": loss},
        )

    worse_on_target = searched("0.1", 0.2, 0.1)
    better_on_target = searched("0.2", 0.3, 0.9)
    other = run("desam", "A", {"B": (0.5,) * 3, "C": (0.5,)})
    made = table(worse_on_target, better_on_target, other, select="validation_loss")
    assert made.rows[0].cells[0].value == pytest.approx((150 + 10) / 4)
    assert any("search budgets differ" in reason for reason in made.draft_reasons)


@pytest.mark.parametrize("name", ["markdown", "csv", "latex", "json"])
def test_all_formats_hold_the_same_numbers_and_the_draft_mark(name: str) -> None:
    synthetic = tuple(replace(r, tags={**r.tags, "synthetic": "true"}) for r in plain())
    text = RENDERERS[name](table(*synthetic))
    if name != "json":
        assert "DRAFT" in text
        assert "SYNTHETIC DATA" in text
    else:
        assert json.loads(text)["is_synthetic"] is True
    for number in ("50", "34", "44.6"):
        assert number in text


def folds(variant: str, source: str, held_out: dict[str, tuple[float, ...]]):
    params = {"method.variant": variant, "fold": "0"}
    return run("upper_bound", source, held_out, params=params)


def test_an_upper_bounds_column_pools_its_held_out_cases_of_the_other_sites() -> None:
    runs = (
        folds("target_cv", "A", {"A": (0.9, 0.8)}),
        folds("target_cv", "B", {"B": (0.7, 0.7, 0.7)}),
        folds("target_cv", "C", {"C": (0.5,)}),
    )
    # column A: B and C pooled; B: A and C; C: A and B
    expected = [(210 + 50) / 4, (170 + 50) / 3, (170 + 210) / 5]
    assert values(table(*runs))[:3] == pytest.approx(expected)
    by_target = table(*runs, columns="target")
    assert values(by_target)[:3] == pytest.approx([85, 70, 50])
    assert by_target.rows[0].is_reference


def test_an_upper_bound_over_all_sites_and_one_of_the_source_itself() -> None:
    everything = folds("all_sites", "all", {"A": (0.9, 0.8), "B": (0.7,) * 3, "C": (0.5,)})
    expected = [(210 + 50) / 4, (170 + 50) / 3, (170 + 210) / 5]
    assert values(table(everything))[:3] == pytest.approx(expected)
    own = folds("source_cv", "A", {"A": (0.9, 0.8)})
    assert values(table(own))[0] == pytest.approx(85)


def test_an_upper_bound_takes_no_part_in_ranks() -> None:
    bound = folds("all_sites", "all", {"A": (1.0, 1.0), "B": (1.0,) * 3, "C": (1.0,)})
    made = table(bound, *plain(method="low"), *plain(method="high", gain=0.1))
    assert [row.cells[0].mark for row in made.rows] == [None, Mark.SECOND, Mark.BEST]


def test_organs_have_a_column_for_each_direction_and_are_averaged_elsewhere() -> None:
    def organ(source: str, name: str, values: dict[str, tuple[float, ...]]):
        made = run(
            "desam", source, values, params={"structure": name, "target": next(iter(values))}
        )
        return replace(made, scores=tuple(s._replace(structure=name) for s in made.scores))

    runs = (
        organ("A", "liver", {"B": (0.8,) * 3}),
        organ("A", "spleen", {"B": (0.6,) * 3}),
        organ("B", "liver", {"A": (0.5, 0.5)}),
        organ("B", "spleen", {"A": (0.3, 0.3)}),
    )
    runs = tuple(
        replace(r, params={**r.params, "target": next(iter("BBAA"[i]))}) for i, r in enumerate(runs)
    )
    made = table(*runs, columns="structure")
    assert dict(zip(made.columns, values(made), strict=True)) == pytest.approx(
        {
            "A -> B liver": 80,
            "A -> B spleen": 60,
            "B -> A liver": 50,
            "B -> A spleen": 30,
            "Average": 55,
        }
    )
    assert values(table(*runs))[:2] == pytest.approx([70, 40])


def test_a_table_of_some_trainings_says_which_and_an_empty_one_is_refused() -> None:
    made = table(*plain(), where=("source=B",))
    assert (made.columns, values(made)) == (("B", "Overall"), [50, 50])
    assert "Only trainings with source=B." in made.caption
    with pytest.raises(ConfigError, match=r"no training has source=Z.*the values are A, B, C"):
        table(*plain(), where=("source=Z",))
