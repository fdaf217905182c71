"""Converts volumes to the 8-bit slices that DeSAM trains on; every constant names its source.

Source of the `desam` profile: DeSAM (yifangao112/DeSAM, f377da2) `precompute_embeddings.py`;
sources.md S14.
Source of the `ct` and `mr` profiles: CSDG (repository
cheng-01037/Causality-Medical-Image-Domain-Generalization) `data/abdominal`; sources.md S12.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage
from skimage.transform import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

LabelResize = Literal["nearest", "released", "linear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Settings that convert the volumes of one domain to slices.

    Attributes:
        image_size_px: Side length of the stored square slices.
        percentiles: Intensities of the whole volume below and above these are clipped.
        window: Fixed intensity window (Hounsfield units) instead of the percentiles, or None.
        keep_zero_background: True if voxels that are exactly 0 in the file stay 0.
        resample_mm: (z, y, x) voxel size of an initial linear resampling, or None.
        crop_fraction: Fraction of the side that is cropped at each in-plane border before resizing.
        centre_crop_px: Side of a centred square crop, padded with the minimum, or None.
        image_order: Spline order of the image's resizing, which is anti-aliased.
        label_resize: `nearest`: nearest neighbour; `released`: as in the released code, which first
            applies an integer low-pass filter that erodes labels of large matrices; `linear`:
            one-hot, linear, rounded.
        scales_each_channel: True if each channel has intensities of its own (T2 and ADC); False if
            they share theirs, as the colours of a picture.
    """

    image_size_px: int = 256
    percentiles: tuple[float, float] = (0.5, 99.5)
    window: tuple[float, float] | None = None
    keep_zero_background: bool = True
    resample_mm: tuple[float, float, float] | None = None
    crop_fraction: float = 0.0
    centre_crop_px: int | None = None
    image_order: int = 3
    label_resize: LabelResize = "nearest"
    scales_each_channel: bool = False

    def as_mapping(self) -> dict[str, Any]:
        """The settings as plain values for the store's attributes and the fingerprint.

        `scales_each_channel` was added later, so it is left out if it is False.
        """
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key != "scales_each_channel" or value
        }


PROFILES: dict[str, Preprocessing] = {
    # Deviation: label_resize is nearest without the low-pass filter; the released code's order 0
    # with anti-aliasing erodes labels of 320 px and more by 4 % of their area (sources.md S13).
    "desam": Preprocessing(),
    # Deviation: in CT, 0 is the value of water, not of the background, so it is scaled like others.
    "desam_ct": Preprocessing(keep_zero_background=False),
    "ct": Preprocessing(
        image_size_px=192,
        window=(-125.0, 275.0),
        keep_zero_background=False,
        crop_fraction=32 / 512,
        label_resize="linear",
    ),
    # Deviation: 256 px are resized to 192 in one step, not two; the second step only blurs.
    "mr": Preprocessing(
        image_size_px=192,
        percentiles=(0.0, 99.5),
        keep_zero_background=False,
        resample_mm=(7.7, 1.25, 1.25),
        centre_crop_px=256,
        label_resize="linear",
    ),
}
"""Name -> profile; a layout assigns a profile to each of its domains."""


