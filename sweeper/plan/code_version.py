"""The version of the code behind a number: what is hashed, and which hashes mean the same numbers.

The hash covers syntax trees, so that comments, docstrings and layout do not count. A file is read
once per process, when its hash is first needed: a worker that asks before it imports a method
knows the code that it runs, even if the file is edited later.
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
"""The folder that holds both packages."""

VERSIONS_FILE = Path(__file__).with_name("code_versions.json")
"""Known hashes by version; `python -m sweeper.trial.golden` writes it."""

SCORING = "scoring"
"""Name of the scoring code among the versions; the others are named after a method's module."""

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
        hashes: Hashes of code that gives the same numbers.
        golden: SHA-256 of the golden results, by platform.
    """

    hashes: list[str]
    golden: dict[str, str]


@cache
def training_hash(module: str, root: Path = ROOT) -> str:
    """Hash (12 hex digits) of all code that shapes the weights of a method.

    Args:
        module: The method's module.
        root: The folder that holds both packages.
    """
    return _hash(training_modules(module, root), _TRAINING_BUILDERS, root)


@cache
def scoring_hash(root: Path = ROOT) -> str:
    """Hash (12 hex digits) of all code that turns predictions into scores."""
    return _hash(scoring_modules(root), _SCORING_BUILDERS, root)


def training_modules(module: str, root: Path = ROOT) -> set[str]:
    """Modules of `desam_model` that shape the weights of a method."""
    roots = {module, *_SHARED, *_modules_in(_TRAINING_ROOM, root)}
    return _closure(roots, _SCORING_ROOM, root)


def scoring_modules(root: Path = ROOT) -> set[str]:
    """Modules of `desam_model` that shape scores."""
    roots = {*_SHARED, *_modules_in(_SCORING_ROOM, root)}
    return _closure(roots, _TRAINING_ROOM, root)


def training_version(module: str) -> str:
    """The version of a method's training code, such as `desam-1`; the hash of unknown code."""
    return _known(code_name(module), training_hash(module))


def scoring_version() -> str:
    """The version of the scoring code, such as `scoring-1`; the hash of unknown code."""
    return _known(SCORING, scoring_hash())


def code_name(module: str) -> str:
    """The name under which a method's training code is versioned."""
    return module.rpartition(".")[2]


def read_versions(path: Path = VERSIONS_FILE) -> dict[str, dict[str, Version]]:
    """Versions by name of the code, oldest first."""
    found: dict[str, dict[str, Version]] = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def _known(name: str, code_hash: str) -> str:
    versions = read_versions().get(name, {})
    return next((v for v, known in versions.items() if code_hash in known["hashes"]), code_hash)


def _hash(modules: set[str], files: tuple[str, ...], root: Path) -> str:
    named = {name: _file_of(name, root) for name in modules} | {f: root / f for f in files}
    digest = hashlib.sha256()
    for name, path in sorted(named.items()):
        digest.update(f"{name}\0{normalised(_parsed(path))}\0".encode())
    return digest.hexdigest()[:12]


def _closure(roots: set[str], excluded: str, root: Path) -> set[str]:
    """Modules of the package that the roots import, wherever an import stands, and themselves."""
    found: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in found or f"{name}.".startswith(f"{excluded}."):
            continue
        found.add(name)
        queue.extend(_imports(name, root))
        if "." in name:
            queue.append(name.rpartition(".")[0])  # importing a module runs its packages
    return found


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
    """File of a module of another package, which brings a method; its package is not imported."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {top!r}, which holds the method {module}")
    if not rest:
        return Path(spec.origin)
    base = Path(spec.origin).parent.joinpath(*rest)
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(module: str, root: Path) -> set[str]:
    """Modules of the package that a module imports: at its top, in functions, for type checking."""
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
    return {n for n in names if n.startswith(followed) and _file_of(n, root).is_file()}


def normalised(node: ast.AST) -> str:
    """A syntax tree as text without docstrings, the same under every Python.

    Empty fields are left out: `ast.dump` prints those that only newer Pythons have.
    """
    parts = []
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            kept = [item for item in value if not _is_docstring(item)]
            text = ",".join(normalised(i) if isinstance(i, ast.AST) else repr(i) for i in kept)
            parts += [f"{name}=[{text}]"] if kept else []
        elif isinstance(value, ast.AST):
            parts.append(f"{name}={normalised(value)}")
        elif value is not None or isinstance(node, ast.Constant):
            parts.append(f"{name}={value!r}")
    return f"{type(node).__name__}({','.join(parts)})"


def _is_docstring(node: object) -> bool:
    """True for a string that stands alone, which no program can see but as documentation."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)
