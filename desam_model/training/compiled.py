"""`torch.compile` for the parts of a method, where this machine is able to compile."""

from __future__ import annotations

import logging

import torch
from torch import nn

_log = logging.getLogger(__name__)


def compile_parts(method: nn.Module, device: torch.device) -> bool:
    """Send the forward passes of the method's parts through `torch.compile`.

    Names and values of weights stay. Results change by rounding only. The first step of a training
    compiles, which takes seconds to minutes.

    Args:
        method: Changed in place.
        device: Where it will run: a C++ compiler is needed for a CPU, Triton for a GPU.

    Returns:
        False where nothing can be compiled here; one logged line then says why, and the method
        stays as it was.
    """
    why = why_not_compiled(device)
    if why is not None:
        _log.warning(
            "compile is on, but torch.compile does not work here (%s); training without", why
        )
        return False
    for part in method.children():
        part.compile()
    return True


def why_not_compiled(device: torch.device) -> str | None:
    """The first line of what torch.compile says of a trivial function; None if it works."""
    try:
        torch.compile(_double)(torch.ones(8, device=device))
    except Exception as err:
        return f"{type(err).__name__}: {err}".splitlines()[0]
    return None


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * x
