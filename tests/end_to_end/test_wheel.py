"""The wheel installs with plain pip into an empty environment, and works there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.version import __version__

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has nothing but the wheel."""
    root = tmp_path_factory.mktemp("wheel")
    assert run(sys.executable, "-m", "venv", "empty", cwd=root).returncode == 0
    programs = root / "empty" / "bin"
    probe = run(programs / "pip", "download", "--no-deps", "hatchling", "-d", "probe", cwd=root)
    if probe.returncode:
        pytest.skip("no package index can be reached, and an installation needs one")
    for words in (("wheel", "--no-deps", "-w", "dist", ROOT), ("install", "--find-links", "dist")):
        wheels = list((root / "dist").glob("*.whl")) if words[0] == "install" else []
        done = run(programs / "pip", "--quiet", *words, *wheels, cwd=root)
        assert done.returncode == 0, done.stderr
    return programs


def test_the_wheel_has_both_packages_and_their_files(programs: Path, tmp_path: Path) -> None:
    code = (
        "import sweeper, desam_model, pathlib; root = pathlib.Path(sweeper.__file__).parent;"
        " print(root.parent == pathlib.Path(desam_model.__file__).parent.parent,"
        " (root / 'plan/code_versions.json').is_file(), (root / 'py.typed').is_file(),"
        " len(list((root / 'report/published').glob('*.yaml'))) > 0)"
    )
    done = run(programs / "python", "-c", code, cwd=tmp_path)
    assert done.stdout.split() == ["True"] * 4, done.stderr
    assert str(ROOT) not in done.stdout


def test_the_installed_program_runs_the_smoke_space(programs: Path, tmp_path: Path) -> None:
    said = run(programs / "sweeper", "--version", cwd=tmp_path)
    assert said.stdout.splitlines()[0] == f"sweeper, version {__version__}"
    done = run(programs / "sweeper", "run", ROOT / "search_spaces/smoke.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SYNTHETIC" in done.stdout
    assert "1 done" in done.stdout
