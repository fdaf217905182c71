"""Names of rows and lines of captions that would mislead a reader."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hand_made import SITES, plain, results, run

from sweeper.config.report import ReportSpec
from sweeper.errors import ConfigError
from sweeper.report.build import build_table
from sweeper.report.entries import gather, label_rows
from sweeper.report.formats.terminal import render_terminal
from sweeper.report.query import make_query

if TYPE_CHECKING:
    from sweeper.report.table import ReportTable
    from sweeper.tracking.tracker import TrackedResults, TrackedRun


def imported(of: TrackedRun) -> TrackedRun:
    """A run of the same name, made of another tool's masks."""
    return replace(of, tags={**of.tags, "train_id": f"{of.run_id}-own", "origin": "imported"})


def with_imported(*runs: TrackedRun, masks: tuple[TrackedRun, ...]) -> TrackedResults:
    return replace(results(*runs), runs=(*runs, *masks))


def table(found: TrackedResults, **spec) -> ReportTable:
    return build_table(make_query(found, ReportSpec(**{"columns": "source", **spec})))


def test_imported_masks_never_join_a_row_of_ours_that_has_the_tools_name() -> None:
    other_seed = with_imported(*plain(), masks=(imported(plain(seed=1)[0]),))
    made = table(other_seed)
    assert [row.label for row in made.rows] == ["unet", "unet [imported]"]
    assert [cell.deviation for cell in made.rows[0].cells] == [None] * 4
    other_source = with_imported(*plain()[:2], masks=(imported(plain()[2]),))
    own, masks = table(other_source).rows
    assert own.cells[2].value is None
    assert masks.cells[0].value is None
    assert masks.cells[2].value == 34


def test_imported_masks_are_named_after_their_tool_whatever_the_rows_are() -> None:
    settings = {"method.ablation": "full", "training.lr": "0.1"}
    ours = run("desam", "A", {"B": (0.5,), "C": (0.5,)}, params=settings)
    found = with_imported(ours, masks=(imported(run("nnunet", "A", {"B": (0.6,), "C": (0.6,)})),))
    for rows, own in (("ablation", "full"), ("training.lr", "0.1"), ("method", "desam")):
        assert [row.label for row in table(found, rows=rows).rows] == [own, "nnunet [imported]"]


def test_a_case_without_a_mask_takes_no_slices_out_of_the_caption() -> None:
    lost = imported(run("nnunet", "A", {"B": (math.nan,) * 3, "C": (0.2,)}))
    lost = replace(lost, scores=tuple(s._replace(n_slices=0) for s in lost.scores))
    assert "n = 6 cases, 30 slices" in " ".join(
        table(with_imported(*plain(), masks=(lost,))).caption
    )


def test_an_average_over_a_column_that_nobody_planned_lacks_no_seed() -> None:
    found = with_imported(
        *plain(), masks=(imported(run("nnunet", "A", {"B": (0.6,), "C": (0.6,)})),)
    )
    line = next(x for x in render_terminal(table(found)).splitlines() if "nnunet" in x)
    assert "seeds" not in line


def test_a_setting_that_a_training_has_not_is_not_in_its_rows_name() -> None:
    first = run("desam", "A", {"B": (0.5,)}, params={"method.ablation": "pdmm_only"})
    second = run("desam", "A", {"B": (0.5,)}, params={"method.ablation": "full"})
    second = replace(second, params={**second.params, "method.points": "9"})
    labels = [entry.label for entry in label_rows(gather(results(first, second)), "method")]
    assert labels == ["desam (ablation pdmm_only)", "desam (ablation full, points 9)"]


def test_missing_seeds_are_not_called_a_single_seed() -> None:
    made = table(results(*plain(), missing=plain(seed=1)))
    words = " ".join((*made.caption, *made.notes))
    assert "2 seeds (0, 1)" in words
    assert "no ± because some are missing" in words
    assert "One seed" not in words
    assert "3 cells lack seeds" in words


def test_nothing_known_is_said_once() -> None:
    words = " ".join(table(results(missing=plain())).caption)
    assert "Dataset none; encoder none; training code none." in words


def test_columns_of_pairs_stand_in_the_order_of_the_domains_in_every_process() -> None:
    """A set's order differs between processes, and the page would never be the same one."""
    code = (
        "from hand_made import plain, results;"
        "from sweeper.config.report import ReportSpec;"
        "from sweeper.report.query import make_query;"
        "print(make_query(results(*plain()), ReportSpec(columns='structure')).columns)"
    )
    expected = tuple(f"{a} -> {b} prostate" for a in "ABC" for b in "ABC" if a != b)
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(expected)


def test_rows_that_are_not_tested_are_named_where_stars_are_explained() -> None:
    masks = (imported(run("nnunet", "A", {"B": (0.6,) * 3, "C": (0.6,)})),)
    found = with_imported(*plain(), *plain(method="csdg"), masks=masks)
    words = " ".join(table(found, baseline="unet").caption)
    assert "Not tested: nnunet [imported]: incomplete." in words
    assert "No stars (one seed: no test; a claim" in words


def test_a_condition_may_name_a_method_and_an_unknown_one_is_no_row() -> None:
    found = results(*plain(), *plain(method="csdg"))
    assert [row.label for row in table(found, where=("method=csdg",)).rows] == ["csdg"]
    with pytest.raises(ConfigError, match=r"^where: 'nokey' is not a key of any training"):
        table(found, where=("nokey=3",))


def two_domains(*sources: str, target: str = "") -> str:
    """The caption of trainings on some of two or three domains."""
    runs = [
        run(
            "unet",
            source,
            {t: (0.5, 0.6) for t in ([target] if target else SITES) if t != source},
            params={"target": target} if target else {},
        )
        for source in sources
    ]
    return table(results(*runs)).caption[0]


def test_the_caption_says_all_others_only_where_all_others_were_tested() -> None:
    assert "trained on it, tested on all others." in two_domains("A", "B", "C")
    assert "trained on it, tested on C." in two_domains("A", "B", target="C")
    assert "trained on it, tested on A: C; C: A." in " ".join(
        table(
            results(
                run("unet", "A", {"C": (0.5,)}, params={"target": "C"}),
                run("unet", "C", {"A": (0.5,)}, params={"target": "A"}),
            )
        ).caption
    )


def test_a_target_columns_caption_names_the_only_source() -> None:
    made = table(results(run("unet", "A", dict.fromkeys("BC", (0.5,)))), columns="target")
    assert "tested on it, trained on A." in made.caption[0]


@pytest.mark.parametrize(("code", "is_said"), [("desam-2", True), ("desam-1", False)])
def test_what_iou_head_differs_by_is_said_since_ablations_are_paired(code, is_said) -> None:
    runs = [
        run("desam", "A", {"B": (0.5,), "C": (0.6,)}, params={"method.ablation": ablation},
            tags={"code_version": code})
        for ablation in ("pdmm_only", "iou_head")
    ]  # fmt: skip
    made = table(results(*runs), rows="ablation")
    said = [line for line in made.caption if "by the gate alone" in line]
    assert bool(said) is is_said
