"""The summary and the contact sheet of a dataset."""

from __future__ import annotations

import fault_sources as sources
import numpy as np
import pytest
from fake_dataset import write_small_dataset
from PIL import Image

from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
from sweeper.pipeline.data.showing import HISTOGRAM_BINS, summarise, write_sheet


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("d") / "small.zarr")


def test_a_domain_is_summarised_by_its_cases_and_sizes(store):
    (summary,) = summarise(store)
    assert (summary.domain, summary.train, summary.validation) == (
        "A-ISBI",
        ("case-1",),
        ("case-2",),
    )
    assert summary.n_slices == store.n_slices == 6
    assert summary.matrices == ((256, 256),)
    assert summary.spacings_mm == ((3.0, 0.5, 0.5),)
    assert summary.volume_ml == {"prostate": (1.0, 1.0, 1.0)}


def test_intensities_are_those_of_all_pixels(store):
    (summary,) = summarise(store)
    pixels = np.stack([store.image(k)[0] for k in range(6)])
    inside = np.stack([store.label(k) for k in range(6)]) > 0
    assert summary.mean_inside == pytest.approx(pixels[inside].mean())
    assert summary.mean_outside == pytest.approx(pixels[~inside].mean())
    assert len(summary.histogram) == HISTOGRAM_BINS
    assert sum(summary.histogram) == pytest.approx(1.0)
    assert summary.histogram[0] == pytest.approx((pixels < 256 / HISTOGRAM_BINS).mean())


def test_the_contact_sheet_marks_volumes_without_an_orientation(tmp_path, monkeypatch):
    source = sources.saml(tmp_path / "src", sites=("UCL",))
    for name in ("Case01.nii.gz", "Case01_segmentation.nii.gz"):
        sources.without_codes(source / "UCL" / name)
    store = import_dataset(source, tmp_path / "x.zarr", ImportOptions(processes=1)).store
    captions = []
    monkeypatch.setattr(
        "sweeper.pipeline.data.showing.write_contact_sheet",
        lambda _path, rows, title: captions.extend(t.caption for _, ts in rows for t in ts),
    )
    write_sheet(store, tmp_path / "sheet.png", columns=2)
    assert ["no orientation" in caption for caption in captions] == [False, True]


def test_the_contact_sheet_has_a_tile_per_column(store, tmp_path):
    sizes = []
    for columns in (2, 4):
        path = tmp_path / f"{columns}.png"
        write_sheet(store, path, columns=columns)
        with Image.open(path) as image:
            sizes.append(image.width)
    assert sizes[1] > 1.5 * sizes[0]
