"""Every number of a table again, by pandas and SciPy from the scores alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hand_made import SITES, results, run
from scipy import stats

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table, build_tables
from sweeper.report.query import make_query
from sweeper.report.statistics.comparison import table_statistics
from sweeper.report.table import Mark

if TYPE_CHECKING:
    from sweeper.tracking.tracker import TrackedRun

METHODS = ("unet", "csdg", "desam")
METRICS = {"dice": 100.0, "hd95_mm": 1.0, "asd_mm": 1.0}
N_CASES = {"A": 4, "B": 7, "C": 2}


def random_runs(n_seeds: int) -> tuple[TrackedRun, ...]:
    """Every method on every site with random Dice; unequal sites, so that aggregators differ."""
    rng = np.random.default_rng(n_seeds)
    return tuple(
        run(
            method,
            source,
            {site: tuple(map(float, rng.uniform(0.1, 0.9, N_CASES[site]))) for site in SITES},
            seed=seed,
        )
        for method in METHODS
        for source in SITES
        for seed in range(n_seeds)
    )


def frame(runs: tuple[TrackedRun, ...], protocol: str, metric: str) -> pd.DataFrame:
    """One line per case number, in printed units."""
    return pd.DataFrame(
        {
            "row": made.params["method.name"],
            "source": made.params["source"],
            "seed": made.params["seed"],
            "target": score.target,
            "case": score.case,
            "value": METRICS[metric] * score.values[metric],
        }
        for made in runs
        for score in made.scores
        if score.protocol == protocol
    )


def by_seed(scores: pd.DataFrame, columns: str, aggregate: str) -> pd.DataFrame:
    """Lines are (row, seed), columns are sites: the cells of each seed."""
    tested = scores[scores.source != scores.target]
    other = "target" if columns == "source" else "source"
    if aggregate == "sites":
        keys = ["row", "seed", columns, other]
        tested = tested.groupby(keys, as_index=False)["value"].mean()
    return tested.groupby(["row", "seed", columns])["value"].mean().unstack(columns)


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("protocol", ["desam2024", "strict"])
@pytest.mark.parametrize(
    ("columns", "aggregate"), list(itertools.product(["source", "target"], ["cases", "sites"]))
)
def test_cells_averages_spreads_marks_and_differences(
    columns: str, aggregate: str, protocol: str, metric: str, n_seeds: int
) -> None:
    runs = random_runs(n_seeds)
    spec = ReportSpec(
        columns=columns,
        aggregate=aggregate,
        protocol=protocol,
        metric=metric,
        baseline="unet",
        stars=False,
    )
    made = build_table(make_query(results(*runs), spec))
    cells = by_seed(frame(runs, protocol, metric), columns, aggregate)
    cells["Overall"] = cells.mean(axis=1)
    values = cells.groupby("row").mean()
    spreads = cells.groupby("row").std(ddof=1)
    places = values.rank(ascending=metric != "dice")
    assert made.columns == (*SITES, "Overall")
    for row in made.rows:
        for column, cell in zip(made.columns, row.cells, strict=True):
            assert cell.value == pytest.approx(values.loc[row.label, column], abs=1e-9)
            if n_seeds == 1:
                assert cell.deviation is None
            else:
                assert cell.deviation == pytest.approx(spreads.loc[row.label, column], abs=1e-9)
            mark = {1.0: Mark.BEST, 2.0: Mark.SECOND}.get(places.loc[row.label, column])
            assert cell.mark is mark
        if row.label != "unet":
            delta = values.loc[row.label, "Overall"] - values.loc["unet", "Overall"]
            assert row.delta == pytest.approx(delta, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_the_matrix_and_its_margins(metric: str) -> None:
    runs = random_runs(2)
    tables = build_tables(make_query(results(*runs), ReportSpec(columns="matrix", metric=metric)))
    scores = frame(runs, "desam2024", metric)
    for method, made in zip(METHODS, tables, strict=True):
        of_row = scores[scores.row == method]
        pairs = of_row.groupby(["source", "target"])["value"].mean().unstack("target")
        shown = np.array([[cell.value for cell in row.cells] for row in made.rows], dtype=float)
        assert np.allclose(shown[:-1, :-1], pairs)
        others = pairs.where(~np.eye(len(SITES), dtype=bool))
        assert np.allclose(shown[:-1, -1], others.mean(axis=1))
        assert np.allclose(shown[-1, :-1], others.mean(axis=0))
        assert shown[-1, -1] == pytest.approx(others.mean(axis=1).mean())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_wilcoxons_p_over_patients_with_holms_correction(metric: str, n_seeds: int) -> None:
    runs = random_runs(n_seeds)
    query = make_query(results(*runs), ReportSpec(columns="source", metric=metric, baseline="unet"))
    scores = frame(runs, "desam2024", metric)
    tested = scores[scores.source != scores.target]
    means = tested.groupby(["row", "target", "case"])["value"].mean().unstack("row")
    raw = {m: stats.wilcoxon(means[m] - means["unet"]).pvalue for m in ("csdg", "desam")}
    low, high = sorted(raw, key=lambda m: raw[m])
    expected = {low: min(1.0, 2 * raw[low])}
    expected[high] = max(expected[low], raw[high])
    found = {row.label: row.wilcoxon_p for row in table_statistics(query).rows}
    assert found.pop("unet") is None
    assert found == pytest.approx(expected)
