"""One domain, several, or an axis: what `source:` may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.config.sources import ALL, AXES, axis_of, domains_in, joined
from sweeper.config.sweep import check_sweep
from sweeper.config.trial import SITES, TrialConfig
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import ConfigError


def sources(written: str) -> list[str]:
    text = f"name: t\ntrial:\n  source: {written}\n  method: {{name: desam}}\n"
    return [trial.source for trial in check_sweep(parse_yaml(text, Path("s.yaml"))).trials]


def test_a_list_is_one_source_and_a_grid_is_one_each() -> None:
    assert sources("[A, B]") == ["A+B"]
    assert sources("[A]") == sources("A") == ["A"]
    assert sources("{grid: [A, [A, B], C]}") == ["A", "A+B", "C"]
    assert domains_in("A+B") == ("A", "B")
    assert domains_in(ALL, ("A", "B", "C")) == ("A", "B", "C")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[]", r"s\.yaml:3: trial\.source: is \[\], expected the names"),
        ("[A, 1]", r"is \['A', 1\], expected the names"),
        ("[A, B, A]", "names A twice; remove one"),
        ("[A, all]", "names all beside other domains"),
        ("{grid: site}", r"source\.grid: is 'site', expected a list .*, or sites or leave_one_out"),
        ("{choice: sites}", "is 'sites', expected a list with at least one value$"),
    ],
)
def test_a_wrong_source_says_what_is_allowed(written: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sources(written)


def test_only_a_source_is_an_axis_over_the_domains() -> None:
    with pytest.raises(ConfigError, match=r"trial\.seed\.grid: is 'sites', expected a list"):
        check_sweep(
            parse_yaml("name: t\ntrial: {source: A, seed: {grid: sites}, method: {name: desam}}\n")
        )


def test_an_axis_waits_for_the_dataset() -> None:
    (waiting,) = sources("{grid: leave_one_out}")
    axis = axis_of(waiting)
    assert axis is AXES["leave_one_out"]
    assert axis.sources(("A", "B", "C")) == ("B+C", "A+C", "A+B")
    assert axis.sources(("A", "B")) == ("B", "A")
    assert AXES["sites"].sources(SITES) == SITES
    assert axis_of("A+B") is None


def test_a_source_of_several_domains_survives_its_json() -> None:
    config = TrialConfig(source=["A", "B"], method={"name": "unet"})
    again = TrialConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.source == joined(["A", "B"])
    assert "A+B" in config.name()
