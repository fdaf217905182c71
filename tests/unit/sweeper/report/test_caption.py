"""The caption says what every number is; notes say what is missing or different."""

from __future__ import annotations

import math

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError
from sweeper.report.build import build_table, build_tables
from sweeper.report.caption import caption, notes
from sweeper.report.caption import tests_caption as stars_caption
from sweeper.report.query import make_query, spec_of
from sweeper.report.words import cell_text


def table(*runs, missing=(), **spec):
    query = make_query(results(*runs, missing=missing), ReportSpec(**{"columns": "source", **spec}))
    return query, build_table(query).rows


def text(*runs, missing=(), **spec) -> str:
    return " ".join(caption(*table(*runs, missing=missing, **spec)))


def note(*runs, missing=(), **spec) -> str:
    return " ".join(notes(*table(*runs, missing=missing, **spec)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {},
            "Dice in % per case volume. Each column is a source site: trained on it, tested on",
        ),
        (
            {"columns": "target"},
            "target site: tested on it, trained on each other site.",
        ),
        ({}, "A cell is the mean over all target cases pooled"),
        ({"aggregate": "sites"}, "A cell is the mean of the target sites' means"),
        ({}, "Protocol desam2024: last foreground slice dropped"),
        ({"protocol": "strict"}, "Protocol strict: "),
        (
            {},
            "One seed (0), so there is no ±; n = 6 cases, 30 slices, 3 to 5 cases per cell",
        ),
        (
            {},
            "Dataset hand-made; encoder vit_h (pretrained on SA-1B",
        ),
        ({"where": ("source=A",)}, "Only trainings with source=A."),
        # not the source's own cases, and the only cell has all of them
        ({"where": ("source=A",)}, "n = 4 cases, 20 slices. "),
        ({"columns": "target"}, ", 2 to 6 pairs of source and case per cell and seed."),
    ],
)
def test_the_caption_names_what_the_query_asks_for(spec, expected: str) -> None:
    assert expected in text(*plain(), **spec)


def test_the_caption_counts_seeds_and_says_why_there_is_no_deviation() -> None:
    both = (*plain(), *plain(seed=1))
    assert "2 seeds (0, 1)" in text(*both)
    assert "2 seeds (0, 1), ± is the standard deviation over them;" in text(*both)
    assert "no ± because some are missing" in text(*plain(), missing=plain(seed=1))


def test_a_column_that_is_not_tested_on_all_others_names_its_targets() -> None:
    runs = [run("unet", "A", {"B": (0.5,)}, evaluation={"target": "B"})]
    assert "trained on it, tested on B." in text(*runs)


def test_missing_seeds_and_undefined_cases_are_noted() -> None:
    assert "(k/n seeds)" not in note(*plain())
    said = note(*plain(), missing=plain(seed=1))
    assert "3 cells lack seeds; no mean is computed from the others." in said
    undefined = run("unet", "A", {"B": (0.5, math.nan), "C": (0.5,)})
    assert "1 case number; a cell with one is undefined" in note(undefined)
    assert "1 case number; left out" in note(undefined, undefined="skip")


def test_the_other_aggregator_is_noted_only_if_it_differs() -> None:
    # pooled: 134 / 3 = 44.67; by sites: 40 (see test_golden.py)
    assert "(cases / sites): unet 44.67 / 40.00" in note(*plain())
    equal = run("unet", "A", {"B": (0.5,), "C": (0.5,)})
    assert "Averaged by" not in note(equal)


def test_a_table_of_fewer_sources_than_domains_says_so() -> None:
    assert "Sources here are 1 of the dataset's 3 domains" in note(plain()[0])
    assert "Sources here" not in note(*plain())


def test_there_is_no_sentence_on_stars_without_tests() -> None:
    assert stars_caption(None) == ()


def test_rows_and_columns_have_the_names_that_the_space_gives_them() -> None:
    names = {"unet": "U-Net", "desam": "DeSAM", "A": "RUNMC", "Overall": "Mean"}
    runs = results(*plain(), *plain(method="desam", gain=0.3))
    spec = {"columns": "source", "baseline": "unet", "names": names}
    made = build_table(make_query(runs, spec_of(spec)))
    assert [row.label for row in made.rows] == ["U-Net", "DeSAM"]
    assert made.columns == ("RUNMC", "B", "C", "Mean")
    assert made.baseline == "U-Net"
    unnamed = build_table(make_query(runs, spec_of({**spec, "names": {}})))
    assert [row.cells for row in made.rows] == [row.cells for row in unnamed.rows]
    # the baseline may be given by its printed name too
    assert build_table(make_query(runs, spec_of({**spec, "baseline": "U-Net"}))) == made
    for other in build_tables(make_query(runs, spec_of({"columns": "matrix", "names": names}))):
        assert other.rows[0].label == other.columns[0] == "RUNMC"
    with pytest.raises(ConfigError, match="rows 'unet' and 'desam' are both called 'same'"):
        make_query(runs, spec_of({**spec, "names": {"unet": "same", "desam": "same"}}))


def test_the_number_of_decimals_may_be_asked_for() -> None:
    made = build_table(make_query(results(*plain()), ReportSpec(columns="source", digits=1)))
    assert cell_text(made.rows[0].cells[-1], made.digits) == "44.7"
    both = [line for line in made.notes if "Averaged by sites instead of by cases" in line]
    assert "unet 44.7 / " in both[0]
