"""Reads volumes and converts them to the canonical frame `(C, z, y, x)`, left-posterior-superior.

In the canonical frame row 0 is anterior, column 0 is the patient's right and slice 0 is inferior:
axial slices look as radiologists expect them.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from sweeper.data.dicom import dicom_files, is_dicom, read_stack
from sweeper.data.voxel_files import (
    PAIR_SUFFIX,
    VolumeError,
    header_fields,
    natural_key,
    states_axes,
    voxel_files,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
PICTURE_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, PAIR_SUFFIX, *ITK_SUFFIXES)
SUFFIXES = VOLUME_SUFFIXES + PICTURE_SUFFIXES

NIFTI1_SIZES = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c")
NIFTI2_SIZES = (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
"""A NIfTI file starts with the size of its header, 348 or 540, in either byte order."""

EXTENSIONS: Mapping[int, str] = {2: "DICOM", 4: "AFNI", 6: "comment", 18: "MIND"}
"""NIfTI header extensions with texts about the patient. Source: nifti1 `ecode` registry."""

_LPS = np.array([[0, -1], [1, -1], [2, 1]])
"""nibabel's orientation array of the canonical frame, relative to nibabel's RAS+ frame."""

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One image or label file in the canonical frame.

    Attributes:
        array: `(C, z, y, x)`, the file's values after its scaling.
        spacing_mm: (z, y, x) voxel size, millimetres.
        affine: `(4, 4)` from (x, y, z) voxel indices of `array` to millimetres, in RAS+; only the
            voxel sizes if `has_geometry` is false.
        has_geometry: False if the file states no orientation: pictures, headers without these
            fields (both codes of a NIfTI are 0), and default affines such as `numpy.eye`. The array
            is then as stored: first axis columns, second rows, third slices.
        headers: Header texts that may contain names, for the privacy guard.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    has_geometry: bool
    headers: Mapping[str, str]


def suffix_of(path: Path) -> str:
    """The file's suffix in lower case; `.nii.gz` is one suffix."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def stem_of(path: Path) -> str:
    """The file's name without its suffix; `.nii.gz` is one suffix."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.name


def read_volume(path: Path, channels: Sequence[int] | None = ()) -> Volume:
    """The file's, DICOM series' or picture folder's volume in the canonical frame.

    Args:
        path: A file, any file of a DICOM series, or a folder with one series or with pictures.
        channels: The channels to read of a file with several (4-D NIfTI), in this order; empty if
            it has one, None for all that it has.

    Raises:
        VolumeError: The file is empty, damaged, of an unknown format, or not a 2-D or 3-D image.
        OSError: The file cannot be opened.
    """
    volume = _read(path, is_one_of_several=channels is None or len(channels) > 0)
    if not channels:
        return volume
    n_channels = len(volume.array)
    if max(channels) >= n_channels:
        has = "one channel" if n_channels == 1 else f"{n_channels} channels, 0 to {n_channels - 1}"
        raise VolumeError(f"it has {has}, but channel {max(channels)} was chosen")
    return replace(volume, array=volume.array[list(channels)])


def read_pictures_of_series(path: Path, series: Path) -> Volume:
    """A folder of pictures as label map of a DICOM series, in the series' frame.

    A picture belongs to the DICOM file of its name (`IMG-0004-00002.png`); if names differ, both
    are paired in natural order, as CHAOS orders them (sources.md S93).

    Args:
        path: Folder of pictures, one per slice.
        series: What `read_volume` takes for the image.

    Raises:
        VolumeError: Their numbers differ, or one of both cannot be read.
        OSError: A file cannot be opened.
    """
    pictures, stack = files_of(path), read_stack(series)
    if len(pictures) != len(stack.files):
        raise VolumeError(
            f"it has {len(pictures)} pictures, but its image has {len(stack.files)} DICOM files"
        )
    by_name = {stem_of(picture): picture for picture in pictures}
    if by_name.keys() != {stem_of(file) for file in stack.files}:
        named = sorted(stack.files, key=lambda file: natural_key(file.name))
        by_name = {stem_of(f): picture for f, picture in zip(named, pictures, strict=True)}
    planes = _stacked([by_name[stem_of(file)] for file in stack.files])
    return _canonical(
        planes.array.transpose(0, 3, 2, 1),
        _LPS_FROM_RAS @ stack.affine,
        planes.headers,
        is_stated=stack.has_position,
    )


def _read(path: Path, *, is_one_of_several: bool) -> Volume:
    if path.is_dir():
        return _read_folder(path)
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        if is_dicom(path):
            return _read_series(path)
        raise VolumeError(
            f"its suffix is {suffix!r}, expected one of {', '.join(SUFFIXES)}, or DICOM"
        )
    if path.stat().st_size == 0:
        raise VolumeError("the file has 0 bytes")
    missing = [file.name for file in voxel_files(path) if not file.exists()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise VolumeError(f"its voxels are in {missing[0]}{more}, which does not exist")
    if suffix in NIFTI_SUFFIXES:
        return _read_nifti(path, is_one_of_several=is_one_of_several)
    if suffix == PAIR_SUFFIX:
        return _read_pair(path, is_one_of_several=is_one_of_several)
    return _read_itk(
        path, is_picture=suffix in PICTURE_SUFFIXES, is_one_of_several=is_one_of_several
    )


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that a volume is read from, also missing ones.

    These are the file and those that hold its voxels, a folder's pictures ordered by name, or all
    DICOM files of a folder (also those of its other series).
    """
    if path.is_dir():
        pictures = (file for file in path.iterdir() if suffix_of(file) in PICTURE_SUFFIXES)
        return tuple(sorted(pictures, key=lambda file: natural_key(file.name))) or dicom_files(path)
    try:
        if suffix_of(path) not in SUFFIXES and is_dicom(path):
            return dicom_files(path.parent)
        return (path, *voxel_files(path))
    except OSError:  # reported when it is read
        return (path,)


