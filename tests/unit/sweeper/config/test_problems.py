"""Validation errors become one line: file, line, key, problem, allowed values."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sweeper.config.problems import explain, members, nearest
from sweeper.config.yaml_reader import parse_yaml


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Literal["dog"] = "dog"
    tricks: tuple[str, ...] = ()


class Home(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pet: Cat | Dog = Field(discriminator="name")
    street: str
    number: float = 1.0


def message(text: str) -> str:
    document = parse_yaml(text)
    with pytest.raises(ValidationError) as caught:
        Home.model_validate(document.value)
    return explain(caught.value, Home, document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pet: {name: cat}\nstreet: a\nnumber: b\n", "<memory>:3: number: is 'b', expected a num"),
        ("pet: {name: cat}\nstret: a\n", "<memory>:2: stret: unknown key (did you mean 'street'?)"),
        ("pet:\n  name: cat\n  lives: x\nstreet: a\n", "<memory>:3: pet.lives: is 'x', expected a"),
        ("pet: {name: cow}\nstreet: a\n", "<memory>:1: pet.name: is 'cow', expected 'cat', 'dog'"),
        ("pet: {lives: 3}\nstreet: a\n", "<memory>:1: pet.name: is missing"),
        ("pet: {name: cat}\n", "<memory>:1: street: is missing; add it"),
    ],
)
def test_an_error_names_line_key_problem_and_allowed_values(text: str, expected: str) -> None:
    assert message(text).startswith(expected)


def test_an_option_of_another_member_of_the_union_is_recognised() -> None:
    line = message("pet: {name: cat, tricks: [sit]}\nstreet: a\n")
    assert "'tricks' is an option of dog" in line
    assert "allowed here: lives, name" in line


def test_unknown_keys_come_first_and_the_number_of_other_errors_last() -> None:
    line = message("pet: {name: cat}\nnumber: b\nstret: a\n")  # street is missing, too
    assert line.startswith("<memory>:3: stret: unknown key")
    assert line.endswith("(and 2 more)")


def test_a_list_gets_the_hint_how_to_search_several_values() -> None:
    line = message("pet: {name: cat}\nstreet: a\nnumber: [1, 2]\n")
    assert "to try several values write {grid: [...]}" in line


def test_a_similar_word_is_suggested_and_a_different_one_is_not() -> None:
    assert nearest("epochz", ["epochs", "seed"]) == " (did you mean 'epochs'?)"
    assert nearest("qqq", ["epochs", "seed"]) == ""


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [(Cat, [Cat]), (Cat | None, [Cat]), (tuple[Cat | Dog, ...], [Cat, Dog]), (int, [])],
)
def test_models_are_found_inside_unions_and_tuples(annotation: Any, expected: list[type]) -> None:
    assert members(annotation) == expected
