"""Metric names in search spaces come from the metric table."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from desam_model.scoring.metric_table import MAIN, metrics
from sweeper.config.metric import MetricName, metric_choices, metric_names


def test_the_allowed_names_are_those_of_the_table_in_its_order() -> None:
    assert metric_names() == tuple(metrics())
    names = TypeAdapter(MetricName)
    assert [names.validate_python(name) for name in metric_names()] == list(metric_names())
    with pytest.raises(ValidationError, match=MAIN.name):
        names.validate_python("iou")


def test_the_description_has_the_meaning_of_every_metric() -> None:
    parts = metric_choices().split("; ")
    assert parts == [f"{name}: {metric.meaning}" for name, metric in metrics().items()]
