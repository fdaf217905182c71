"""A written space is read as the same space."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.config.yaml_reader import parse_yaml, read_yaml, yaml_text

SPACES = Path(__file__).resolve().parents[4] / "search_spaces"


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_space_that_ships_is_written_as_it_is_read(path: Path) -> None:
    value = read_yaml(path).value
    assert parse_yaml(yaml_text(value)).value == value


def test_texts_stay_texts_and_numbers_numbers() -> None:
    texts = ["1e-4", "NO", "yes", "010", "1_000", "true", "null", "~", "", "12", ".5", "a: b", "é"]
    value = {"texts": texts, "numbers": [1e-4, 1e-05, 10, -3, 0.5], "rest": [True, None, {}, []]}
    assert parse_yaml(yaml_text(value)).value == value
