"""The package of docs/adding-an-encoder.md is read out of the page, installed and trained on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-encoder.md"
SUPPORT = Path(__file__).parents[1] / "support"
CODE = """
import sys
from pathlib import Path
import torch
from fake_dataset import FakeDataset
from desam_model.encoder.registry import build_encoder, encoder_entry
from desam_model.types import Batch
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store.workspace import Workspace

entry = encoder_entry("pyramid")
store = ensure_embeddings(Workspace.open(Path(sys.argv[1])), FakeDataset(), "pyramid")
embedding = store.embedding(0)
assert [tuple(tap.shape) for tap in embedding.taps] == [tap.shape for tap in entry.taps]
assert tuple(embedding.neck.shape) == entry.neck.shape
encoder = build_encoder("pyramid")
assert sum(p.numel() for p in encoder.parameters()) == entry.parameters

trial = {"source": "A", "method": {"name": "desam"}, "encoder": {"name": "pyramid"}}
sizes = Sizes(image_channels=1, taps=store.taps, neck=store.neck, input_px=store.input_px)
method = build_method(TrialConfig.model_validate(trial), sizes, seed=0)
read = embedding.to(dtype=torch.float32)
batch = Batch(
    reference=torch.zeros(1, 1, 64, 64),
    embedding=type(read)(taps=tuple(tap[None] for tap in read.taps), neck=read.neck[None]),
)
batch.reference[:, :, 16:40, 16:40] = 1
optimizer = torch.optim.Adam(method.trainable_parameters(), lr=1e-3)
losses = []
for step in range(30):
    loss = method.training_loss(batch, torch.Generator().manual_seed(step)).total
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert sum(losses[-5:]) < 0.8 * sum(losses[:5]), losses
print("trained")
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the page's package as pip would have installed it."""
    text = PAGE.read_text()
    model, entry = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (declared,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    points = tomllib.loads(declared)["project"]["entry-points"]["sweeper.encoders"]
    folder = tmp_path / "site"
    (folder / "pyramid").mkdir(parents=True)
    (folder / "pyramid" / "__init__.py").write_text(entry)
    (folder / "pyramid" / "model.py").write_text(model)
    info = folder / "pyramid-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pyramid\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[sweeper.encoders]", *lines, ""]))
    return folder


def test_the_pages_encoder_is_embedded_and_trained_on(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "workspace")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(SUPPORT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.stdout.strip().endswith("trained"), done.stderr
