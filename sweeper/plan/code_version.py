"""The version of the code that makes a number: a hash that comments and layout do not change."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

_PACKAGE = "desam_model"


@cache
def code_version(*modules: str) -> str:
    """Hash (12 hex digits) of the code of modules and of all they import from `desam_model`.

    Comments, docstrings and formatting do not enter, so that tidying up makes nothing stale.
    """
    digest = hashlib.sha256()
    for name in sorted(_closure(modules)):
        digest.update(name.encode() + b"\0" + _normalised(_file_of(name)).encode() + b"\0")
    return digest.hexdigest()[:12]


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        queue.extend(_imports(_file_of(name)))
    return found


def _file_of(module: str) -> Path:
    root = importlib.util.find_spec(_PACKAGE)
    if root is None or root.submodule_search_locations is None:
        raise ModuleNotFoundError(f"package {_PACKAGE} is not installed")
    base = Path(root.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, those for type checking left out."""
    names: set[str] = set()
    tree = _parsed(path)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(id(child) for child in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{a.name}" for a in node.names)
    return {n for n in names if n.startswith(f"{_PACKAGE}.") and _file_of(n).is_file()}


def _normalised(path: Path) -> str:
    """The syntax tree as text, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body.pop(0)
    return ast.dump(tree)
