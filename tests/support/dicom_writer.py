"""Writes DICOM series as scanners and archives do: one file per slice, each with its position."""

from __future__ import annotations

import locale
from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)

if TYPE_CHECKING:
    from pathlib import Path

AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
ORIGIN = (-12.0, -9.0, -30.0)
"""LPS position of the first voxel of `sources.LPS`, whose affine is in RAS."""


def write_series(
    folder: Path,
    array: np.ndarray,
    *,
    name: str = "IM{:04d}.dcm",
    uid: str = "1.2.3",
    description: str = "t2_tse_tra",
    modality: str = "MR",
    cosines=AXIAL,
    spacing=(3.0, 1.0, 1.0),
    reverse: bool = False,
    tags=None,
    drop=(),
) -> Path:
    """Write `(z, y, x)` with slice 0 at the bottom; returns the folder.

    Args:
        folder: Created if it does not exist.
        array: int16.
        name: Name of the file with this number.
        uid: Of the series; `{}` becomes the slice's number.
        description: Of the series.
        modality: `MR` or `CT`.
        cosines: Row and column direction.
        spacing: (z, y, x) millimetres.
        reverse: True if file 0 is the top slice.
        tags: Further tags, `{"0008|0060": "MR"}`.
        drop: Slices that are not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = locale.setlocale(locale.LC_CTYPE)
    normal = np.cross(cosines[:3], cosines[3:])
    for number in range(len(array)):
        z = len(array) - 1 - number if reverse else number
        if z in drop:
            continue
        image = sitk.GetImageFromArray(array[z : z + 1])
        image.SetSpacing((spacing[2], spacing[1], spacing[0]))
        position = np.array(ORIGIN) + z * spacing[0] * normal
        values = {
            "0008|0060": modality,
            "0008|103e": description,
            "0020|000d": "1.2",
            "0020|000e": uid.format(number),
            "0020|0013": str(number + 1),
            "0020|0032": "\\".join(f"{value:g}" for value in position),
            "0020|0037": "\\".join(f"{value:g}" for value in cosines),
        } | (tags or {})
        for tag, value in values.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / name.format(number)))
        writer.Execute(image)
    locale.setlocale(locale.LC_CTYPE, before)  # GDCM's writer, not its reader, sets it to C
    return folder


def write_pictures(folder: Path, array: np.ndarray, name: str = "IM{:04d}.png", *, reverse=False):
    """Write `(z, y, x)` uint8 as one PNG per slice; `reverse`: picture 0 is the top slice."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, plane in enumerate(array[::-1] if reverse else array):
        sitk.WriteImage(sitk.GetImageFromArray(plane), str(folder / name.format(number)))
    return folder


def as_nifti(path: Path, array: np.ndarray) -> Path:
    """The same slices as NIfTI, in the frame of `write_series`' defaults."""
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])
    affine[:3, 3] = (12.0, 9.0, -30.0)
    sources.write(path, array, affine)
    return path
