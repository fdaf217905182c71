from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from sweeper.config.methods import MethodConfig
from sweeper.plan.code_version import SCORING, Version, read_versions
from sweeper.trial.bits import platform_key
from sweeper.trial.golden import enter, golden_results, golden_trials, same_numbers

if TYPE_CHECKING:
    from collections.abc import Callable


def versions() -> dict[str, Version]:
    return {
        "unet-1": Version(hashes=["a"], golden={"here": "1", "there": "8"}),
        "unet-2": Version(hashes=["b", "c"], golden={"here": "2", "there": "9"}),
    }


def gives(result: str) -> Callable[[], str]:
    return lambda: result


@pytest.mark.parametrize(("golden", "version"), [("2", "unet-2"), ("1", "unet-1")])
def test_new_code_with_equal_numbers_joins_their_version(golden: str, version: str) -> None:
    known = versions()
    words, is_known = enter("unet", known, "d", "here", gives(golden))
    assert is_known
    assert words == f"unet: code d gives the same numbers as {version}"
    assert known[version]["hashes"][-1] == "d"
    assert list(known) == ["unet-1", "unet-2"]


def test_new_code_with_other_numbers_is_the_next_version_and_says_what_changed() -> None:
    known = versions()
    words, is_known = enter("unet", known, "d", "here", gives("3"))
    assert is_known
    assert known["unet-3"] == Version(hashes=["d"], golden={"here": "3"})
    assert words == (
        "unet: code d gives other numbers than unet-2 (golden 2 -> 3): it is unet-3, and"
        " results of unet-2 are stale"
    )


def test_what_cannot_be_compared_on_this_machine_is_said_and_entered_on_request_only() -> None:
    known = versions()
    words, is_known = enter("unet", known, "d", "elsewhere", gives("2"))
    assert not is_known
    assert known == versions()
    assert "cannot be compared with unet-2 here" in words
    assert "recorded on here; or there; this is elsewhere" in words
    _, is_known = enter("unet", known, "d", "elsewhere", gives("2"), is_new=True)
    assert is_known
    assert known["unet-3"]["hashes"] == ["d"]


def test_known_code_records_its_numbers_on_another_machine() -> None:
    known = versions()
    assert enter("unet", known, "c", "elsewhere", gives("5"))[1]
    assert known["unet-2"]["golden"]["elsewhere"] == "5"
    words, is_known = enter("unet", known, "d", "elsewhere", gives("5"))
    assert is_known
    assert words.endswith("same numbers as unet-2")


def test_known_code_that_gives_other_numbers_than_recorded_is_told() -> None:
    known = versions()
    words, is_known = enter("unet", known, "b", "here", gives("7"))
    assert not is_known
    assert "something outside the hashed code" in words
    assert known == versions()


def test_results_that_were_added_later_are_recorded_with_the_equal_version() -> None:
    known = {"scoring-1": Version(hashes=["a"], golden={"here": "12"})}
    enter("scoring", known, "b", "here", gives("12 34"))
    assert known == {"scoring-1": Version(hashes=["a", "b"], golden={"here": "12 34"})}
    enter("scoring", known, "c", "here", gives("12 35"))
    assert list(known) == ["scoring-1", "scoring-2"]
    assert not same_numbers("12", "123")


@pytest.mark.parametrize("name", golden_results())
def test_the_code_at_hand_is_known(name: str) -> None:
    code_hash, _ = golden_results()[name]
    known = [h for version in read_versions()[name].values() for h in version["hashes"]]
    assert code_hash in known, "run: uv run python -m sweeper.trial.golden"
    assert len(known) == len(set(known))


def test_every_method_has_a_golden_training() -> None:
    tags = TypeAdapter(MethodConfig).json_schema()["discriminator"]["mapping"]
    assert {trial.method.name for trial in golden_trials()} == set(tags)


@pytest.mark.parametrize("name", [SCORING, "unet"])
def test_golden_results_are_those_recorded(name: str) -> None:
    newest = list(read_versions()[name].values())[-1]
    recorded = newest["golden"].get(platform_key())
    if recorded is None:
        pytest.skip(f"golden results of {name} are not recorded for {platform_key()}")
    _, result = golden_results()[name]
    assert result() == recorded
