from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("desam_model", "sweeper")

HEAVY = ("torch", "ray", "mlflow", "zarr", "pandas", "monai", "matplotlib", "pydantic", "rich")


def loaded_after(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of the modules a fresh interpreter has loaded after running the code."""
    probe = f"{code}\nimport sys\nprint('loaded', *[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_imports_nothing_heavy() -> None:
    code = "import click.testing as t, sweeper.cli as c; t.CliRunner().invoke(c.cli, ['--help'])"
    assert loaded_after(code, HEAVY) == set()


def test_a_search_space_is_checked_without_torch_ray_or_mlflow() -> None:
    code = "import sweeper.config.sweep, sweeper.plan.expand, sweeper.plan.states"
    assert loaded_after(code, ("torch", "ray", "mlflow", "zarr", "pandas")) == set()


def test_plan_and_status_need_no_torch_ray_or_mlflow() -> None:
    code = "import sweeper.pipeline.plan, sweeper.pipeline.status, sweeper.cli.terminal.plan_text"
    assert loaded_after(code, ("torch", "ray", "mlflow", "pandas")) == set()


def test_what_the_driver_shares_with_workers_needs_no_torch() -> None:
    code = "import sweeper.trial.worker, sweeper.locks"
    assert loaded_after(code, ("torch", "ray", "mlflow", "zarr")) == set()


def test_the_model_package_needs_no_sweep_machinery() -> None:
    code = "import desam_model.desam.desam, desam_model.training.fit, desam_model.scoring.evaluate"
    forbidden = ("sweeper", "ray", "mlflow", "zarr", "pydantic", "click", "yaml", "monai")
    assert loaded_after(code, forbidden) == set()


def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """Names a file imports anywhere: at its top, inside functions, for type checking."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_there_is_no_import_circle_not_even_for_types_or_inside_functions() -> None:
    paths = modules()
    # importing a module of a package names the package too, which is no use of its content
    graph = {
        name: {
            other
            for other in imported(path) & set(paths)
            if other != name and not name.startswith(f"{other}.")
        }
        for name, path in paths.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_a_planted_circle_is_found() -> None:
    from graphlib import CycleError

    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def test_no_folder_holds_more_modules_than_a_person_can_survey() -> None:
    sizes = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    assert {str(folder): n for folder, n in sizes.items() if n > 20} == {}
