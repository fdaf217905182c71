"""Random draws, all from the trial's CPU generator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

T = TypeVar("T")


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Seeds torch's global CPU random state from a generator, and restores it afterwards.

    It is for library code that takes no generator.
    """
    seed = int(torch.randint(2**62, (1,), generator=generator).item())
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def draw_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number, uniform in [low, high)."""
    return low + (high - low) * float(torch.rand(1, generator=generator).item())


def draw_one(values: Sequence[T], generator: torch.Generator) -> T:
    """One of the values, all with equal probability."""
    return values[int(torch.randint(len(values), (1,), generator=generator).item())]


def draw_normal(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal float32 tensor of a shape, on the device of `like`."""
    return torch.randn(tuple(shape), generator=generator).to(like.device)


def draw_beta(alpha: float, n: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """`(n, 1, 1, 1)` numbers from Beta(alpha, alpha), on the device of `like`."""
    with seeded(generator):
        samples = torch.distributions.Beta(alpha, alpha).sample((n, 1, 1, 1))
    return samples.to(like.device)
