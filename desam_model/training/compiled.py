"""`torch.compile` for the parts of a method, on machines that can compile."""

from __future__ import annotations

import logging

import torch
from torch import nn

_log = logging.getLogger(__name__)


def compile_parts(method: nn.Module, device: torch.device) -> bool:
    """Compile the forward passes of the method's parts with `torch.compile`.

    The names and values of the weights do not change. Results change by rounding only. The first
    training step compiles, which takes seconds to minutes.

    Args:
        method: Changed in place.
        device: Where it will run: a CPU needs a C++ compiler, a GPU needs Triton.

    Returns:
        False if this machine cannot compile; a warning then gives the reason, and the method is
        left unchanged.
    """
    reason = why_not_compiled(device)
    if reason is not None:
        _log.warning(
            "compile is on, but torch.compile does not work on this machine (%s);"
            " training without it",
            reason,
        )
        return False
    for part in method.children():
        part.compile()
    return True


def why_not_compiled(device: torch.device) -> str | None:
    """The first line of torch.compile's error for a trivial function; None if it works."""
    try:
        torch.compile(_double)(torch.ones(8, device=device))
    except Exception as err:
        return f"{type(err).__name__}: {err}".splitlines()[0]
    return None


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * x
