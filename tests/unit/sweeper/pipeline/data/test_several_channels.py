"""Several channels, from the files to an embedding, a training loss and a prediction."""

from __future__ import annotations

import numpy as np
import official_sets as official
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
import torch

from desam_model.training.loader import collate
from desam_model.types import Reads
from sweeper.config.trial import TrialConfig
from sweeper.data.faults import FaultyDataError
from sweeper.data.layouts.registry import read_source
from sweeper.errors import DataError
from sweeper.factory import Sizes, build_method
from sweeper.pipeline.data.exporting import export_dataset
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.predict.scan import read_scan
from sweeper.store.dataset.views import slice_view
from sweeper.store.workspace import Workspace

IMAGE_METHODS = (
    *("unet", "maxstyle", "csdg"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("advnoise", "advbias", "randconv", "mixstyle")
    ),
)


def imported(source, path, channel=None):
    return import_dataset(source, path, ImportOptions(processes=1, channel=channel)).store


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("channels")
    source = official.decathlon(root / "set")
    return root, source, imported(source, root / "both.zarr", "T2,ADC")


@pytest.mark.parametrize("shape", ["decathlon", "nnunet"])
def test_each_channel_is_scaled_as_if_it_were_imported_alone(tmp_path, shape) -> None:
    source = getattr(official, shape)(tmp_path / "set")
    stores = {
        channel: imported(source, tmp_path / f"{channel}.zarr", channel)
        for channel in ("T2", "ADC", "T2,ADC", "ADC,T2")
    }
    t2, adc, both, swapped = (store.image(2) for store in stores.values())
    assert [len(image) for image in (t2, adc, both, swapped)] == [1, 1, 2, 2]
    assert np.array_equal(both, np.concatenate([t2, adc]))
    assert np.array_equal(swapped, both[::-1])
    assert len({store.fingerprint for store in stores.values()}) == 4
    again = import_dataset(
        source, tmp_path / "T2,ADC.zarr", ImportOptions(processes=1, channel="T2,ADC")
    )
    assert again.is_unchanged


def test_every_channels_file_belongs_to_the_identity_of_a_case(tmp_path) -> None:
    source = official.nnunet(tmp_path / "set")
    store = imported(source, tmp_path / "x.zarr", "T2,ADC")
    second = str(source / "imagesTr" / "gland_000_0001.nrrd")
    original = sitk.ReadImage(second)
    sitk.WriteImage(original + 1, second)
    with pytest.raises(DataError, match="already exists, with other files"):
        imported(source, tmp_path / "x.zarr", "T2,ADC")
    sitk.WriteImage(original[1:, :, :], second)
    with pytest.raises(FaultyDataError) as caught:
        imported(source, tmp_path / "y.zarr", "T2,ADC")
    lines = [fault.line() for fault in caught.value.faults]
    assert any("its channel gland_000_0001.nrrd has another grid of voxels" in x for x in lines)
    assert store.image_channels == 2


def test_an_encoder_reads_two_channels_and_an_export_refuses_them(both) -> None:
    root, _, store = both
    embedded = ensure_embeddings(Workspace.open(root / "ws"), store, "vit_tiny")
    assert embedded.is_complete()
    assert torch.isfinite(embedded.embedding(0).neck.float()).all()
    with pytest.raises(DataError, match=r"has 2 channels, .* reads one; import the source with"):
        export_dataset(store, root / "out", structure="PZ")


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_every_image_method_trains_on_all_channels(both, name) -> None:
    _, _, store = both
    view = slice_view(store, [store.cases[0].case], structure="PZ", reads=frozenset({Reads.IMAGE}))
    batch = collate(list(view)[:2])
    assert batch.image.shape[1] == 2
    config = TrialConfig(
        source="PROSTATE",
        method={"name": name, "network": {"width": 2, "stages": 3, "input_px": 64}},
    )
    method = build_method(config, Sizes(image_channels=2), 0)
    loss = method.training_loss(batch, torch.Generator().manual_seed(0)).total
    assert torch.isfinite(loss)
    loss.backward()
    first = next(p for p in method.parameters() if p.ndim == 4)
    assert first.shape[1] == 2
    assert (first.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_a_model_of_two_channels_reads_a_scan_of_two(both) -> None:
    _, source, store = both
    chosen = ImportOptions(channel="T2,ADC").settings(read_source(source, channel="T2,ADC"))
    settings = chosen["PROSTATE"]
    assert store.preprocessing["PROSTATE"] == settings.as_mapping()
    scan = read_scan(source / "imagesTr" / "prostate_00.nii.gz", settings, 2)
    case = store.case("prostate_00")
    assert np.array_equal(scan.pixels, store.case_images(case))
    with pytest.raises(DataError, match="it has 1 channels, but the model was trained on"):
        read_scan(source / "labelsTr" / "prostate_00.nii.gz", settings, 2)
