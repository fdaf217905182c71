"""Reads DICOM: which files of a folder are one series, and a series as slices in order of position.

Source: DICOM PS3.3, C.7.6.2 (image plane); sources.md S92.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.data.voxel_files import VolumeError, natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")

UNEVEN_MM = 0.1
"""Allowed difference between the gaps of a series; positions are rounded to about 0.01 mm."""

_PREAMBLE = 128
_TEXTS: Mapping[str, str] = {
    "0010|0010": "PatientName",
    "0010|0020": "PatientID",
    "0010|0030": "PatientBirthDate",
    "0008|0050": "AccessionNumber",
}
"""Fields that name a person, for the privacy guard."""

_NOT_IMAGES: Mapping[str, str] = {
    "RTSTRUCT": "contours",
    "SEG": "a segmentation object",
    "SR": "a report",
    "PR": "a presentation state",
    "KO": "a list of key images",
}
"""Modalities of files that hold no stack of slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The files of one scan.

    Attributes:
        files: In natural order of their names.
        description: Its `SeriesDescription`; empty if it has none.
        modality: Its `Modality`, such as `MR`.
    """

    files: tuple[Path, ...]
    description: str
    modality: str

    def words(self) -> str:
        """Name and size in a list."""
        name = self.description or self.modality or "no description"
        n_files = len(self.files)
        return f"{name} ({n_files} file{'s' if n_files > 1 else ''}, {self.files[0].name} ...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The slices of a series in order of position.

    Attributes:
        array: `(C, z, y, x)`, after the rescaling of the files (HU in CT).
        affine: `(4, 4)` from (x, y, z) indices to millimetres in LPS.
        has_position: False if the files state no position; they are then in the order of their
            instance numbers.
        files: One per slice; a single one if a file has several frames.
        headers: Texts that may name a person.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    has_position: bool
    files: tuple[Path, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


def is_dicom(file: Path) -> bool:
    """True for a DICOM suffix, or the four letters after DICOM's preamble of 128 bytes."""
    if file.name.upper() == "DICOMDIR" or file.name.startswith("."):
        return False
    if file.suffix.lower() in DICOM_SUFFIXES:
        return True
    if file.suffix and not file.suffix[1:].isdigit():  # names may end with numbers of a UID
        return False
    with file.open("rb") as opened:
        return opened.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def dicom_files(folder: Path) -> tuple[Path, ...]:
    """The DICOM files in a folder, in natural order."""
    files = (file for file in folder.iterdir() if file.is_file() and is_dicom(file))
    return tuple(sorted(files, key=lambda file: natural_key(file.name)))


def read_stack(path: Path) -> Stack:
    """The series in a folder, or the one that a file belongs to, as slices in order of position.

    Raises:
        VolumeError: The folder has several series, or the slices are not one volume.
        OSError: A file cannot be opened.
    """
    if path.is_dir():
        series = list_series(dicom_files(path))
        if len(series) > 1:
            shown = "; ".join(one.words() for one in series[:5])
            more = f"; and {len(series) - 5} more" if len(series) > 5 else ""
            raise VolumeError(
                f"it contains {len(series)} DICOM series, expected one: {shown}{more}",
                "name a file of the right one instead of the folder",
            )
        return _stack(series[0])
    path.open("rb").close()  # a missing file is an OSError
    series = list_series(dicom_files(path.parent))
    return _stack(next(one for one in series if path in one.files))


def list_series(files: Sequence[Path]) -> list[Series]:
    """The series among files of one folder, largest first; orientations count as series.

    Anonymised files in which every one has its own series are one series (CHAOS).

    Raises:
        VolumeError: A file is not DICOM.
    """
    found: dict[tuple[str, ...], list[tuple[Path, Any]]] = {}
    for file in files:
        header = _header(file)
        plane = _field(header, "0020|0037").split("\\")
        key = (
            _field(header, "0020|000e"),
            *(f"{float(part):.2f}" for part in plane if _is_number(part)),
            _field(header, "0028|0010"),
            _field(header, "0028|0011"),
        )
        found.setdefault(key, []).append((file, header))
    planes = {key[1:] for key in found}
    if len(found) == len(files) > 2 and len(planes) == 1:
        found = {(): [one for group in found.values() for one in group]}
    series = [
        Series(
            files=tuple(file for file, _ in group),
            description=_field(group[0][1], "0008|103e"),
            modality=_field(group[0][1], "0008|0060"),
        )
        for group in found.values()
    ]
    return sorted(series, key=lambda one: -len(one.files))


