"""Write the versions of the current uv.lock into pyproject.toml as constraints, without any host.

Run by `make pin` after `uv lock --upgrade`; uv reads them whenever it resolves, so that a fresh
checkout gets the versions that CI has tested.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = "constraint-dependencies = ["


def main() -> None:
    """Replace the list of constraints in pyproject.toml."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    by_name: dict[str, set[str]] = {}
    for package in packages:
        by_name.setdefault(package["name"], set()).add(package.get("version", ""))
    # a package with two versions (one a platform) is left to the resolver
    pins = [
        f'    "{n}=={v.pop()}",'
        for n, v in sorted(by_name.items())
        if len(v) == 1 and n != "sweeper"
    ]
    path = ROOT / "pyproject.toml"
    text = path.read_text()
    block = "\n".join([HEAD, *pins, "]"])
    pattern = re.compile(re.escape(HEAD) + r".*?^\]", re.DOTALL | re.MULTILINE)
    if not pattern.search(text):
        text = (
            text.rstrip()
            + "\n\n[tool.uv]\n# Made by `make pin`: the versions that CI has tested.\n"
            + block
            + "\n"
        )
    path.write_text(pattern.sub(lambda _: block, text))


if __name__ == "__main__":
    main()
