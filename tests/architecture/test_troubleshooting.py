"""Every heading of docs/troubleshooting.md is a text that the code prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADINGS = re.findall(r"^### `(.+)`$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)


def texts(tree: ast.AST) -> list[str]:
    """Every string of a module except docstrings; an inserted value is `…`."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [] if id(node) in docstrings else [node.value]
    return found


@pytest.fixture(scope="module")
def printed() -> list[str]:
    files = [file for name in ("sweeper", "desam_model") for file in (ROOT / name).rglob("*.py")]
    return [text for file in files for text in texts(ast.parse(file.read_text()))]


def test_the_page_has_the_likely_errors_once_each() -> None:
    assert len(HEADINGS) >= 25
    assert len(set(HEADINGS)) == len(HEADINGS)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_is_printed_by_the_code(heading: str, printed: list[str]) -> None:
    pattern = re.compile(".*?".join(map(re.escape, heading.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in printed), f"no error of the code says: {heading}"