def profile(name: str, *, label_resize: LabelResize | None = None) -> Preprocessing:
    """The named profile, with another label resize if one is given."""
    chosen = PROFILES[name]
    return chosen if label_resize is None else replace(chosen, label_resize=label_resize)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSlices:
    """The stored slices of one volume.

    Attributes:
        image: `(n, C, H, W)` uint8.
        label: `(n, H, W)` uint8, 0 background, 1.. structures.
        z: Positions of the slices in the canonical (resampled) volume, ascending.
        spacing_mm: (z, y, x) after resizing.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    z: tuple[int, ...]
    spacing_mm: tuple[float, float, float]


def prepare_slices(
    image: NDArray[Any],
    label: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    settings: Preprocessing,
) -> PreparedSlices:
    """Every slice of a volume, 8-bit and square.

    Deviation: the release keeps the foreground slices without the last one (`range(z_min, z_max)`).
    Here all are kept: trainings read those with a label, the `desam2024` scoring drops the last of
    these, and the `volume` scoring needs the others.

    Args:
        image: `(C, z, y, x)` in the canonical frame, any numeric type.
        label: `(z, y, x)`, 0 background, 1.. structures.
        spacing_mm: (z, y, x) voxel size of both.
        settings: Preprocessing of the domain.
    """
    pixels, prepared_mm = prepare_image(image, spacing_mm, settings)
    positions = tuple(range(len(pixels)))
    return PreparedSlices(
        image=pixels,
        label=prepare_mask(label, spacing_mm, settings, positions),
        z=positions,
        spacing_mm=prepared_mm,
    )


def prepare_image(
    image: NDArray[Any], spacing_mm: tuple[float, float, float], settings: Preprocessing
) -> tuple[NDArray[np.uint8], tuple[float, float, float]]:
    """Every slice of an image, 8-bit and square, and the spacing after resizing.

    Only one slice at a time is converted, so that a large CT needs little more memory than its
    voxels and its slices.

    Args:
        image: `(C, z, y, x)` in the canonical frame, any numeric type.
        spacing_mm: (z, y, x) voxel size.
        settings: Preprocessing of the domain.

    Returns:
        `(n, C, H, W)` uint8, and (z, y, x) in millimetres.
    """
    if settings.resample_mm is not None:
        no_label = np.zeros(image.shape[1:], dtype=np.uint8)
        image, _, spacing_mm = _resample(image, no_label, spacing_mm, settings)
    size, n = settings.image_size_px, image.shape[1]
    pixels = np.empty((n, len(image), size, size), dtype=np.uint8)
    ranges = intensity_ranges(image, settings)
    rows = cols = size
    for z in range(n):
        plane = np.stack(
            [
                _scaled(channel[z], *of_channel, settings)
                for channel, of_channel in zip(image, ranges, strict=True)
            ]
        )
        for axis in (0, 1):
            plane = _crop_axis(plane, axis + 1, settings)
        rows, cols = plane.shape[1:]
        for channel, out in zip(plane, pixels[z], strict=True):
            out[...] = resize_image(channel, size, settings.image_order)
    return pixels, (spacing_mm[0], spacing_mm[1] * rows / size, spacing_mm[2] * cols / size)


def prepare_mask(
    mask: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    settings: Preprocessing,
    z: tuple[int, ...],
) -> NDArray[np.uint8]:
    """Slices `z` of a label map, prepared as by `prepare_slices`, including empty ones.

    Args:
        mask: `(z, y, x)` in the canonical frame.
        spacing_mm: (z, y, x) voxel size.
        settings: Preprocessing of the domain.
        z: Positions in the canonical (resampled) volume.

    Returns:
        `(len(z), H, W)` uint8.
    """
    if settings.resample_mm is not None:
        no_image = np.zeros((1, *mask.shape), dtype=np.uint8)
        _, mask, _ = _resample(no_image, mask, spacing_mm, settings)
    for axis in (1, 2):
        mask = _crop_axis(mask, axis, settings)
    size = settings.image_size_px
    planes = [resize_label(mask[position], size, settings.label_resize) for position in z]
    return np.array(planes, dtype=np.uint8).reshape(len(z), size, size)


def to_8bit(image: NDArray[Any], settings: Preprocessing) -> NDArray[np.uint8]:
    """A volume `(C, z, y, x)` clipped, scaled to 0..255 and truncated to uint8, as released.

    Only one slice at a time is converted to floats, so that a large CT needs only a few times the
    memory of its file.
    """
    pixels = np.empty(image.shape, dtype=np.uint8)
    ranges = intensity_ranges(image, settings)
    for channel, out, of_channel in zip(image, pixels, ranges, strict=True):
        for index, plane in enumerate(channel):
            out[index] = _scaled(plane, *of_channel, settings)
    return pixels


def _scaled(
    plane: NDArray[Any], low: float, high: float, settings: Preprocessing
) -> NDArray[np.uint8]:
    """A plane `(y, x)` clipped, scaled to 0..255 and truncated to uint8."""
    values = plane.astype(np.float64)
    scaled = np.clip(values, low, high)
    scaled = (scaled - low) / (high - low if high > low else 1.0) * 255.0
    if settings.keep_zero_background:
        scaled[values == 0] = 0
    return scaled.astype(np.uint8)  # a cast truncates


def intensity_ranges(image: NDArray[Any], settings: Preprocessing) -> list[tuple[float, float]]:
    """`intensity_range` of each channel of an image `(C, z, y, x)`."""
    if settings.scales_each_channel:
        return [intensity_range(channel[None], settings) for channel in image]
    return [intensity_range(image, settings)] * len(image)


def intensity_range(image: NDArray[Any], settings: Preprocessing) -> tuple[float, float]:
    """The intensities that become 0 and 255: minimum and maximum of the clipped volume."""
    least, most = float(image.min()), float(image.max())
    low, high = settings.window or _percentiles(image, settings.percentiles)
    return min(max(least, low), high), max(min(most, high), low)


def _percentiles(image: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    """`np.percentile` of all voxels, without converting them to float64."""
    values = image.flatten(order="K")  # the only copy, partitioned in place
    positions = [percent / 100 * (values.size - 1) for percent in percentiles]
    below = [int(position) for position in positions]
    above = [min(index + 1, values.size - 1) for index in below]
    values.partition(sorted({*below, *above}))

    def at(position: float, lower: int, upper: int) -> float:
        start, end, part = float(values[lower]), float(values[upper]), position - lower
        # numpy's interpolation formula, so that the result is equal to the last bit
        return start + (end - start) * part if part < 0.5 else end - (end - start) * (1 - part)

    first, last = (at(*three) for three in zip(positions, below, above, strict=True))
    return first, last


def resize_image(plane: NDArray[np.uint8], size: int, order: int) -> NDArray[np.uint8]:
    """`(H, W)` to `(size, size)`: anti-aliased spline as released, truncated to uint8."""
    resized = resize(
        plane.astype(np.float64),
        (size, size),
        order=order,
        preserve_range=True,
        mode="constant",
        anti_aliasing=True,
    )
    resized_8bit: NDArray[np.uint8] = resized.astype(np.uint8)
    return resized_8bit


def resize_label(plane: NDArray[np.uint8], size: int, how: LabelResize) -> NDArray[np.uint8]:
    """`(H, W)` label map to `(size, size)`, per structure; in overlaps the later one wins."""
    out = np.zeros((size, size), dtype=np.uint8)
    for value in np.unique(plane[plane > 0]):
        mask = (plane == value).astype(np.uint8)
        if how == "released":
            mask = _low_pass_integers(mask, size)
        order = 1 if how == "linear" else 0
        resized = resize(
            mask.astype(np.float64),
            (size, size),
            order=order,
            preserve_range=True,
            mode="constant",
            anti_aliasing=False,
        )
        out[resized > (0.5 if how == "linear" else 0)] = value
    return out


def _low_pass_integers(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The integer Gaussian filter of scikit-image 0.19, which turns 0.99 into 0.

    Source: `skimage.transform.resize` 0.19.2 with `anti_aliasing=True`; sources.md S13.
    """
    sigma = [max(0.0, (length / size - 1) / 2) for length in mask.shape]
    filtered: NDArray[np.uint8] = ndimage.gaussian_filter(mask, sigma, mode="constant", cval=0)
    return filtered


