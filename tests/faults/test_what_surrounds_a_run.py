"""What happens around a run: its Ray dies, its group is signalled, its terminal is closed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SPACE = """
name: surrounded
trial:
  source: A-ISBI
  method: {name: desam}
  training: {epochs: EPOCHS}
report: {columns: source}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the phantom is made and embedded once."""
    return tmp_path_factory.mktemp("faults") / "workspace"


def child_of(driver: int, name: str) -> int:
    """Process id of the process with this name that a driver started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            called, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            if called == name and int(rest.split()[1]) == driver:
                found.append(int(stat.parent.name))
    (child,) = found
    return child


def exists(process: int) -> bool:
    """False also of a process that has ended and is not waited for."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


class Run:
    """A `sweeper run` in a group of its own, stopped in the middle of its one training."""

    def __init__(self, workspace: Path, epochs: int, **options: object) -> None:
        workspace.mkdir(exist_ok=True)
        space = workspace / f"space{epochs}.yaml"
        space.write_text(SPACE.replace("EPOCHS", str(epochs)))
        before = set(workspace.glob("trainings/*"))
        words = ["-m", "sweeper.cli", "--workspace", str(workspace), "run", str(space)]
        self.process = subprocess.Popen(
            [sys.executable, *words],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
        )
        self._wait(lambda: any((f / "last.pt").exists() for f in self._new(workspace, before)))
        (self.folder,) = self._new(workspace, before)
        self.raylet = child_of(self.process.pid, "raylet")

    def _wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 200
        while not holds():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    @staticmethod
    def _new(workspace: Path, before: set[Path]) -> set[Path]:
        return set(workspace.glob("trainings/*")) - before


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "title", "epochs"),
    [
        ("raylet", "raylet", 60),
        pytest.param("gcs_server", "control service (GCS)", 62, marks=pytest.mark.slow),
    ],
)
def test_a_dead_ray_process_is_replaced_and_the_training_resumes(
    workspace: Path, name: str, title: str, epochs: int
) -> None:
    run = Run(workspace, epochs)
    os.kill(child_of(run.process.pid, name), signal.SIGKILL)
    out, err = run.process.communicate(timeout=240)
    assert run.process.returncode == 0, out + err
    assert out.count(f"Ray's {title} has died; restarting Ray") == 1
    assert "(raylet)" not in out + err
    fit = json.loads((run.folder / "fit.json").read_text())
    assert [epoch["epoch"] for epoch in fit["epochs"]] == list(range(epochs))
    assert not exists(run.raylet)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_without_a_restart_left_a_dead_raylet_ends_the_run(workspace: Path) -> None:
    run = Run(workspace, 3002, env={**os.environ, "SWEEPER_RAY_RESTARTS": "2"})
    os.kill(run.raylet, signal.SIGKILL)
    out, err = run.process.communicate(timeout=60)
    assert run.process.returncode == 5, out + err
    assert "Ray's raylet has died, and no restart is left; run the same command to resume" in out


@pytest.mark.slow
def test_a_signal_to_the_whole_group_is_orderly_too(workspace: Path) -> None:
    run = Run(workspace, 3000, start_new_session=True)
    os.killpg(run.process.pid, signal.SIGTERM)
    out, err = run.process.communicate(timeout=90)
    assert run.process.returncode == 143, out + err
    assert "run the same command again to resume" in err
    assert not exists(run.raylet)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_closed_terminal_does_not_end_a_run(workspace: Path) -> None:
    ours, theirs = pty.openpty()
    is_open = threading.Event()
    reader = threading.Thread(target=read_until_closed, args=(ours, is_open))
    reader.start()
    run = Run(
        workspace,
        61,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),  # its terminal
    )
    os.close(theirs)
    is_open.set()
    reader.join()
    os.close(ours)  # the kernel sends SIGHUP
    assert run.process.wait(240) == 0
    assert (run.folder / "fit.json").is_file()
    assert (run.folder / "log.txt").read_text().count("--- ") == 1


def read_until_closed(terminal: int, closed: threading.Event) -> None:
    """What nobody reads from a terminal stops who writes to it."""
    while not closed.is_set():
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 4096)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_second_run_of_the_same_space_leaves_it_to_the_first_and_says_so(workspace: Path) -> None:
    first = Run(workspace, 3001)
    second = subprocess.run(first.process.args, capture_output=True, text=True, timeout=300)
    first.process.send_signal(signal.SIGTERM)
    first.process.communicate(timeout=90)
    assert second.returncode == 4, second.stdout + second.stderr
    assert "1 training left: another run is at work on it" in second.stderr
