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


CLUSTER_FILES = ("ray_cluster.yaml", "docs/cluster/aws.yaml")


@pytest.mark.parametrize("name", CLUSTER_FILES)
def test_the_cluster_files_are_what_rays_launcher_accepts(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(yaml.safe_load((ROOT / name).read_text())))


def test_rays_launcher_refuses_a_cluster_file_with_a_mistake() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    broken = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    broken["provider"]["worker_ips"] = "192.168.1.11"
    with pytest.raises(Exception, match=r"192\.168\.1\.11"):
        validate_config(prepare_config(broken))


def test_the_slurm_file_is_a_script_that_bash_can_read() -> None:
    done = subprocess.run(
        ["bash", "-n", str(ROOT / "docs/cluster/slurm.sh")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_kubernetes_file_is_a_ray_job_whose_pods_all_mount_the_workspace() -> None:
    job = yaml.safe_load((ROOT / "docs/cluster/rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    workspace = Path(spec["entrypoint"].split()[2])
    for group in groups:
        pod = group["template"]["spec"]
        mounted = {v["name"] for v in pod["volumes"]}
        for container in pod["containers"]:
            (mount,) = container["volumeMounts"]
            assert mount["name"] in mounted
            assert workspace.is_relative_to(mount["mountPath"])


def test_the_entry_points_of_the_cluster_files_are_real_command_lines() -> None:
    from sweeper.cli.run import run

    words = yaml.safe_load((ROOT / "docs/cluster/rayjob.yaml").read_text())["spec"]["entrypoint"]
    assert words.split()[0] == "sweeper"
    context = run.make_context("run", words.split()[4:])
    assert context.params["address"] == "auto"


def test_every_command_of_the_command_line_can_be_loaded_and_has_help() -> None:
    for name in _COMMANDS:
        command = cli.get_command(None, name)
        assert command is not None
        assert command.help
