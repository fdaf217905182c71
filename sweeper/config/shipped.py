"""The search spaces that ship with the package, by name: `ablation` is `ablation.yaml`."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces")
"""Inside the installed package, or beside it in a checkout."""


def shipped_spaces() -> dict[str, Path]:
    """Name -> file of every shipped space."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def space_file(path: Path) -> Path:
    """The file itself; if there is none, the shipped space of that name."""
    if len(path.parts) > 1 or path.exists():
        return path
    return shipped_spaces().get(path.name, path)