def _stack(series: Series) -> Stack:
    if series.modality in _NOT_IMAGES:
        raise VolumeError(
            f"it is DICOM {series.modality} ({_NOT_IMAGES[series.modality]}), not images",
            "convert it to a label map (3D Slicer, dcmqi)",
        )
    images = [(file, _image(file)) for file in series.files]
    sizes = {image.GetSize()[:2] for _, image in images}
    if len(sizes) > 1:
        raise VolumeError(f"its slices have different sizes: {_some(map(str, sorted(sizes)))}")
    first = images[0][1]
    headers = {name: _field(first, tag) for tag, name in _TEXTS.items() if _field(first, tag)}
    if len(images) == 1:
        file, image = images[0]
        return Stack(
            array=_pixels(image),
            affine=_affine(image),
            has_position=_has_position(image) or image.GetSize()[2] > 1,
            files=(file,),
            headers=headers,
        )
    has_position = all(_has_position(image) for _, image in images)
    if has_position:
        images, affine = _by_position(images)
    else:
        images.sort(key=lambda one: _instance(one[1]))
        affine = _affine(first)
    return Stack(
        array=np.concatenate([_pixels(image) for _, image in images], axis=1),
        affine=affine,
        has_position=has_position,
        files=tuple(file for file, _ in images),
        headers=headers,
    )


def _by_position(
    images: list[tuple[Path, Any]],
) -> tuple[list[tuple[Path, Any]], NDArray[np.float64]]:
    """The images along the normal of their plane, and the affine of the stack."""
    affine = _affine(images[0][1])
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal /= np.linalg.norm(normal)
    placed = sorted(
        ((float(np.dot(image.GetOrigin(), normal)), file, image) for file, image in images),
        key=lambda one: (one[0], natural_key(one[1].name)),
    )
    gaps = np.diff([position for position, _, _ in placed])
    if gaps.min() < 1e-3:
        at = int(gaps.argmin())
        twice = int((gaps < 1e-3).sum())
        raise VolumeError(
            f"{twice + 1} of its slices share positions, such as {placed[at][1].name} and"
            f" {placed[at + 1][1].name}, so it has several images per slice (time points, echoes or"
            " b-values)",
            "put one of them in a folder of its own",
        )
    if gaps.max() - gaps.min() > UNEVEN_MM:
        at = int(gaps.argmax())
        raise VolumeError(
            f"its slices are {gaps.min():.4g} to {gaps.max():.4g} mm apart, expected equal gaps",
            f"add what is missing between {placed[at][1].name} and {placed[at + 1][1].name}, or"
            " remove the case",
        )
    first, last = placed[0][2], placed[-1][2]
    # also right for tilted gantries, whose slices are not above each other
    affine[:3, 2] = np.subtract(last.GetOrigin(), first.GetOrigin()) / len(gaps)
    affine[:3, 3] = first.GetOrigin()
    return [(file, image) for _, file, image in placed], affine


def _affine(image: Any) -> NDArray[np.float64]:
    """`(4, 4)` of one DICOM image, in LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def _pixels(image: Any) -> NDArray[Any]:
    """`(C, z, y, x)` of one DICOM image."""
    import SimpleITK as sitk  # noqa: N813  (takes 0.8 s; most datasets do not need it)

    array: NDArray[Any] = sitk.GetArrayFromImage(image)
    return np.moveaxis(array, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else array[None]


def _image(file: Path) -> Any:
    reader = _reader(file)
    try:
        return reader.Execute()
    except RuntimeError as err:
        raise VolumeError(f"{file.name} is truncated or damaged, or has no image") from err


def _header(file: Path) -> Any:
    reader = _reader(file)
    try:
        reader.ReadImageInformation()
    except RuntimeError as err:
        raise VolumeError(f"{file.name} is not a DICOM file, or it is damaged") from err
    return reader


def _reader(file: Path) -> Any:
    import SimpleITK as sitk  # noqa: N813  (as above)

    file.open("rb").close()  # an OSError, where ITK only says that it failed
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # GDCM writes to the terminal itself
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    return reader


def _field(header: Any, tag: str) -> str:
    """Text of a field; empty if it is missing."""
    if not header.HasMetaDataKey(tag):
        return ""
    try:
        return str(header.GetMetaData(tag)).strip("\0 \n")
    except UnicodeError:
        return "bytes that are not text"


def _has_position(image: Any) -> bool:
    return bool(_field(image, "0020|0032")) and bool(_field(image, "0020|0037"))


def _instance(image: Any) -> int:
    number = _field(image, "0020|0013")
    return int(number) if number.lstrip("-").isdigit() else 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _some(texts: Iterable[str]) -> str:
    return ", ".join(list(texts)[:4])
