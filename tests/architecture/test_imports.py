from __future__ import annotations

import subprocess
import sys

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
    code = "import sweeper.pipeline.plan, sweeper.pipeline.status, sweeper.cli.plan_text"
    assert loaded_after(code, ("torch", "ray", "mlflow", "pandas")) == set()


def test_the_model_package_needs_no_sweep_machinery() -> None:
    code = "import desam_model.desam.desam, desam_model.training.fit, desam_model.scoring.evaluate"
    forbidden = ("sweeper", "ray", "mlflow", "zarr", "pydantic", "click", "yaml", "monai")
    assert loaded_after(code, forbidden) == set()
