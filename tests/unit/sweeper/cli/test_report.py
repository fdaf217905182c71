"""The formats and choices of `sweeper report` are those that the packages provide."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from desam_model.scoring.metric_table import metrics
from desam_model.scoring.protocol_table import PROTOCOLS
from sweeper.cli import cli
from sweeper.cli.report import ROW_FORMATS, TABLE_FORMATS, report
from sweeper.errors import ConfigError
from sweeper.report.formats.plain_table import PLAIN_RENDERERS
from sweeper.report.formats.registry import RENDERERS


def choices(name):
    (option,) = (param for param in report.params if param.name == name)
    return tuple(option.type.choices)


def test_every_format_of_tables_has_a_renderer_for_tables_and_for_side_tables():
    for format_ in set(TABLE_FORMATS) - {"terminal"}:
        assert format_ in RENDERERS
        assert format_ in PLAIN_RENDERERS
    assert set(choices("format_")) == {*TABLE_FORMATS, *ROW_FORMATS, "html"}


def test_protocols_and_metrics_are_those_of_the_scoring():
    assert choices("protocol") == tuple(PROTOCOLS)
    assert set(choices("metric")) == set(metrics())


@pytest.mark.parametrize("format_", ROW_FORMATS)
def test_side_tables_beside_rows_are_refused_with_the_formats_that_have_them(format_, tmp_path):
    arguments = ["--workspace", str(tmp_path), "report", "--format", format_, "--costs"]
    error = CliRunner().invoke(cli, arguments).exception
    assert isinstance(error, ConfigError)
    assert ", ".join(TABLE_FORMATS) in str(error)
