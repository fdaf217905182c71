from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweeper.config.reference import json_schema, reference_markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_of_search_spaces_is_made_from_the_models() -> None:
    page = (ROOT / "docs" / "search-spaces.md").read_text()
    assert page == reference_markdown(), "run: sweeper schema --markdown > docs/search-spaces.md"


def test_the_schema_allows_a_searched_value_where_a_constant_stands() -> None:
    schema = json_schema()
    source = schema["$defs"]["Trial"]["properties"]["source"]
    assert {"$ref": "#/$defs/Searched"} in source["anyOf"]
    assert "required" not in schema["$defs"]["Trial"]


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"
