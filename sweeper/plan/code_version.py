"""Versions of the code behind a result: which files are hashed, and which hashes are equivalent.

Syntax trees are hashed, so comments, docstrings and formatting do not count. Each file is read once
per process, when its hash is first needed. A worker that hashes a method's code before importing it
therefore knows which code it runs, even if the file is edited later.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[2]
"""The folder that contains both packages."""

VERSIONS_FILE = Path(__file__).with_name("code_versions.json")
"""Known hashes by version; `python -m sweeper.trial.golden` writes it."""

SCORING = "scoring"
"""Name of the scoring code in the versions file; all other names are those of method modules."""

_PACKAGE = "desam_model"
_SHARED = ("desam_model.types", "desam_model.slices", "desam_model.method")
_TRAINING_ROOM = "desam_model.training"
_SCORING_ROOM = "desam_model.scoring"
_TRAINING_BUILDERS = (
    "sweeper/factory.py",
    "sweeper/trial/cases.py",
    "sweeper/trial/train.py",
    "sweeper/store/dataset/views.py",
)
_SCORING_BUILDERS = ("sweeper/trial/scoring_settings.py",)


class Version(TypedDict):
    """One version of a piece of code.

    Attributes:
        hashes: Hashes of code that gives the same results.
        golden: SHA-256 of the golden results, by platform.
    """

    hashes: list[str]
    golden: dict[str, str]


@cache
def training_hash(module: str, root: Path = ROOT) -> str:
    """Hash (12 hex digits) of all code that affects the weights of a method.

    Args:
        module: The method's module.
        root: The folder that contains both packages.
    """
    return _hash(training_modules(module, root), _TRAINING_BUILDERS, root)


@cache
def scoring_hash(root: Path = ROOT) -> str:
    """Hash (12 hex digits) of all code that turns predictions into scores."""
    return _hash(scoring_modules(root), _SCORING_BUILDERS, root)


def training_modules(module: str, root: Path = ROOT) -> set[str]:
    """Modules of `desam_model` that affect the weights of a method."""
    roots = {module, *_SHARED, *_modules_in(_TRAINING_ROOM, root)}
    return _closure(roots, _SCORING_ROOM, root)


def scoring_modules(root: Path = ROOT) -> set[str]:
    """Modules of `desam_model` that affect scores."""
    roots = {*_SHARED, *_modules_in(_SCORING_ROOM, root)}
    return _closure(roots, _TRAINING_ROOM, root)


def training_version(module: str) -> str:
    """The version of a method's training code, such as `desam-1`; its hash if it is not known."""
    return _known(code_name(module), training_hash(module))


def scoring_version() -> str:
    """The version of the scoring code, such as `scoring-1`; its hash if it is not known."""
    return _known(SCORING, scoring_hash())


def code_name(module: str) -> str:
    """The name under which a method's training code is versioned."""
    return module.rpartition(".")[2]


def read_versions(path: Path = VERSIONS_FILE) -> dict[str, dict[str, Version]]:
    """Versions by name of the code, oldest first."""
    versions: dict[str, dict[str, Version]] = json.loads(path.read_text(encoding="utf-8"))
    return versions


@cache
def _known(name: str, code_hash: str) -> str:
    versions = read_versions().get(name, {})
    return next((v for v, known in versions.items() if code_hash in known["hashes"]), code_hash)


def _hash(modules: set[str], files: tuple[str, ...], root: Path) -> str:
    paths = {name: _file_of(name, root) for name in modules} | {f: root / f for f in files}
    digest = hashlib.sha256()
    for name, path in sorted(paths.items()):
        digest.update(f"{name}\0{_normalised_file(path)}\0".encode())
    return digest.hexdigest()[:12]


def _closure(roots: set[str], excluded: str, root: Path) -> set[str]:
    """The roots and all modules that they import, directly or not, at any place in a file."""
    modules: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in modules or f"{name}.".startswith(f"{excluded}."):
            continue
        modules.add(name)
        queue.extend(_imports(name, root))
        if "." in name:
            queue.append(name.rpartition(".")[0])  # importing a module runs its packages
    return modules


def _modules_in(package: str, root: Path) -> set[str]:
    folder = root.joinpath(*package.split("."))
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in folder.rglob("*.py")
    }


def _file_of(module: str, root: Path) -> Path:
    if not module.startswith(f"{_PACKAGE}.") and module != _PACKAGE:
        return _file_elsewhere(module)
    base = root.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _file_elsewhere(module: str) -> Path:
    """File of a module of another package that provides a method; the package is not imported."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"package {top!r} of method {module} is not installed; install it again"
        )
    if not rest:
        return Path(spec.origin)
    base = Path(spec.origin).parent.joinpath(*rest)
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _normalised_file(path: Path) -> str:
    return normalised(_parsed(path))


@cache
def _imports(module: str, root: Path) -> frozenset[str]:
    """Modules of the package that a module imports: at the top, in functions, for type checking."""
    names: set[str] = set()
    path = _file_of(module, root)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
    followed = (f"{_PACKAGE}.", f"{package[0] if package else module}.")
    return frozenset(n for n in names if n.startswith(followed) and _file_of(n, root).is_file())


def normalised(node: ast.AST) -> str:
    """A syntax tree as text without docstrings, identical for all Python versions.

    Empty fields are left out, because newer Python versions have fields that older ones lack.
    """
    parts = []
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            items = [item for item in value if not _is_docstring(item)]
            text = ",".join(normalised(i) if isinstance(i, ast.AST) else repr(i) for i in items)
            parts += [f"{name}=[{text}]"] if items else []
        elif isinstance(value, ast.AST):
            parts.append(f"{name}={normalised(value)}")
        elif value is not None or isinstance(node, ast.Constant):
            parts.append(f"{name}={value!r}")
    return f"{type(node).__name__}({','.join(parts)})"


def _is_docstring(node: object) -> bool:
    """True for an expression that is only a string, which affects nothing but documentation."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)
