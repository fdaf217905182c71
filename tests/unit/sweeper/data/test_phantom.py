"""The phantoms: equal bytes anywhere, every site its own, and organs where the labels say."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from desam_model.types import Split
from sweeper.data.phantom import abdomen as phantom_abdomen
from sweeper.data.phantom import prostate as phantom
from sweeper.data.phantom.scanner import SCANNERS
from sweeper.data.volume import read_volume

SMALL = next(s for s in SCANNERS if s.site == "F-HK")


def digest(arrays) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def test_another_process_gives_byte_identical_arrays():
    code = (
        "import hashlib\n"
        "from sweeper.data.phantom import abdomen as phantom_abdomen, prostate as phantom\n"
        "from sweeper.data.phantom.scanner import SCANNERS\n"
        "def digest(arrays):\n"
        "    return hashlib.sha256(b''.join(a.tobytes() for a in arrays)).hexdigest()\n"
        "small = next(s for s in SCANNERS if s.site == 'F-HK')\n"
        "print(digest(phantom.synthesise(small, 1)))\n"
        "print(digest(phantom_abdomen.synthesise(phantom_abdomen.MODALITIES[0], 0)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        digest(phantom.synthesise(SMALL, 1)),
        digest(phantom_abdomen.synthesise(phantom_abdomen.MODALITIES[0], 0)),
    ]


def test_patients_and_seeds_differ():
    first = digest(phantom.synthesise(SMALL, 0))
    assert first != digest(phantom.synthesise(SMALL, 1))
    assert first != digest(phantom.synthesise(SMALL, 0, seed=7))


def test_every_site_has_its_own_scanner_and_two_have_a_coil():
    assert [s.site for s in SCANNERS] == [
        "A-ISBI",
        "B-ISBI_1.5",
        "C-I2CVB",
        "D-UCL",
        "E-BIDMC",
        "F-HK",
    ]
    assert all(160 <= s.matrix_px <= 384 for s in SCANNERS)
    assert all(4 <= s.n_cases <= 6 for s in SCANNERS)
    assert len({(s.matrix_px, s.pixel_mm, s.slice_mm) for s in SCANNERS}) == 6
    assert [s.site for s in SCANNERS if s.flare] == ["B-ISBI_1.5", "E-BIDMC"]


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda s: s.site)
def test_a_gland_is_one_smooth_organ_of_human_size(scanner):
    from scipy import ndimage

    image, label = phantom.synthesise(scanner, 0)
    gland = label > 0
    assert ndimage.label(gland)[1] == 1
    millilitres = gland.sum() * scanner.pixel_mm**2 * scanner.slice_mm / 1000
    assert 15 < millilitres < 110
    assert not gland[0].any()
    assert not gland[-1].any()
    assert set(np.unique(label)) == ({0, 1, 2} if scanner.has_zones else {0, 1})
    assert image.dtype == np.int16
    assert image.min() >= 0


def test_a_coil_makes_the_gland_brighter_behind_than_in_front():
    def ratio(site: str) -> float:
        image, label = phantom.synthesise(next(s for s in SCANNERS if s.site == site), 0)
        z = len(label) // 2
        rows = np.flatnonzero(label[z].any(axis=1))
        third = len(rows) // 3
        front = image[z][rows[:third]][label[z][rows[:third]] > 0].mean()
        behind = image[z][rows[-third:]][label[z][rows[-third:]] > 0].mean()
        return behind / front

    assert ratio("E-BIDMC") > 1.25 * ratio("A-ISBI")
    assert ratio("B-ISBI_1.5") > 1.15 * ratio("A-ISBI")


def test_written_files_hold_the_arrays_and_the_voxels_of_their_scanner(tmp_path):
    told = []
    phantom.write_phantom(tmp_path / "p", cases_per_site=1, progress=lambda *a: told.append(a))
    assert told == [(n, 6) for n in range(1, 7)]
    image, label = phantom.synthesise(SMALL, 0)
    read = read_volume(tmp_path / "p" / "F-HK" / "Case00.nii.gz")
    assert np.array_equal(read.array[0], image)
    assert read.spacing_mm == (SMALL.slice_mm, SMALL.pixel_mm, SMALL.pixel_mm)
    assert read.has_geometry
    stored = nib.load(tmp_path / "p" / "F-HK" / "Case00_segmentation.nii.gz")
    assert nib.aff2axcodes(stored.affine) == ("L", "P", "S")
    assert np.array_equal(np.asarray(stored.dataobj).transpose(2, 1, 0), label)


def test_organs_of_the_abdomen_are_apart_and_their_contrast_is_inverted():
    means = {}
    for modality in phantom_abdomen.MODALITIES:
        image, label = phantom_abdomen.synthesise(modality, 0)
        organs = [image[label == value].mean() for value in modality.labels]
        assert all((label == value).sum() > 500 for value in modality.labels)
        means[modality.folder] = organs
    liver, _, _, spleen = means["CT"]
    assert abs(liver - spleen) < 40
    liver, kidney, _, spleen = means["MR"]
    assert min(kidney, spleen) > 1.5 * liver


@pytest.mark.slow
def test_the_phantom_is_imported_by_the_real_importer_and_made_only_once(tmp_path):
    from sweeper.pipeline.data.named import open_dataset
    from sweeper.store.workspace import Workspace

    workspace = Workspace.open(tmp_path)
    told = []
    store = open_dataset(workspace, "phantom", lambda *a: told.append(a))
    assert store.is_synthetic
    assert store.layout == "saml"
    assert {d: len(store.cases_of(d)) for d in store.domains} == {
        s.site: s.n_cases for s in SCANNERS
    }
    assert all(len(store.cases_of(d, Split.VALIDATION)) == 1 for d in store.domains)
    told.clear()
    again = open_dataset(workspace, "phantom", lambda *a: told.append(a))
    assert told == []
    assert again.fingerprint == store.fingerprint
