"""The caption says what every number is; notes say what is missing or different."""

from __future__ import annotations

import math

import pytest
from hand_made import plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.caption import caption, notes
from sweeper.report.caption import tests_caption as stars_caption
from sweeper.report.query import make_query


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
        ({}, "Dice in %; column = source site (trained on it, tested on all others)"),
        ({"columns": "target"}, "column = target site (tested on it, trained on each other site)"),
        ({}, "cell = mean over all target cases pooled"),
        ({"aggregate": "sites"}, "cell = mean of the target sites' means"),
        ({}, "Protocol desam2024 (last foreground slice dropped"),
        ({"protocol": "strict"}, "Protocol strict ("),
        ({}, "seed 0; n = 6 cases, 30 slices; no ± with a single seed."),
        (
            {},
            "Dataset hand-made dddddddddddddddd; encoder vit_h (pretrained on SA-1B",
        ),
        ({"where": ("source=A",)}, "Only trainings with source=A."),
        ({"where": ("source=A",)}, "n = 4 cases, 20 slices"),  # not the source's own cases
    ],
)
def test_the_caption_names_what_the_query_asks_for(spec, expected: str) -> None:
    assert expected in text(*plain(), **spec)


def test_the_caption_counts_seeds_and_says_why_there_is_no_deviation() -> None:
    both = (*plain(), *plain(seed=1))
    assert "2 seeds (0, 1)" in text(*both)
    assert "± = standard deviation over seeds" in text(*both)
    assert "no ±, as seeds are missing" in text(*plain(), missing=plain(seed=1))


def test_a_column_that_is_not_tested_on_all_others_names_its_targets() -> None:
    runs = [run("unet", "A", {"B": (0.5,)}, evaluation={"target": "B"})]
    assert "(trained on it, tested on B)" in text(*runs)


def test_missing_seeds_and_undefined_cases_are_noted() -> None:
    assert "(k/n seeds)" not in note(*plain())
    said = note(*plain(), missing=plain(seed=1))
    assert "3 cells lack seeds; no mean is computed from the others." in said
    undefined = run("unet", "A", {"B": (0.5, math.nan), "C": (0.5,)})
    assert "1 case number; a cell with one is undefined" in note(undefined)
    assert "1 case number; left out" in note(undefined, undefined="skip")


def test_the_other_aggregator_is_noted_only_if_it_differs() -> None:
    # pooled: 134 / 3 = 44.67; by sites: 40 (see test_golden.py)
    assert "overall by cases / by sites: unet 44.67 / 40.00" in note(*plain())
    equal = run("unet", "A", {"B": (0.5,), "C": (0.5,)})
    assert "aggregators differ" not in note(equal)


def test_a_table_of_fewer_sources_than_domains_says_so() -> None:
    assert "Sources here are 1 of the dataset's 3 domains" in note(plain()[0])
    assert "Sources here" not in note(*plain())


def test_there_is_no_sentence_on_stars_without_tests() -> None:
    assert stars_caption(None) == ()
