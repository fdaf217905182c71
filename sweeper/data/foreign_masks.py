"""Reads masks from other tools: matched by case id, resampled to the case's geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from sweeper.data.checks import MAX_LABEL_VALUES
from sweeper.data.preprocessing import Preprocessing, prepare_mask
from sweeper.data.volume import SUFFIXES, read_volume, stem_of, suffix_of
from sweeper.data.voxel_files import VolumeError
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.volume import Volume

_MOVED_MM = 0.1
"""Allowed distance between the corners of a mask and its case; tools round the headers."""

_WHOLE = 1e-3
"""Allowed distance of a label value from a whole number, as at import."""

_OUTSIDE = 0.01
"""Allowed share of a mask outside its case's scan; more means that its position is wrong."""

_ENDINGS = ("_0000", "_seg", "_pred", "_segmentation", ".seg")
"""Endings that nnU-Net and 3D Slicer (`CASE.seg.nrrd`) append to a case's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFrame:
    """The data of a case that are needed to convert a mask to its stored slices.

    Attributes:
        shape: (z, y, x) of the source volume.
        spacing_mm: (z, y, x) of the source volume.
        preprocessing: The preprocessing settings of its domain.
        z: Positions of the stored slices.
        affine: `(4, 4)` from (x, y, z) indices of the source volume in the canonical frame to
            millimetres in RAS+; None if the store does not have it.
        has_geometry: False if the source volume states no orientation.
        reference_file: The case's label file, if it still exists; it gives the geometry if the
            store does not.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    preprocessing: Mapping[str, Any]
    z: tuple[int, ...]
    affine: NDArray[np.float64] | None = None
    has_geometry: bool = True
    reference_file: Path | None = None


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
    """Case id -> mask file; the file has the case's name, perhaps with an ending of a tool.

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
    names = {stem, *(stem.removesuffix(ending) for ending in _ENDINGS)}
    return next((case for case in cases if case in names), None)


def read_mask(path: Path, frame: CaseFrame, labels: Sequence[int] = ()) -> ForeignMask:
    """A case's mask, converted to its stored slices.

    Args:
        path: The file.
        frame: Geometry and preprocessing of the case.
        labels: Values of the structure; by default the only one above 0.

    Raises:
        DataError: The file is not a label map in the frame of its case, or cannot be proven to be.
    """
    try:
        volume = read_volume(path)
    except (VolumeError, OSError) as err:
        raise DataError(f"{path}: {err}") from err
    mask = _mask(_label_values(volume, path), labels, path)
    target = _target_frame(frame, path)
    _require_same_statement(volume, target, path)
    is_same = mask.shape == frame.shape and _is_in_place(volume, target, frame.shape)
    if not is_same:
        mask = _regrid(mask, volume, target, path, frame)
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in frame.preprocessing.items()
    }
    settings = Preprocessing(**plain)
    slices = prepare_mask(mask, frame.spacing_mm, settings, frame.z).astype(bool)
    return ForeignMask(slices=slices, is_regridded=not is_same)


def _label_values(volume: Volume, path: Path) -> NDArray[Any]:
    """The whole numbers `(z, y, x)` of a label map.

    Raises:
        DataError: It has several layers, or values that are not whole numbers.
    """
    values: NDArray[Any] = volume.array[0]
    if len(volume.array) > 1 and not (volume.array == values).all():
        raise DataError(
            f"{path}: it has {len(volume.array)} layers or colours, of which only one would be"
            " read; export the structure as one label map"
        )
    if values.dtype.kind != "f":
        return values
    if not np.isfinite(values).all():
        raise DataError(f"{path}: it contains NaN or infinite values; set them to 0")
    whole: NDArray[Any] = np.rint(values)
    off = np.abs(values - whole) > _WHOLE
    if off.any():
        raise DataError(
            f"{path}: it contains {float(values[off][0]):g}, so it is not a label map but perhaps"
            " probabilities; threshold them, such as at 0.5, and store whole numbers"
        )
    return whole


def _mask(values: NDArray[Any], labels: Sequence[int], path: Path) -> NDArray[np.uint8]:
    """0 and 1 for the structure.

    Raises:
        DataError: Which of several values is the structure's was not said.
    """
    if labels:
        named: NDArray[np.uint8] = np.isin(values, list(labels)).astype(np.uint8)
        return named
    present = [int(value) for value in np.unique(values) if value != 0]
    if len(present) > MAX_LABEL_VALUES:
        raise DataError(
            f"{path}: it contains {len(present)} different values, so it is not a label map but"
            " perhaps probabilities; threshold them and store 0 and 1"
        )
    if len(present) > 1 or min(present, default=1) < 0:
        raise DataError(
            f"{path}: it contains the values {', '.join(map(str, present))}; name those of the"
            f" structure, such as --label {present[-1]} or --label"
            f" {','.join(str(value) for value in present if value > 0)}"
        )
    mask: NDArray[np.uint8] = (values != 0).astype(np.uint8)
    return mask


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a case is: `(4, 4)` RAS+ affine, and whether its file stated the orientation."""

    affine: NDArray[np.float64]
    is_stated: bool


