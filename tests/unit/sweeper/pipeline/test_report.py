from __future__ import annotations

from types import SimpleNamespace

import pytest

from sweeper.config.report import ReportSpec
from sweeper.pipeline import report
from sweeper.pipeline.report import changed_query


@pytest.mark.parametrize(
    ("changes", "rows", "baseline"),
    [
        ({}, ["pdmm_only", "full"], "pdmm_only"),
        ({}, ["full"], "pdmm_only"),  # the space itself is wrong, and the table will say so
        ({"rows": "ablation"}, ["pdmm_only", "full"], "pdmm_only"),
        ({"rows": "method"}, ["desam", "unet"], None),
        ({"where": ("ablation=full",)}, ["full"], None),
        ({"rows": "method", "baseline": "unet"}, ["desam", "unet"], "unet"),
    ],
)
def test_other_rows_are_not_compared_with_a_row_that_only_the_space_has(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], rows: list[str], baseline: str | None
) -> None:
    tracker = SimpleNamespace(results=lambda _: None)
    monkeypatch.setattr(report, "MlflowTracker", lambda _: tracker)
    monkeypatch.setattr(
        report, "make_query", lambda _, spec: SimpleNamespace(spec=spec, rows=dict.fromkeys(rows))
    )
    own = ReportSpec(columns="source", rows="ablation", baseline="pdmm_only")
    made = changed_query(SimpleNamespace(), None, own, changes)
    assert made.spec.baseline == baseline
