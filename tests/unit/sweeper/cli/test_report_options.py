"""What the options of `sweeper report` do not do together is said, not passed over."""

from __future__ import annotations

from typing import get_args

import click
import pytest

from sweeper.cli import cli
from sweeper.config.report import Undefined
from sweeper.errors import ConfigError, TrackingError


@pytest.mark.parametrize("side", ["--statistics", "--costs"])
def test_rows_have_no_side_tables(side: str, tmp_path) -> None:
    words = ["--workspace", str(tmp_path), "report", "--format", "long", side]
    with pytest.raises(
        ConfigError, match="--format long prints rows, but --statistics and --costs are"
    ):
        cli.main(words, standalone_mode=False)


def test_every_rule_of_a_space_for_undefined_cases_is_an_option_of_the_command(tmp_path) -> None:
    words = ["--workspace", str(tmp_path), "report", "--undefined"]
    for rule in get_args(Undefined):
        with pytest.raises(TrackingError):  # accepted; there is only nothing to report
            cli.main([*words, rule], standalone_mode=False)


@pytest.mark.parametrize(
    "words", [["--label", "tab:x"], ["--caption", "short"], ["--drop", "delta"], ["--standalone"]]
)
def test_options_of_latex_are_refused_with_another_format(words: list[str], tmp_path) -> None:
    with pytest.raises(ConfigError, match=f"{words[0]}: only for LaTeX, but the format is csv"):
        cli.main(
            ["--workspace", str(tmp_path), "report", "--format", "csv", *words],
            standalone_mode=False,
        )


def test_several_metrics_are_for_tables_and_each_must_exist(tmp_path) -> None:
    words = ["--workspace", str(tmp_path), "report", "--metric"]
    with pytest.raises(TrackingError):  # accepted; there is only nothing to report
        cli.main([*words, "dice,hd95_mm"], standalone_mode=False)
    with pytest.raises(click.BadParameter, match="'hd96' is not one of dice, hd95_mm"):
        cli.main([*words, "dice,hd96"], standalone_mode=False)
    with pytest.raises(ConfigError, match="--metric dice,hd95_mm: several metrics are for"):
        cli.main([*words, "dice,hd95_mm", "--format", "html"], standalone_mode=False)
