"""What the options of `sweeper report` do not do together is said, not passed over."""

from __future__ import annotations

import pytest

from sweeper.cli import cli
from sweeper.errors import ConfigError


@pytest.mark.parametrize("side", ["--statistics", "--costs"])
def test_rows_have_no_side_tables(side: str, tmp_path) -> None:
    words = ["--workspace", str(tmp_path), "report", "--format", "long", side]
    with pytest.raises(
        ConfigError, match="--format long prints rows, but --statistics and --costs are"
    ):
        cli.main(words, standalone_mode=False)
