"""Reads masks from other tools: matched by case id, resampled to the case's geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from sweeper.data.preprocessing import Preprocessing, prepare_mask
from sweeper.data.volume import SUFFIXES, VolumeError, read_volume, stem_of, suffix_of
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.volume import Volume

_TOLERANCE_MM = 0.01
_MOVED_MM = 0.1  # tools round the headers
_NNUNET_ENDINGS = ("_0000", "_seg", "_pred", "_segmentation")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFrame:
    """The data of a case that are needed to convert a mask to its stored slices.

    Attributes:
        shape: (z, y, x) of the source volume.
        spacing_mm: (z, y, x) of the source volume.
        preprocessing: The preprocessing settings of its domain.
        z: Positions of the stored slices.
        reference_file: The case's label file, if it is still readable; it gives the geometry.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    preprocessing: Mapping[str, Any]
    z: tuple[int, ...]
    reference_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMask:
    """One mask, converted to the stored slices.

    Attributes:
        slices: `(n, H, W)` bool.
        is_regridded: True if the file had another grid and was resampled (nearest neighbour).
    """

    slices: NDArray[np.bool_]
    is_regridded: bool


def find_masks(
    folder: Path, cases: Sequence[str], *, images: Sequence[Path] = ()
) -> dict[str, Path]:
    """Case id -> mask file; the file has the case's name, optionally with an nnU-Net ending.

    Args:
        folder: With the masks, also in folders of it.
        cases: The case ids.
        images: Files that are no masks, although they may lie in the folder.

    Raises:
        DataError: The folder is missing, contains no mask, or contains two masks of one case.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name the folder with one mask per case")
    known = {image.resolve() for image in images}
    volumes = (f for f in folder.rglob("*") if suffix_of(f) in SUFFIXES)
    files = sorted(f for f in volumes if f.resolve() not in known)
    masks: dict[str, Path] = {}
    for file in files:
        name = _case_name(stem_of(file), cases)
        if name is None:
            continue
        if name in masks:
            raise DataError(f"case {name} has two masks: {masks[name]} and {file}; remove one")
        masks[name] = file
    if not masks:
        example = f", such as {cases[0]}.nii.gz" if cases else ""
        raise DataError(
            f"{folder} contains {len(files)} volumes, but none is named after a case{example};"
            " list the case ids with: sweeper data show DATASET"
        )
    return masks


def other_volumes(folder: Path, masks: Mapping[str, Path]) -> list[Path]:
    """The volumes in a folder that are not in `masks`."""
    mask_files = set(masks.values())
    return sorted(f for f in folder.rglob("*") if suffix_of(f) in SUFFIXES and f not in mask_files)


def _case_name(stem: str, cases: Sequence[str]) -> str | None:
    names = {stem, *(stem.removesuffix(ending) for ending in _NNUNET_ENDINGS)}
    return next((case for case in cases if case in names), None)


def read_mask(path: Path, frame: CaseFrame, label: int | None) -> ForeignMask:
    """A case's mask, converted to its stored slices.

    Args:
        path: The file.
        frame: Geometry and preprocessing of the case.
        label: Value of the structure; None means every value above 0.

    Raises:
        DataError: The file is not a volume, or it has another grid and the geometry is unknown.
    """
    try:
        volume = read_volume(path)
    except (VolumeError, OSError) as err:
        raise DataError(f"{path}: {err}") from err
    values = volume.array[0]
    mask = (values == label if label is not None else values > 0).astype(np.uint8)
    same_shape = mask.shape == frame.shape
    same_spacing = np.allclose(volume.spacing_mm, frame.spacing_mm, atol=_TOLERANCE_MM)
    is_same = same_shape and (same_spacing or not volume.has_geometry)
    is_regridded = not is_same or _is_displaced(volume, frame)
    if is_regridded:
        mask = _regrid(mask, volume, path, frame)
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in frame.preprocessing.items()
    }
    settings = Preprocessing(**plain)
    slices = prepare_mask(mask, frame.spacing_mm, settings, frame.z).astype(bool)
    return ForeignMask(slices=slices, is_regridded=is_regridded)


def _is_displaced(volume: Volume, frame: CaseFrame) -> bool:
    """True if the corners of a mask with the case's size are at other positions in space."""
    if frame.reference_file is None or not volume.has_geometry:
        return False
    target = read_volume(frame.reference_file)
    last_xyz = np.array(frame.shape[::-1]) - 1
    corners = np.array([[*(last_xyz * corner), 1] for corner in np.ndindex(2, 2, 2)]).T
    moved_mm = np.linalg.norm(((volume.affine - target.affine) @ corners)[:3], axis=0)
    return bool(target.has_geometry and moved_mm.max() > _MOVED_MM)


def _regrid(
    mask: NDArray[np.uint8], volume: Volume, path: Path, frame: CaseFrame
) -> NDArray[np.uint8]:
    """The mask resampled to the case's grid (nearest neighbour)."""
    if frame.reference_file is None or not volume.has_geometry:
        raise DataError(
            f"{path}: its grid is {mask.shape} at {volume.spacing_mm} mm, but the case's is"
            f" {frame.shape} at {frame.spacing_mm} mm, and their relative position is unknown;"
            " write the mask on the case's grid"
        )
    target = read_volume(frame.reference_file)
    to_mask = np.linalg.inv(volume.affine) @ target.affine  # (x, y, z) index to (x, y, z) index
    flip = np.eye(4)[[2, 1, 0, 3]]
    to_mask = flip @ to_mask @ flip
    resampled: NDArray[np.uint8] = ndimage.affine_transform(
        mask, to_mask[:3, :3], to_mask[:3, 3], output_shape=frame.shape, order=0, cval=0
    )
    return resampled
