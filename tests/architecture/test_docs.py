from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sweeper.cli import cli
from sweeper.cli.command_reference import reference
from sweeper.config.reference import json_schema, reference_markdown
from sweeper.config.yaml_reader import parse_yaml, read_yaml
from sweeper.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_of_search_spaces_is_made_from_the_models() -> None:
    page = (ROOT / "docs" / "search-spaces.md").read_text()
    assert page == reference_markdown(), "run: sweeper schema --markdown > docs/search-spaces.md"


def test_the_reference_of_commands_is_made_from_the_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    assert page == reference(cli) + "\n", "run: sweeper commands > docs/commands.md"


def test_the_citation_and_the_changelog_have_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_schema_allows_a_searched_value_where_a_constant_stands() -> None:
    schema = json_schema()
    source = schema["$defs"]["Trial"]["properties"]["source"]
    assert {"$ref": "#/$defs/Searched"} in source["anyOf"]
    assert "required" not in schema["$defs"]["Trial"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda p: p.name
)
def test_every_space_that_ships_satisfies_the_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(read_yaml(path).value, json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "name: t\ntrial: {sed: 1}",
        "name: t\ntrial: {training: {lr: {loguniforn: [1, 2]}}}",
        "name: t\ntrial: {method: {name: dsam}}",
        "name: t\ntrial: {}\nsearch: {algorithm: bayes}",
        "name: t\ntrial: {}\nblocks: [{trial: {sed: 1}}]",
        "name: t\ntrial: {}\ntoggles: {options: {a: {training: {epoch: 5}}}}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse_yaml(text).value, json_schema())


def test_every_option_of_every_method_is_in_the_reference() -> None:
    page = reference_markdown()
    for word in ("loss_weights", "`iou`", "`width`", "grace_epochs", "reduction", "accumulate"):
        assert word in page


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"


def test_every_test_that_a_page_names_is_there() -> None:
    named = [
        pair
        for page in sorted((ROOT / "docs").glob("*.md"))
        for pair in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text())
    ]
    assert named
    missing = [pair for pair in named if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()]
    assert missing == []
