"""What one training gets of a machine, and how many run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.engine.ray_tune import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.config.sweep import ResourcesConfig
    from sweeper.plan.expand import Training

_CPU_A_GPU_TRAINING = 4
_MEMORY_FLOOR = 2 * 1000**3  # torch and torchvision alone take 0.7 GB (engine.md rule 8)
_SHORT_SLICE_EPOCHS = 20_000  # on a small encoder's embeddings this is below a minute


def place(
    wanted: ResourcesConfig, cluster: Mapping[str, float], trainings: Sequence[Training]
) -> Placement:
    """One GPU a training where there is one, otherwise one core; what the space says comes first.

    Short trainings on a CPU share processes, so that torch is imported once a worker and not once
    a training; long ones and those on a GPU get a fresh process each (engine.md rule 10).
    """
    gpus, cpus = cluster.get("GPU", 0.0), cluster.get("CPU", 1.0)
    gpu = wanted.gpu if wanted.gpu is not None else (1.0 if gpus >= 1 else 0.0)
    if wanted.cpu is not None:
        cpu = wanted.cpu
    else:
        cpu = max(1, min(_CPU_A_GPU_TRAINING, int(cpus * gpu / gpus))) if gpu and gpus else 1
    by_gpu = int(gpus / gpu) if gpu else len(trainings)
    fitting = max(1, min(int(cpus / cpu), by_gpu, len(trainings)))
    memory = int(wanted.memory_gb * 1e9) if wanted.memory_gb else _default_memory(cluster, fitting)
    return Placement(
        cpu=cpu,
        gpu=gpu,
        memory_bytes=memory,
        max_concurrent=min(fitting, wanted.max_concurrent or fitting),
        shares_processes=not gpu and all(_is_short(t) for t in trainings),
    )


def _default_memory(cluster: Mapping[str, float], fitting: int) -> int:
    """An equal share of what Ray may hand out, never below the floor that torch needs."""
    share = int(cluster.get("memory", 0) * 0.9 / fitting)
    return max(share, _MEMORY_FLOOR)


def _is_short(training: Training) -> bool:
    slices = training.data.slices
    source = training.config.source
    n = slices.get(source, sum(slices.values()))
    return n * training.config.training.epochs <= _SHORT_SLICE_EPOCHS
