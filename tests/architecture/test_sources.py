"""Provenance: every citation of docs/sources.md finds an entry, and every entry is cited."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/sources.md"
CITING = (".py", ".md", ".yaml")

ENTRY = re.compile(r"^### S(\d+)\. ", re.MULTILINE)
CITATION = re.compile(r"sources\.md`?\s+(S\d+(?:,\s+S\d+)*)")
NUMBERED = re.compile(
    r"""\b(?P<page>[\w-]+)\.md`?                 # a page
        [\s#"',]+                                # a space, or where a comment or string is broken
        (?:(?:section|rule|row|step)\s+["\w]|§|\d+(?:\.\d+)*\b)""",
    re.VERBOSE,
)


def texts() -> dict[str, str]:
    """Path -> content of every tracked file that may cite, a broken line's marks taken out."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of tracked files is unknown")
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    paths = [name for name in done.stdout.splitlines() if name.endswith(CITING)]
    return {name: (ROOT / name).read_text() for name in paths if (ROOT / name).exists()}


def entries(page: str) -> list[int]:
    return [int(number) for number in ENTRY.findall(page)]


def cited(text: str) -> set[int]:
    """Numbers of the entries that a text cites."""
    return {int(n) for ids in CITATION.findall(text) for n in re.findall(r"\d+", ids)}


def numbered_citations(text: str) -> list[str]:
    """Citations of a page by a number: only sources.md has entries with numbers."""
    return [match.group() for match in NUMBERED.finditer(text)]


def test_the_entries_are_numbered_once_each_and_ascend() -> None:
    numbers = entries((ROOT / PAGE).read_text())
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


def test_every_entry_says_where_it_comes_from_and_how_sure_it_is() -> None:
    for entry in ENTRY.split((ROOT / PAGE).read_text())[2::2]:
        assert "\n- Source: " in entry, entry
        assert "\n- How sure: " in entry, entry


def test_every_citation_leads_to_an_entry() -> None:
    there = set(entries((ROOT / PAGE).read_text()))
    lost = {name: sorted(cited(text) - there) for name, text in texts().items()}
    assert {name: numbers for name, numbers in lost.items() if numbers} == {}


def test_every_entry_is_cited() -> None:
    everywhere = set().union(*(cited(text) for name, text in texts().items() if name != PAGE))
    assert [n for n in entries((ROOT / PAGE).read_text()) if n not in everywhere] == []


def test_no_file_cites_a_document_that_is_not_in_the_repository() -> None:
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = {name: numbered_citations(text) for name, text in texts().items() if name != own}
    assert {name: citations for name, citations in found.items() if citations} == {}


@pytest.mark.parametrize(
    "text",
    [
        "released values (notes.md 1.4)",
        'Source: `notes.md` 0.4, row "size".',
        'as `facts.md`, row "size"',
        "from its checkpoint (runtime.md rule 7)",
        '"50 of 2000, notes.md"\n        " 5.3"',
        "notes.md section 3",
    ],
)
def test_a_numbered_citation_is_found(text: str) -> None:
    assert numbered_citations(text)


@pytest.mark.parametrize(
    "text",
    [
        "released values (sources.md S19)",
        "Nesterov (sources.md S28, S29)",
        "[notes.md](notes.md#on-real-volumes)",
        "docs/notes.md says what",
        "measured in [benchmarks.md](benchmarks.md)",
    ],
)
def test_a_page_of_the_repository_or_an_entry_is_not_taken_for_one(text: str) -> None:
    assert not numbered_citations(text)