def _target_frame(frame: CaseFrame, path: Path) -> _Frame:
    if frame.affine is not None:
        return _Frame(frame.affine, frame.has_geometry)
    if frame.reference_file is None:
        raise DataError(
            f"{path}: the position of its case is unknown, because the dataset was imported by an"
            " earlier version and its source is gone; import it again with --replace"
        )
    volume = read_volume(frame.reference_file)
    return _Frame(volume.affine, volume.has_geometry)


def _require_same_statement(volume: Volume, target: _Frame, path: Path) -> None:
    """Refuse a mask that may be turned or flipped against its case.

    Raises:
        DataError: Only one of both states an orientation.
    """
    if target.is_stated and not volume.has_geometry:
        raise DataError(
            f"{path}: it states no orientation, but its case's image does, so it may be turned or"
            " flipped; write it with the header of the image"
        )
    if volume.has_geometry and not target.is_stated and not _is_as_stored(volume):
        raise DataError(
            f"{path}: it states an orientation, but its case's image does not, so it may be turned"
            " or flipped; write it with the header of the image"
        )


def _is_as_stored(volume: Volume) -> bool:
    """True for ITK's default frame: it was not turned when it was read."""
    axes = volume.affine[:3, :3]
    return bool(np.array_equal(axes, np.diag(np.diag(axes))) and not volume.affine[:3, 3].any())


def _corners(affine: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """`(3, 8)` positions in millimetres of the corner voxels of a `(z, y, x)` grid."""
    last_xyz = np.array(shape[::-1]) - 1
    corners = np.array([[*(last_xyz * corner), 1] for corner in np.ndindex(2, 2, 2)]).T
    positions: NDArray[np.float64] = (affine @ corners)[:3]
    return positions


def _is_in_place(volume: Volume, target: _Frame, shape: tuple[int, int, int]) -> bool:
    """True if the corners of a mask with the case's size are those of the case."""
    if not target.is_stated:
        return True
    moved = _corners(volume.affine, shape) - _corners(target.affine, shape)
    return bool(np.linalg.norm(moved, axis=0).max() <= _MOVED_MM)


def _regrid(
    mask: NDArray[np.uint8], volume: Volume, target: _Frame, path: Path, frame: CaseFrame
) -> NDArray[np.uint8]:
    """The mask resampled to the case's grid (nearest neighbour).

    Raises:
        DataError: Its position is unknown, lost, or outside the case's scan.
    """
    if not target.is_stated:
        raise DataError(
            f"{path}: its grid is {mask.shape} at {volume.spacing_mm} mm, but the case's is"
            f" {frame.shape} at {frame.spacing_mm} mm, and their relative position is unknown;"
            " write the mask on the case's grid"
        )
    if _has_origin_0(volume.affine, mask.shape) and not _has_origin_0(target.affine, frame.shape):
        raise DataError(
            f"{path}: its origin is 0, 0, 0, but that of its case's image is not, so its position"
            " is lost; write it with the header of the image"
        )
    to_case = np.linalg.inv(target.affine) @ volume.affine  # (x, y, z) index to (x, y, z) index
    voxels = np.argwhere(mask)[:, ::-1]
    indices = voxels @ to_case[:3, :3].T + to_case[:3, 3]
    last_xyz = np.array(frame.shape[::-1]) - 1
    outside = ((indices < -0.5) | (indices > last_xyz + 0.5)).any(axis=1)
    if len(voxels) and outside.mean() > _OUTSIDE:
        raise DataError(
            f"{path}: {100 * outside.mean():.0f} % of it is outside the scan of its case, so its"
            " position is wrong; write it with the header of the image"
        )
    flip = np.eye(4)[[2, 1, 0, 3]]
    to_mask = flip @ np.linalg.inv(to_case) @ flip
    resampled: NDArray[np.uint8] = ndimage.affine_transform(
        mask, to_mask[:3, :3], to_mask[:3, 3], output_shape=frame.shape, order=0, cval=0
    )
    return resampled


def _has_origin_0(affine: NDArray[np.float64], shape: Sequence[int]) -> bool:
    """True if a corner voxel, the first one of the file, is at 0, 0, 0."""
    return bool((np.abs(_corners(affine, shape)).max(axis=0) < 1e-6).any())
