"""Small sources of every layout, sound ones and ones with a fault, written as real files."""

from __future__ import annotations

import nibabel as nib
import numpy as np

LPS = np.diag([-1.0, -1.0, 3.0, 1.0])
LPS[:3, 3] = (12.0, 9.0, -30.0)
"""A scanner's frame: columns to the left, rows to the back, origin off 0."""


THICK = LPS @ np.diag([1.0, 1.0, 8.0 / 3.0, 1.0])
"""The same with 8 mm slices, as abdominal scans have."""


def image_array(seed: int = 0, shape=(4, 20, 24)) -> np.ndarray:
    """`(z, y, x)` int16 with a bright disc."""
    rng = np.random.default_rng(seed)
    array = rng.integers(20, 60, shape).astype(np.int16)
    array[:, shape[1] // 4 : -(shape[1] // 4), shape[2] // 4 : -(shape[2] // 4)] += 300
    return array


def label_array(shape=(4, 20, 24), value: int = 1) -> np.ndarray:
    """`(z, y, x)` uint8: a box in the middle, off the first slice."""
    array = np.zeros(shape, np.uint8)
    rows, cols = shape[1] // 3, shape[2] // 3
    array[1:, rows:-rows, cols:-cols] = value
    return array


def write(path, array: np.ndarray, affine: np.ndarray = LPS) -> None:
    """Write `(z, y, x)` as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), path)


def without_codes(path) -> None:
    """Set both codes of a NIfTI to 0, so that its header states voxel sizes only."""
    image = nib.load(path, mmap=False)
    image = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine)
    image.set_qform(image.affine, code=0)
    image.set_sform(None, code=0)
    nib.save(image, path)


def saml(root, sites=("RUNMC", "UCL"), cases: int = 2):
    """A sound SAML source."""
    for s, site in enumerate(sites):
        for index in range(cases):
            write(root / site / f"Case{index:02d}.nii.gz", image_array(10 * s + index))
            write(root / site / f"Case{index:02d}_segmentation.nii.gz", label_array())
    return root


def maxstyle(root, sites=("A-ISBI", "F-HK"), cases: int = 2):
    """A sound MaxStyle source."""
    for s, site in enumerate(sites):
        for index in range(cases):
            folder = root / site / f"patient_{index}"
            write(folder / "t2_img_clipped.nii.gz", image_array(10 * s + index))
            write(folder / "label_clipped.nii.gz", label_array())
    return root


def desam(root, cases: int = 4):
    """A sound DeSAM source: half the cases of each of two sites, the CSV in another order."""
    rows = []
    for index in range(1, cases + 1):
        write(root / "imagesTr" / f"prostate_{index:03d}_0000.nii.gz", image_array(index))
        write(root / "labelsTr" / f"prostate_{index:03d}.nii.gz", label_array())
        rows.append(f"{'A-ISBI' if index % 2 else 'D-UCL'},{index}")
    (root / "prostate_patientid.csv").write_text(
        "\n".join(["center,patientid", *reversed(rows)]) + "\n"
    )
    return root


def abdominal(root, cases: int = 2):
    """A sound abdominal source with all four organs."""
    values = {"CT": (6, 2, 3, 1), "MR": (63, 126, 189, 252)}
    stems = {"CT": ("img/img{:04d}", "label/label{:04d}"), "MR": ("image_{}", "label_{}")}
    for modality, organs in values.items():
        for index in range(1, cases + 1):
            label = np.zeros((4, 40, 40), np.uint8)
            for place, value in enumerate(organs):
                label[1:3, 8 + 6 * place : 12 + 6 * place, 14:26] = value
            image, seg = (root / modality / f"{s.format(index)}.nii.gz" for s in stems[modality])
            array = image_array(index + 50 * (modality == "MR"), (4, 40, 40))
            array[:, :2] = -1000 if modality == "CT" else 0
            write(image, array, THICK)
            write(seg, label, THICK)
    return root


def csv_source(root, rows: list[str], header: str = "case,site,image,label"):
    """A CSV beside files that `rows` name; returns the CSV."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "cases.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def csv_sound(root, cases: int = 2):
    """A sound CSV source of two sites."""
    rows = []
    for s, site in enumerate(("north", "south")):
        for index in range(cases):
            name = f"{site}{index}"
            write(root / f"{name}.nii.gz", image_array(10 * s + index))
            write(root / f"{name}-label.nii.gz", label_array())
            rows.append(f"{name},{site},{name}.nii.gz,{name}-label.nii.gz")
    return csv_source(root, rows)
