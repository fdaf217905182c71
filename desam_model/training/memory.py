"""Peak memory of a training: of the GPU, or of the process on a CPU."""

from __future__ import annotations

import torch

from desam_model.training.process_memory import anonymous_bytes


class PeakMemory:
    """The highest memory use since construction.

    On CUDA the allocator records the peak; on a CPU every `sample()` reads the anonymous memory of
    the process.

    Args:
        device: Where the training runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._peak = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def sample(self) -> None:
        """Read the memory use; call it between forward and backward, where it is highest."""
        if self._device.type == "cpu":
            self._peak = max(self._peak, anonymous_bytes())

    def bytes(self) -> int:
        """The peak so far."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        return self._peak
