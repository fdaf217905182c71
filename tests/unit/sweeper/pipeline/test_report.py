from __future__ import annotations

from types import SimpleNamespace

import pytest

from sweeper.config.report import ReportSpec
from sweeper.pipeline import report
from sweeper.pipeline.report import changed_query


@pytest.mark.parametrize(
    ("changes", "baseline"),
    [
        ({}, "pdmm_only"),
        ({"rows": "ablation"}, "pdmm_only"),
        ({"rows": "method"}, None),
        ({"rows": "method", "baseline": "unet"}, "unet"),
    ],
)
def test_other_rows_are_not_compared_with_a_row_that_only_the_space_has(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], baseline: str | None
) -> None:
    tracker = SimpleNamespace(results=lambda _: None)
    monkeypatch.setattr(report, "MlflowTracker", lambda _: tracker)
    monkeypatch.setattr(report, "make_query", lambda _, spec: spec)
    own = ReportSpec(columns="source", rows="ablation", baseline="pdmm_only")
    made = changed_query(SimpleNamespace(), None, own, changes)
    assert made.baseline == baseline