def is_picture_folder(path: Path) -> bool:
    """True for a folder with pictures."""
    return path.is_dir() and any(suffix_of(file) in PICTURE_SUFFIXES for file in path.iterdir())


def is_series(path: Path) -> bool:
    """True for a DICOM file, or a folder with DICOM files."""
    if path.is_dir():
        return bool(dicom_files(path))
    return path.is_file() and suffix_of(path) not in SUFFIXES and is_dicom(path)


def _read_folder(path: Path) -> Volume:
    """A volume from pictures of the same size, one per slice, ordered by name; or from DICOM."""
    files = files_of(path)
    if not files:
        raise VolumeError("the folder contains neither pictures nor DICOM files")
    if suffix_of(files[0]) not in PICTURE_SUFFIXES:
        return _read_series(path)
    if dicom_files(path):
        raise VolumeError("the folder contains both pictures and DICOM files", "separate them")
    return _stacked(files)


def _stacked(pictures: Sequence[Path]) -> Volume:
    planes = [read_volume(file) for file in pictures]
    if len({plane.array.shape for plane in planes}) > 1:
        raise VolumeError("its pictures have different sizes or channels")
    return replace(planes[0], array=np.concatenate([plane.array for plane in planes], axis=1))


def _read_series(path: Path) -> Volume:
    stack = read_stack(path)
    return _canonical(
        stack.array.transpose(0, 3, 2, 1),
        _LPS_FROM_RAS @ stack.affine,
        stack.headers,
        is_stated=stack.has_position,
    )


def _read_nifti(path: Path, *, is_one_of_several: bool) -> Volume:
    image, data = _parse_nifti(path.read_bytes())
    return _nifti_volume(image, data, is_one_of_several=is_one_of_several)


def _read_pair(path: Path, *, is_one_of_several: bool) -> Volume:
    """The volume of a `.hdr` with its `.img`: NIfTI in two files, or Analyze 7.5."""
    raw = path.read_bytes()
    is_nifti = raw[344:347] == b"ni1"
    kind: Any = nib.Nifti1Pair if is_nifti else nib.AnalyzeImage
    voxels = voxel_files(path)[0].read_bytes()
    holders = kind.make_file_map()
    holders["header"].fileobj, holders["image"].fileobj = io.BytesIO(raw), io.BytesIO(voxels)
    try:
        image = kind.from_file_map(holders)
        _require_complete(image.dataobj, len(voxels))
        data = np.asanyarray(image.dataobj)
    except (ImageFileError, HeaderDataError, WrapStructError) as err:
        raise VolumeError("it is not an Analyze or NIfTI header") from err
    except (ValueError, OverflowError) as err:
        raise VolumeError("it is truncated or damaged") from err
    return _nifti_volume(image, data, is_one_of_several=is_one_of_several)


