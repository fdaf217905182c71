"""What the bits of a result depend on besides code and data, and the digest of weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from desam_model.training.state import Weights


@cache
def platform_key() -> str:
    """Everything besides the code that affects bits: processor, vector instructions, versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor()
    vectors = torch.backends.cpu.get_cpu_capability()
    versions = (f"{p} {importlib.metadata.version(p)}" for p in ("torch", "numpy", "scipy"))
    return f"{platform.machine()}, {cpu}, {vectors}; {', '.join(versions)}"


def machine(device: torch.device) -> Mapping[str, str]:
    """Platform, threads and device of this process, under which equal inputs give equal bits."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "platform": platform_key(),
        "threads": str(torch.get_num_threads()),
        "device": name,
    }


def add_weights(digest: hashlib._Hash, weights: Weights) -> None:
    """Add named tensors to a digest, which then does not depend on the file that they are in."""
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())


def weights_digest(weights: Weights) -> str:
    """SHA-256 of named tensors."""
    digest = hashlib.sha256()
    add_weights(digest, weights)
    return digest.hexdigest()
