"""The example of docs/adding-a-method.md is read out of the page and trained."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from desam_model.types import Batch, PredictionSettings
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-method.md"


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors: threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def load(tmp_path, monkeypatch):
    def load_module(name, source):
        path = tmp_path / f"{name.rsplit('.', 1)[-1]}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load_module


def batch():
    generator = torch.Generator().manual_seed(0)
    reference = torch.zeros(4, 1, 32, 32)
    reference[:, :, 8:20, 6:22] = 1
    image = 0.4 * reference + 0.5 * torch.rand(4, 1, 32, 32, generator=generator)
    return Batch(reference=reference, image=image)


def test_the_pages_example_is_built_by_the_factory_and_learns(blocks, load):
    load("desam_model.comparisons.gamma", blocks[0])
    config = load("gamma_config", blocks[1]).GammaConfig(
        network={"width": 4, "stages": 3}, largest=1.5
    )
    trial = TrialConfig.model_validate({"source": "A", "method": {"name": "unet"}})
    trial = trial.model_copy(update={"method": config})
    method = build_method(trial, Sizes(image_channels=1), seed=0).train()
    assert method.largest == 1.5
    optimizer = torch.optim.Adam(method.trainable_parameters(), lr=1e-2)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(30):
        optimizer.zero_grad()
        loss = method.training_loss(batch(), generator)
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert set(loss.parts) == {"segmentation", "consistency"}
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert method.eval().predict(batch(), PredictionSettings()).mask.any()