def _nifti_volume(image: Any, data: NDArray[Any], *, is_one_of_several: bool) -> Volume:
    if data.dtype.fields is not None or np.iscomplexobj(data):
        raise VolumeError(f"its voxels are of type {data.dtype}, expected one number per voxel")
    if data.ndim > 4:  # ITK writes the channels as fifth axis
        extra = [n for n in data.shape[3:] if n != 1]
        data = data.reshape(*data.shape[:3], *extra) if len(extra) < 2 else data
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim == 2:
        data = data[..., None]
    if data.ndim == 4 and data.shape[-1] and not is_one_of_several:
        raise _four_dimensional(data.shape)
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise VolumeError(f"its shape is {data.shape}, expected 3 axes (or 2)")
    data = np.moveaxis(data, 3, 0) if data.ndim == 4 else data[None]
    header = image.header
    headers = {
        key: bytes(header[key]).split(b"\0")[0].decode("latin-1").strip()
        for key in ("descrip", "db_name", "aux_file", "intent_name")
        if key in header
    }
    for number, extension in enumerate(getattr(header, "extensions", ()), start=1):
        # may be a whole DICOM header, whose texts must not be printed
        kind = EXTENSIONS.get(extension.get_code(), "unnamed")
        headers[f"extension {number}"] = f"{kind} block of {extension.get_sizeondisk()} bytes"
    affine = np.asarray(image.affine, dtype=np.float64)
    codes = [int(header[key]) for key in ("qform_code", "sform_code") if key in header]
    return _canonical(data, affine, headers, is_stated=any(codes))


def _parse_nifti(raw: bytes) -> tuple[Any, NDArray[Any]]:
    """Nibabel's image of a file, and its scaled values.

    It decompresses the file itself, because nibabel stops before gzip's checksum.
    """
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise VolumeError("it is truncated or damaged") from err
    if raw[:4] not in (*NIFTI1_SIZES, *NIFTI2_SIZES):
        raise VolumeError("it is not a NIfTI file")
    kind = nib.Nifti2Image if raw[:4] in NIFTI2_SIZES else nib.Nifti1Image
    try:
        image: Any = kind.from_bytes(raw)
        voxels = image.dataobj
        _require_complete(voxels, len(raw))
        return image, np.asanyarray(voxels)
    except VolumeError:
        raise
    except (ImageFileError, HeaderDataError, WrapStructError) as err:
        raise VolumeError("it is not a NIfTI file") from err
    except (OSError, ValueError, OverflowError) as err:  # missing bytes, impossible sizes
        raise VolumeError("it is truncated or damaged") from err


def _require_complete(voxels: Any, size: int) -> None:
    """Raise if the header announces more voxels than the file has.

    It runs first, because nibabel allocates all of the announced memory before it reads.
    """
    n_bytes = math.prod(int(n) for n in voxels.shape) * voxels.dtype.itemsize
    if voxels.offset + n_bytes > size:
        raise VolumeError(
            f"it is truncated or damaged: its header announces {n_bytes} bytes of voxels, but the"
            f" file has {max(0, size - voxels.offset)}"
        )