def _resample(
    image: NDArray[Any],
    label: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    settings: Preprocessing,
) -> tuple[NDArray[Any], NDArray[np.uint8], tuple[float, float, float]]:
    """Image and label resampled linearly to `resample_mm`; labels one-hot and rounded."""
    target = settings.resample_mm or spacing_mm
    shape = tuple(
        max(1, round(n * old / new))
        for n, old, new in zip(label.shape, spacing_mm, target, strict=True)
    )
    factors = [n / m for n, m in zip(shape, label.shape, strict=True)]

    def zoom(array: NDArray[Any]) -> NDArray[np.float64]:
        zoomed: NDArray[np.float64] = ndimage.zoom(
            array.astype(np.float64), factors, order=1, mode="nearest", grid_mode=True
        )
        return zoomed

    resampled = np.zeros(shape, dtype=np.uint8)
    for value in np.unique(label[label > 0]):
        resampled[zoom(label == value) > 0.5] = value  # 0.5 rounds to 0
    actual = tuple(s / f for s, f in zip(spacing_mm, factors, strict=True))
    return (
        np.stack([zoom(channel) for channel in image]),
        resampled,
        (actual[0], actual[1], actual[2]),
    )


def _crop_axis(array: NDArray[np.uint8], axis: int, settings: Preprocessing) -> NDArray[np.uint8]:
    """The array with the borders of one axis cropped, then its centre, padded if needed."""
    length = array.shape[axis]
    cut = round(settings.crop_fraction * length)
    array = array.take(range(cut, length - cut), axis=axis)
    if settings.centre_crop_px is not None:
        array = _centre(array, axis, settings.centre_crop_px)
    return array


def _centre(array: NDArray[np.uint8], axis: int, length: int) -> NDArray[np.uint8]:
    """The central `length` voxels of one axis; missing ones are padded with 0, the minimum."""
    full = array.shape[axis]
    start = max(0, (full - length) // 2)
    array = array.take(range(start, min(full, start + length)), axis=axis)
    missing = length - array.shape[axis]
    pad = [(0, 0)] * array.ndim
    pad[axis] = (missing // 2, missing - missing // 2)
    return np.pad(array, pad)
