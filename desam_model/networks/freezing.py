"""Context managers that freeze parts of a network; on exit they restore every flag."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def frozen_batch_norm(network: nn.Module) -> Iterator[None]:
    """Batch norms use batch statistics, but their buffers and weights are not updated.

    Source: sources.md S37.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    tracked = [(norm, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.track_running_stats = False
        with _without_gradient(p for norm in norms for p in norm.parameters()):
            yield
    finally:
        for norm, tracks in tracked:
            norm.track_running_stats = tracks


@contextmanager
def frozen_weights(network: nn.Module) -> Iterator[None]:
    """No weight gets a gradient; the network's input may still get one."""
    with _without_gradient(network.parameters()):
        yield


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in eval mode and frozen, for an adversarial search (sources.md S38)."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with frozen_weights(network):
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _without_gradient(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    before = [(parameter, parameter.requires_grad) for parameter in parameters]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, requires_grad in before:
            parameter.requires_grad_(requires_grad)