def _canonical(
    data: NDArray[Any],
    affine: NDArray[np.float64],
    headers: Mapping[str, str],
    *,
    is_stated: bool,
) -> Volume:
    """The volume of `data` `(C, i, j, k)` with its RAS+ affine, as `(C, z, y, x)` in LPS.

    If the header does not state the affine's axes, or they are a default, the array stays as it is.
    """
    no_geometry = "its affine is singular or not finite, so voxels have no position or size"
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise VolumeError(no_geometry)
    has_geometry = is_stated and not _is_default_affine(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if has_geometry:
        try:
            to_canonical = ornt_transform(io_orientation(affine), _LPS)
        except ValueError as err:  # magnitudes so different that rounding removes an axis
            raise VolumeError(no_geometry) from err
        shape = data.shape[1:]
        data = np.stack([apply_orientation(channel, to_canonical) for channel in data])
        affine = affine @ nib.orientations.inv_ornt_aff(to_canonical, shape)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
    else:
        affine = np.diag([*spacing, 1.0])
    return Volume(
        array=data.transpose(0, 3, 2, 1),
        spacing_mm=(_mm(spacing[2]), _mm(spacing[1]), _mm(spacing[0])),
        affine=affine,
        has_geometry=has_geometry,
        headers=headers,
    )


def _mm(value: float) -> float:
    """Rounded, to remove the float32 noise of headers."""
    return round(float(value), 6)


def _is_default_affine(affine: NDArray[np.float64]) -> bool:
    """True for a default affine (`numpy.eye`, or voxel sizes only), which has no orientation.

    A scanner's patient frame has a nonzero origin and, in RAS+, negative axes. Tools that do not
    know the orientation write a positive diagonal with a zero origin. Such arrays are used as
    stored (first axis columns, second rows, third slices), as DeSAM's release uses all arrays.
    """
    off_diagonal = affine[:3, :3] - np.diag(np.diag(affine[:3, :3]))
    return bool(
        (np.diag(affine)[:3] > 0).all() and not off_diagonal.any() and not affine[:3, 3].any()
    )


def _four_dimensional(shape: Sequence[int]) -> VolumeError:
    """The error of a file of shape (x, y, z, channels) if no channel was chosen."""
    x, y, z, n_channels = shape
    return VolumeError(
        f"it is 4-D: {n_channels} volumes of {x} x {y} x {z}",
        f"choose one with --channel (0 to {n_channels - 1}) if it is an image; a label may have"
        " only one",
    )


def _read_itk(path: Path, *, is_picture: bool, is_one_of_several: bool) -> Volume:
    import SimpleITK as sitk  # noqa: N813  (takes 0.8 s; most datasets do not need it)

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as err:
        if "PixelType" in str(err):
            raise VolumeError(
                "its pixel type is not supported, such as grey with transparency"
            ) from err
        raise VolumeError(_unread(path)) from err
    array = sitk.GetArrayFromImage(image)
    if np.iscomplexobj(array):
        raise VolumeError(f"its voxels are of type {array.dtype}, expected one number per voxel")
    if image.GetDimension() == 4 and image.GetNumberOfComponentsPerPixel() == 1:
        if not is_one_of_several:
            raise _four_dimensional(image.GetSize())
        return _itk_volume(image, array, path)
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
        array = array[:3] if is_picture else array  # an alpha channel is not an intensity
    else:
        array = array[None]
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape:
        raise VolumeError(f"its shape is {array.shape[1:]}, expected 3 axes (or 2)")
    headers = _itk_headers(image)
    if is_picture or image.GetDimension() != 3:
        return Volume(
            array=array,
            spacing_mm=(
                1.0,
                1.0,
                1.0,
            ),  # a picture's resolution in dpi says nothing about millimetres
            affine=np.eye(4),
            has_geometry=False,
            headers=headers,
        )
    return _itk_volume(image, array, path)


def _itk_volume(image: Any, array: NDArray[Any], path: Path) -> Volume:
    """The volume of `array` `(C, z, y, x)` in the frame of the image's first three axes."""
    n_axes = image.GetDimension()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(n_axes, n_axes)[:3, :3]
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return _canonical(
        array.transpose(0, 3, 2, 1),
        _LPS_FROM_RAS @ affine,
        _itk_headers(image),
        is_stated=states_axes(path),
    )


def _unread(path: Path) -> str:
    """Why ITK cannot read a file, as far as its header says."""
    fields = header_fields(path)
    n_axes = fields.get("ndims") or fields.get("dimension") or ""
    if n_axes.isdecimal() and not 2 <= int(n_axes) <= 4:
        return f"its dimension is {int(n_axes)}, expected 2 or 3 (4 with --channel)"
    if fields.get("type") == "block":
        return "its voxels are of type block, expected one number per voxel"
    return "it is truncated or damaged, or its suffix is wrong"


def _itk_headers(image: Any) -> dict[str, str]:
    """Texts of an ITK image's header; for bytes that are not text it says so."""
    headers = {}
    for key in image.GetMetaDataKeys():
        try:
            headers[str(key)] = str(image.GetMetaData(key))
        except (TypeError, UnicodeError):  # a key or text that is not UTF-8
            headers[ascii(key)] = "bytes that are not text"
    return headers
