"""What one training gets of a machine, and how many run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.errors import ResourceError
from sweeper.plan.identity import canonical_json
from sweeper.records import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeper.config.sweep import ResourcesConfig
    from sweeper.plan.expand import Training
    from sweeper.store.ledger import TrainingFolder

CUDA_CONTEXT_BYTES = 500_000_000
"""What each process pays on a GPU before its first tensor (sources.md S57)."""
_CPU_A_GPU_TRAINING = 4
_MEMORY_FLOOR = 2 * 1000**3  # torch and torchvision alone take 0.7 GB (sources.md S52)
_SHORT_SLICE_EPOCHS = 20_000  # on a small encoder's embeddings this is below a minute


def place(
    wanted: ResourcesConfig, cluster: Mapping[str, float], trainings: Sequence[Training]
) -> Placement:
    """One GPU a training where there is one, otherwise one core; what the space says comes first.

    Short trainings on a CPU share processes, so that torch is imported once a worker and not once
    a training; long ones and those on a GPU get a fresh process each (sources.md S52).
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
        hang_s=60 * wanted.hang_minutes,
    )


def _default_memory(cluster: Mapping[str, float], fitting: int) -> int:
    """An equal share of what Ray may hand out, never below the floor that torch needs."""
    share = int(cluster.get("memory", 0) * 0.9 / fitting)
    return max(share, _MEMORY_FLOOR)


def _is_short(training: Training) -> bool:
    return training.n_source_slices * training.config.training.epochs <= _SHORT_SLICE_EPOCHS


def check_packing(placement: Placement, peak_bytes: float, card_bytes: float) -> None:
    """Refuse a fraction of a GPU that a training, as it was measured, does not fit into.

    Args:
        placement: What each training gets.
        peak_bytes: Highest device memory measured on trainings of these kinds; 0: not known.
        card_bytes: Memory of the smallest GPU; 0: not known.

    Raises:
        ResourceError: The packing cannot fit; says how many trainings do.
    """
    if not 0 < placement.gpu < 1 or not peak_bytes or not card_bytes:
        return
    need = peak_bytes + CUDA_CONTEXT_BYTES
    if need <= placement.gpu * card_bytes:
        return
    fitting = max(1, int(card_bytes / need))
    raise ResourceError(
        f"resources.gpu is {placement.gpu:g}, which packs {int(1 / placement.gpu)} trainings on a"
        f" GPU of {card_bytes / 1e9:.1f} GB, and such a training was measured at"
        f" {peak_bytes / 1e9:.1f} GB (+ {CUDA_CONTEXT_BYTES / 1e9:.1f} GB for CUDA itself):"
        f" {fitting} fits; --set resources.gpu={1 / fitting:.2g}, or split the batches with"
        " --set training.accumulate=2"
    )


def measured_gpu_peak(trainings: Sequence[Training], ledger: Iterable[TrainingFolder]) -> float:
    """Highest device memory of finished trainings of the same method, batch and precision."""
    wanted = {_memory_kind(t.config.model_dump(mode="json")) for t in trainings}
    peak = 0.0
    for folder in ledger:
        fit, description = folder.fit(), folder.config()
        if fit is None or description is None or fit.get("device", "cpu") == "cpu":
            continue
        if _memory_kind(description["config"]) in wanted:
            peak = max(peak, float(fit["peak_memory_bytes"]))
    return peak


def _memory_kind(config: Mapping[str, Any]) -> str:
    """Trainings that need equal memory: the method, its batch as it is split, the encoder."""
    training = config["training"]
    names = ("batch_size", "accumulate", "precision")
    split = [training.get(name) for name in names]
    encoder = config["encoder"]
    return canonical_json([config["method"], split, encoder["name"], encoder.get("pool", 1)])
