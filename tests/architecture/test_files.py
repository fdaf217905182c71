from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from sweeper.cli import _COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of tracked files is unknown")
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.splitlines()


def test_no_weights_data_or_lock_files_are_tracked() -> None:
    forbidden = (".pth", ".pt", ".nii", ".nii.gz", ".npz", "uv.lock", ".db")
    assert [name for name in tracked() if name.endswith(forbidden)] == []


def test_the_names_that_hide_ideas_are_not_used() -> None:
    forbidden = {"utils.py", "common.py", "misc.py", "helpers.py"}
    assert [name for name in tracked() if Path(name).name in forbidden] == []


def test_the_cluster_file_is_what_rays_launcher_accepts() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    text = (ROOT / "ray_cluster.yaml").read_text()
    validate_config(prepare_config(yaml.safe_load(text)))
    broken = yaml.safe_load(text)
    broken["provider"]["worker_ips"] = "192.168.1.11"
    with pytest.raises(Exception, match=r"192\.168\.1\.11"):
        validate_config(prepare_config(broken))


def test_every_command_of_the_command_line_can_be_loaded_and_has_help() -> None:
    for name in _COMMANDS:
        command = cli.get_command(None, name)
        assert command is not None
        assert command.help
