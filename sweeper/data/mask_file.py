"""Writes a mask on the grid, in the frame and in the file format of the image it belongs to."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from sweeper.data.volume import (
    ITK_SUFFIXES,
    NIFTI2_SIZES,
    NIFTI_SUFFIXES,
    PICTURE_SUFFIXES,
    files_of,
    stem_of,
    suffix_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.volume import Volume

_LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
_WHITE = 255
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEADER_BYTES = 348 + 540
"""Enough of a file for either NIfTI header."""


def mask_name(image: Path) -> str:
    """Name of the mask file of an image: the image's, in a format that keeps masks exactly.

    JPEG does not, so its mask is a PNG. A format that is only read gives `.nii.gz`. The mask of a
    folder of pictures is a folder.
    """
    suffix = suffix_of(image)
    if image.is_dir() and any(suffix_of(f) in PICTURE_SUFFIXES for f in files_of(image)):
        return image.name
    if suffix in PICTURE_SUFFIXES:
        suffix = suffix if suffix in _LOSSLESS else ".png"
    elif suffix not in (*NIFTI_SUFFIXES, *ITK_SUFFIXES):
        suffix = ".nii.gz"
    return f"{stem_of(image)}{suffix}"


def write_mask(mask: NDArray[np.uint8], image: Path, volume: Volume, folder: Path) -> Path:
    """Write the mask of an image into a folder; returns its path.

    Shape, orientation, spacing, origin and units are those of the image's file; its texts, which
    may name a person, are not copied. Volumes have values 0 and 1, pictures 0 and 255.

    Args:
        mask: `(z, y, x)` uint8, 0 and 1, in the canonical frame of `read_volume`.
        image: The image's file, or its folder of pictures.
        volume: What `read_volume` returned for it; its array is not used.
        folder: Existing folder.

    Raises:
        OSError: The file cannot be written.
    """
    path = folder / mask_name(image)
    suffix = suffix_of(path)
    if path.suffix == "" and image.is_dir():
        path.mkdir(exist_ok=True)
        for plane, picture in zip(mask, files_of(image), strict=True):
            _write_picture(plane, path / mask_name(picture))
    elif suffix in PICTURE_SUFFIXES:
        _write_picture(mask if len(mask) > 1 else mask[0], path)
    elif suffix in ITK_SUFFIXES:
        _write_itk(mask, image, volume, path)
    elif suffix_of(image) in NIFTI_SUFFIXES:
        _write_nifti(mask, image, volume, path)
    else:
        nib.save(nib.Nifti1Image(mask.transpose(2, 1, 0), volume.affine), path)
    return path


def _write_picture(mask: NDArray[np.uint8], path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813  (takes 0.8 s; volumes do not need it)

    sitk.WriteImage(sitk.GetImageFromArray(mask * np.uint8(_WHITE)), str(path))


def _write_itk(mask: NDArray[np.uint8], image: Path, volume: Volume, path: Path) -> None:
    import SimpleITK as sitk  # noqa: N813  (as above)

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(image))
    reader.ReadImageInformation()
    spacing, direction = np.array(reader.GetSpacing()), np.array(reader.GetDirection())
    if reader.GetDimension() == 3:
        affine = np.eye(4)
        affine[:3, :3] = direction.reshape(3, 3) * spacing
        affine[:3, 3] = reader.GetOrigin()
        mask = _in_file_order(mask.transpose(2, 1, 0), volume, _RAS_FROM_LPS @ affine)
        mask = mask.transpose(2, 1, 0)
    else:
        mask = mask[0]
    written = sitk.GetImageFromArray(np.ascontiguousarray(mask))
    written.SetSpacing(reader.GetSpacing())
    written.SetOrigin(reader.GetOrigin())
    written.SetDirection(reader.GetDirection())
    sitk.WriteImage(written, str(path), useCompression=True)


def _write_nifti(mask: NDArray[np.uint8], image: Path, volume: Volume, path: Path) -> None:
    source = _nifti_header(image)
    ordered = _in_file_order(mask.transpose(2, 1, 0), volume, source.get_best_affine())
    header = source.copy()
    header.extensions.clear()
    for field in ("descrip", "db_name", "aux_file", "intent_name"):
        if field in header:
            header[field] = b""
    for field in ("cal_min", "cal_max"):
        header[field] = 0
    header.set_intent("none")
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    kind = nib.Nifti2Image if isinstance(source, nib.Nifti2Header) else nib.Nifti1Image
    nib.save(kind(ordered.reshape(source.get_data_shape()), None, header), path)


def _nifti_header(image: Path) -> Any:
    """The header of a NIfTI file, of which only the start is read."""
    with image.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(image) if is_compressed else image.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    is_second = start[:4] in NIFTI2_SIZES
    kind = nib.Nifti2Header if is_second else nib.Nifti1Header
    return kind(start[: 540 if is_second else 348])


def _in_file_order(
    array: NDArray[np.uint8], volume: Volume, affine: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """`(x, y, z)` in the canonical frame in the axis order and directions of the file.

    Both affines place the same voxels, so one in terms of the other is a permutation with signs.

    Args:
        array: The mask.
        volume: Its `affine` is that of the array.
        affine: That of the file, RAS+.
    """
    if not volume.has_geometry:
        return array
    turn = np.rint(np.linalg.solve(affine, volume.affine)[:3, :3]).astype(int)
    axes = np.abs(turn).argmax(axis=1)
    backward = tuple(axis for axis, row in enumerate(turn) if row.sum() < 0)
    ordered: NDArray[np.uint8] = np.flip(array.transpose(tuple(axes)), backward)
    return ordered
