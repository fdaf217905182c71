from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from desam_model.comparisons.image.harness import official_harness, unified_harness
from desam_model.comparisons.image.image_method import random_window
from desam_model.comparisons.unet import UNetBaseline
from desam_model.types import Batch, PredictionSettings


@pytest.fixture
def slices():
    """Six different slices of 20 x 24 px whose reference is drawn where the image is bright."""
    image = torch.rand(6, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    return image, (image > 0.5).float()


def test_a_window_moves_image_and_reference_together(slices):
    image, reference = random_window(*slices, 28, 16, torch.Generator().manual_seed(1))
    assert image.shape == reference.shape == (6, 1, 16, 16)
    assert torch.equal(reference, (image > 0.5).float())


def test_windows_differ_between_slices_and_reach_the_padding(slices):
    whole = slices[0][:1].expand(40, -1, -1, -1)
    windows, _ = random_window(whole, whole, 28, 16, torch.Generator().manual_seed(1))
    assert len({tuple(one.flatten().tolist()) for one in windows}) > 20
    assert (windows[:, :, 0] == 0).all(dim=-1).any()
    again, _ = random_window(whole, whole, 28, 16, torch.Generator().manual_seed(1))
    assert torch.equal(windows, again)


@pytest.mark.parametrize("side", [20, 24, 30])
def test_slices_no_larger_than_the_window_stay_whole(slices, side):
    image, reference = random_window(*slices, 40, side, torch.Generator())
    assert torch.equal(image, slices[0])
    assert torch.equal(reference, slices[1])


def test_training_sees_windows_and_test_whole_slices(slices):
    with torch.random.fork_rng(devices=[]):
        harness = unified_harness(image_channels=1, width=4, stages=3, augmentation=False)
    method = UNetBaseline(harness=replace(harness, window_px=(28, 16), keep_originals=True))
    batch = Batch(image=slices[0], reference=slices[1])
    example = method.prepare(batch, torch.Generator().manual_seed(0))
    assert example.noisy.shape == example.reference.shape == (12, 1, 16, 16)
    assert example.clean.amin(dim=(1, 2, 3)).eq(0).all()
    assert example.clean.amax(dim=(1, 2, 3)).eq(1).all()
    method.eval()
    with torch.no_grad():
        assert method.predict(batch, PredictionSettings()).mask.shape == slices[1].shape


def test_the_maxstyle_family_trains_on_224_of_288_px():
    harness = official_harness("maxstyle_family", image_channels=1)
    assert harness.window_px == (288, 224)
