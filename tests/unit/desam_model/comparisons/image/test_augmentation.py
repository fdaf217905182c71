from __future__ import annotations

import pytest
import torch

from desam_model.comparisons.image.augmentation import unified_augmentation
from desam_model.comparisons.image.randomness import seeded


def disc(size=64, n=4):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    mask = ((y - 30) ** 2 + (x - 36) ** 2 < 15**2).float()[None, None]
    return mask.repeat(n, 1, 1, 1)


def run(seed, image, reference):
    return unified_augmentation()(image, reference, torch.Generator().manual_seed(seed))


def test_the_reference_moves_with_the_image_and_stays_binary():
    mask = disc()
    image, reference = run(0, 0.1 + 0.8 * mask, mask)
    assert set(reference.unique().tolist()) == {0.0, 1.0}
    assert ((image > 0.5).float() - reference).abs().mean() < 0.02
    assert (reference != mask).any()


def test_a_seed_decides_the_transform_whatever_the_global_state():
    mask = disc()
    torch.manual_seed(1)
    first = run(3, 0.5 * mask, mask)
    torch.manual_seed(2)
    second = run(3, 0.5 * mask, mask)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], run(4, 0.5 * mask, mask)[0])


def test_each_image_of_a_batch_is_transformed_differently():
    image, _ = run(0, 0.5 * disc(), disc())
    assert not torch.equal(image[0], image[1])


def test_the_input_is_left_as_it_was():
    mask = disc()
    image = 0.5 * mask
    run(0, image, mask)
    assert torch.equal(mask, disc())
    assert torch.equal(image, 0.5 * disc())


def test_global_randomness_is_restored_even_after_an_error():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    def fail():
        with seeded(torch.Generator().manual_seed(0)):
            torch.rand(3)
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        fail()
    assert torch.rand(1) == expected
