"""Small harnesses and batches for the methods' own properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from desam_model.comparisons.image.harness import unified_harness
from desam_model.comparisons.image.image_method import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from desam_model.comparisons.image.harness import Harness


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors: threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


@pytest.fixture
def make_harness() -> Callable[..., Harness]:
    def make(channels: int = 1, **options) -> Harness:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return unified_harness(image_channels=channels, width=4, stages=3, **options)

    return make


@pytest.fixture
def make_image() -> Callable[..., torch.Tensor]:
    def make(size: int = 4, channels: int = 1, hw: tuple[int, int] = (32, 32)) -> torch.Tensor:
        generator = torch.Generator().manual_seed(size)
        y, x = torch.meshgrid(*(torch.linspace(0, 1, side) for side in hw), indexing="ij")
        shade = (x + y)[None, None] / 2 * torch.linspace(0.4, 1, size)[:, None, None, None]
        noise = 0.2 * torch.rand(size, channels, *hw, generator=generator)
        image = shade + noise
        low = image.amin(dim=(1, 2, 3), keepdim=True)
        return (image - low) / (image.amax(dim=(1, 2, 3), keepdim=True) - low)

    return make


@pytest.fixture
def example(make_image) -> Example:
    image = make_image()
    reference = torch.zeros(4, 1, 32, 32)
    reference[:, :, 8:20, 6:22] = 1
    return Example(clean=image, noisy=image, reference=reference)
