"""Reads an image that is not in any dataset, and prepares its slices as an import does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.data.preprocessing import prepare_image
from sweeper.data.restore import restore_mask
from sweeper.data.volume import Volume, read_volume, stem_of
from sweeper.data.voxel_files import VolumeError
from sweeper.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeper.data.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """An image with its prepared slices.

    Attributes:
        path: Its file, or its folder of pictures.
        case: Name of the file without its suffix.
        volume: Its geometry; the array is empty, because it is not needed any more.
        shape: (z, y, x) in the canonical frame.
        pixels: Every slice, `(n, C, H, W)` uint8.
        settings: The preprocessing that made them.
    """

    path: Path
    case: str
    volume: Volume
    shape: tuple[int, int, int]
    pixels: NDArray[np.uint8]
    settings: Preprocessing

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres; nan if the file has no voxel size."""
        if not self.volume.has_geometry:
            return float("nan")
        return float(np.prod(self.volume.spacing_mm)) / 1000

    def restore(self, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """A mask of all slices `(n, H, W)` on the scan's grid, `(z, y, x)` uint8, 0 and 1."""
        return restore_mask(mask, self.shape, self.volume.spacing_mm, self.settings)


def read_scan(path: Path, settings: Preprocessing, channels: int) -> Scan:
    """The image with its prepared slices.

    Args:
        path: A file of any format that `read_volume` reads, or a folder of pictures.
        settings: Preprocessing of the domain that the image is like.
        channels: Image channels of the model.

    Raises:
        DataError: The image cannot be read, or the model cannot use it.
    """
    try:
        volume = read_volume(path, None if channels > 1 else ())
    except VolumeError as err:
        raise DataError(f"{path}: {err}") from err
    except OSError as err:
        raise DataError(f"{path}: {err.strerror or err}; name an existing image") from err
    return _scan(volume, path, path.name if path.is_dir() else stem_of(path), settings, channels)


def scan_of_array(
    image: NDArray[Any],
    spacing_mm: tuple[float, float, float] | None,
    settings: Preprocessing,
    channels: int,
) -> Scan:
    """An array as a scan.

    Args:
        image: `(z, y, x)`, `(y, x)`, or with channels first `(C, z, y, x)`, in the canonical frame:
            row 0 is anterior, column 0 the patient's right and slice 0 inferior.
        spacing_mm: (z, y, x) voxel size; None if it is unknown.
        settings: Preprocessing of the domain that the image is like.
        channels: Image channels of the model.

    Raises:
        DataError: The model cannot use the image.
    """
    array = np.asarray(image)
    array = array[(None,) * max(0, 4 - array.ndim)] if array.ndim in (2, 3) else array
    if array.ndim != 4 or 0 in array.shape:
        raise DataError(
            f"image has shape {np.shape(image)}, expected (z, y, x), (y, x) or (C, z, y, x)"
        )
    z, y, x = spacing_mm or (1.0, 1.0, 1.0)
    volume = Volume(
        array=array,
        spacing_mm=(z, y, x),
        affine=np.diag([-x, -y, z, 1.0]),
        has_geometry=spacing_mm is not None,
        headers={},
    )
    return _scan(volume, Path("array"), "array", settings, channels)


def _scan(volume: Volume, path: Path, case: str, settings: Preprocessing, channels: int) -> Scan:
    """The prepared slices of a volume, whose own array is dropped.

    Raises:
        DataError: The model cannot use it.
    """
    array = _with_channels(volume.array, channels, path)
    for plane in array.swapaxes(0, 1):
        if not np.isfinite(plane).all():
            raise DataError(f"{path}: it has voxels that are nan or infinite; replace them")
    pixels, _ = prepare_image(array, volume.spacing_mm, settings)
    z, y, x = array.shape[1:]
    return Scan(
        path=path,
        case=case,
        volume=replace(volume, array=array[:, :0].copy()),
        shape=(z, y, x),
        pixels=pixels,
        settings=settings,
    )


def _with_channels(array: NDArray[Any], channels: int, path: Path) -> NDArray[Any]:
    """The array with the model's channels; a grey picture saved with three channels has one.

    Raises:
        DataError: It has other channels.
    """
    if len(array) == channels:
        return array
    if channels == 1 and all(np.array_equal(array[0], channel) for channel in array[1:]):
        return array[:1]
    raise DataError(
        f"{path}: it has {len(array)} channels, but the model was trained on images with"
        f" {channels}; convert the image"
    )
