"""Checks the voxels of one case: its image, its label, and both together."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from desam_model.types import IGNORED_LABEL
from sweeper.data.faults import Fault, Severity, relative
from sweeper.data.volume import VOLUME_SUFFIXES, files_of, suffix_of
from sweeper.data.voxel_files import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.layouts.source import SourceCase
    from sweeper.data.volume import Volume

GEOMETRY_TOLERANCE_MM = 1e-3
"""Allowed distance between corners of image and label; headers round to float32."""

SPACING_RANGE_MM = (0.05, 20.0)
"""Voxel sizes outside this range are suspicious: metres, micrometres, or a default header."""

AIR_HU = -300.0
"""An image with a value this low is probably CT: air has -1000 HU, fat -100."""

BORDER_FRACTION = 50 / 256
"""Border that the `desam2024` scoring clears in predictions. Source: DeSAM `edge_set_zero=50`."""

MAX_LABEL_VALUES = 64
"""An image with fewer distinct values than this is likely a label map."""


class CaseChecker:
    """Collects the faults of one case.

    Attributes:
        faults: Faults so far.
    """

    def __init__(self, case: SourceCase, root: Path) -> None:
        self.case, self.root = case, root
        self.faults: list[Fault] = []

    def fault(
        self, code: str, path: Path, problem: str, remedy: str, *, warning: bool = False
    ) -> None:
        """Add a fault of a file of this case."""
        self.faults.append(
            Fault(
                code=code,
                where=relative(path, self.root),
                problem=problem,
                remedy=remedy,
                severity=Severity.WARNING if warning else Severity.ERROR,
                case=self.case.case,
            )
        )

    def read_image(self) -> Volume | None:
        """The image; if it cannot be read, None and a fault is added."""
        return self._read(self.case.image, self.case.read_image)

    def read_label(self) -> Volume | None:
        """The label map; if it cannot be read, None and a fault is added."""
        return self._read(self.case.label, self.case.read_label)

    def _read(self, path: Path, read: Callable[[], Volume]) -> Volume | None:
        try:
            return read()
        except VolumeError as err:
            remedy = err.remedy or "replace the file or remove the case"
            self.fault("unreadable", path, err.problem, remedy)
        except FileNotFoundError:
            remedy = "correct the path or remove the case"
            self.fault("file-missing", path, "the file does not exist", remedy)
        except OSError as err:
            problem = f"it cannot be opened ({err.strerror})"
            self.fault("unreadable", path, problem, "correct its permissions")
        return None

    def check_image(self, volume: Volume, modality: str = "") -> None:
        """Check for NaN, infinite, constant, label-like or odd values, and for odd geometry."""
        path, values = self.case.image, volume.array
        if values.dtype.kind == "f":
            bad = int((~np.isfinite(values)).sum())
            if bad:
                self.fault(
                    "image-not-finite",
                    path,
                    f"{bad} of {values.size} voxels are NaN or infinite",
                    "set them to 0, or export the image again",
                )
                return
        if values.min() == values.max():
            self.fault(
                "image-constant",
                path,
                f"every voxel is {values.flat[0]:g}",
                "export the image again; this one shows nothing",
            )
            return
        sample = values.reshape(-1)[:: max(1, values.size // 200_000)]
        if values.dtype.kind in "iu" and len(np.unique(sample)) < 8 and len(np.unique(values)) < 8:
            self.fault(
                "image-like-label",
                path,
                f"it contains only {len(np.unique(values))} different values",
                "check that image and label are not swapped",
                warning=True,
            )
        self._check_modality(float(values.min()), modality)
        self._check_geometry(volume)

    def _check_modality(self, lowest: float, modality: str) -> None:
        if modality != "CT" and lowest <= AIR_HU:
            self.fault(
                "image-like-ct",
                self.case.image,
                f"its lowest value is {lowest:g}, as in CT, but its modality is"
                f" {modality or 'not stated'}, so its voxels of value 0 become black",
                "import it with --modality CT (or a modality column) if it is CT",
                warning=True,
            )
        if modality == "CT" and lowest >= 0:
            self.fault(
                "image-unlike-ct",
                self.case.image,
                f"its modality is CT, but its lowest value is {lowest:g}, not that of air (-1000)",
                "subtract the offset, such as 1024, or correct the modality",
                warning=True,
            )

    def _check_geometry(self, volume: Volume) -> None:
        path = self.case.image
        low, high = SPACING_RANGE_MM
        if not all(low <= s <= high for s in volume.spacing_mm):
            sizes = " x ".join(f"{s:g}" for s in volume.spacing_mm)
            self.fault(
                "spacing-odd",
                path,
                f"its voxels are {sizes} mm (z, y, x), expected {low:g} to {high:g} mm",
                "correct the header, or ignore this case's distances in millimetres",
                warning=True,
            )
        if not volume.has_geometry and volume.array.shape[1] > 1:
            self.fault(
                "geometry-nominal",
                path,
                "its header states no orientation",
                "the array is used as stored; add the scanner's affine if it appears upside down",
                warning=True,
            )
        in_plane, between = max(volume.spacing_mm[1:]), volume.spacing_mm[0]
        is_volume = volume.has_geometry and volume.array.shape[1] > 1
        if is_volume and in_plane > 1.5 * between:
            self.fault(
                "not-axial",
                path,
                f"its longest voxel side is in the plane ({in_plane:g} mm), so it is not an axial"
                " scan",
                "import an axial scan, or expect coarse slices",
                warning=True,
            )

    def check_label(self, volume: Volume) -> NDArray[np.uint8] | None:
        """The label map `(z, y, x)` in the store's values; None if faults were added."""
        path, values = self.case.label, volume.array[0]
        if volume.array.shape[0] > 1 and not (volume.array == values).all():
            if suffix_of(path) in VOLUME_SUFFIXES:
                n_layers = volume.array.shape[0]
                self.fault(
                    "label-layers",
                    path,
                    f"it has {n_layers} layers that differ, expected one label map",
                    "export it as one label map (3D Slicer: a binary label map, not .seg.nrrd)",
                )
            else:
                self.fault(
                    "label-colour", path, "it is a colour image", "export it as a grey label map"
                )
            return None
        if values.dtype.kind == "f":
            if not np.isfinite(values).all():
                bad = int((~np.isfinite(values)).sum())
                self.fault(
                    "label-not-finite",
                    path,
                    f"{bad} of {values.size} voxels are NaN or infinite",
                    "set them to 0",
                )
                return None
            off = np.abs(values - np.rint(values)) > 1e-3
            if off.any():
                self.fault(
                    "label-not-integer",
                    path,
                    f"it contains {float(values[off][0]):g}, expected whole numbers",
                    "resample labels with nearest neighbour and store them as integers",
                )
                return None
            values = np.rint(values)
        return self._mapped(values)

    def _mapped(self, values: NDArray[Any]) -> NDArray[np.uint8] | None:
        present = _values_in(values)
        mapping: Mapping[int, int] = self.case.label_map
        is_binary = set(mapping.values()) <= {0, 1}
        known = {*mapping, *self.case.ignored}
        if set(present) <= {0, 255} and 255 not in known and is_binary:
            mapping = {
                255: 1
            }  # a black-and-white picture; with several structures it would be ambiguous
        unknown = [value for value in present if value != 0 and value not in {*mapping, *known}]
        if unknown:
            shown = ", ".join(str(v) for v in unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            self.fault(
                "label-unknown",
                self.case.label,
                f"it contains the unknown value{'s' if len(unknown) > 1 else ''} {shown}; this"
                f" layout has {', '.join(str(v) for v in sorted({0, *mapping}))}",
                "save it as PNG: JPEG does not keep values"
                if any(suffix_of(file) in (".jpg", ".jpeg") for file in files_of(self.case.label))
                else "set it to 0, or name it with --structures",
            )
            return None
        out = np.zeros(values.shape, dtype=np.uint8)
        for value, stored in mapping.items():
            out[values == value] = stored
        is_labelled = bool(out.any())
        for value in self.case.ignored:
            out[values == value] = IGNORED_LABEL
        share = float((out == IGNORED_LABEL).mean())
        if share:
            self.fault(
                "label-ignore",
                self.case.label,
                f"{100 * share:.2g} % of its voxels have the value {self.case.ignored[0]}, which"
                " dataset.json calls ignore",
                "they count in no loss and in no score",
                warning=True,
            )
        if not is_labelled:
            self.fault(
                "label-empty",
                self.case.label,
                "no voxel is labelled",
                "draw the label, or remove the case",
            )
            return None
        return out

    def check_pair(self, image: Volume, label: Volume) -> bool:
        """True if image and label have the same voxel grid."""
        if image.array.shape[1:] != label.array.shape[1:]:
            self.fault(
                "geometry-shape",
                self.case.label,
                f"its shape (z, y, x) is {label.array.shape[1:]}, but the image's is"
                f" {image.array.shape[1:]}",
                "resample the label to its image",
            )
            return False
        if image.has_geometry != label.has_geometry:
            states, not_ = ("its image", "it") if image.has_geometry else ("it", "its image")
            self.fault(
                "geometry-affine",
                self.case.label,
                f"{states} states an orientation, but {not_} does not",
                "copy the image's header to it, if both have the same order of voxels",
            )
            return False
        distance_mm = corner_distance_mm(image, label)
        if distance_mm > GEOMETRY_TOLERANCE_MM:
            self.fault(
                "geometry-affine",
                self.case.label,
                f"it is {distance_mm:.4g} mm away from its image; allowed are"
                f" {GEOMETRY_TOLERANCE_MM:g} mm",
                "resample the label to its image, or copy the image's header to it",
            )
            return False
        return True

    def check_drawing(
        self, label: NDArray[np.uint8], structures: Mapping[str, Sequence[int]]
    ) -> None:
        """Warn about missing structures, labels on one slice, and labels in the border.

        Args:
            label: `(z, y, x)` in the store's values.
            structures: Structure -> the values that belong to it.
        """
        path = self.case.label
        for structure, values in structures.items():
            slices = np.flatnonzero(np.isin(label, values).any(axis=(1, 2)))
            if not slices.size:
                self.fault(
                    "structure-missing",
                    path,
                    f"it contains no {structure}",
                    "trainings of that structure skip the case",
                    warning=True,
                )
            elif slices.size == 1:
                self.fault(
                    "one-slice",
                    path,
                    f"{structure} is on only one slice, but desam2024 scoring drops the last slice",
                    "report this case's scores with --protocol strict",
                    warning=True,
                )
        rows, cols = (round(BORDER_FRACTION * n) for n in label.shape[1:])
        inner = label[:, rows : label.shape[1] - rows, cols : label.shape[2] - cols]
        drawn, drawn_inside = (
            int(((part > 0) & (part != IGNORED_LABEL)).sum()) for part in (label, inner)
        )
        outside = drawn - drawn_inside
        if outside and len(structures) == 1:
            share = 100 * outside / drawn
            self.fault(
                "label-in-border",
                path,
                f"{share:.1f} % of it is in the border that desam2024 scoring clears",
                "this case's Dice cannot reach 1 with that protocol",
                warning=True,
            )


def _values_in(label: NDArray[Any]) -> list[int]:
    """The integer values in a label `(z, y, x)`, ascending.

    It works plane by plane, so that a large volume is not copied; a plane without labels costs one
    pass.
    """
    values: set[int] = set()
    for plane in label:
        if not plane.any():
            values.add(0)
        else:
            values.update(int(value) for value in np.unique(plane))
    return sorted(values)


def corner_distance_mm(first: Volume, second: Volume) -> float:
    """Largest distance between corresponding corners of two volumes of equal shape, millimetres."""
    shape = first.array.shape[:0:-1]
    corners: NDArray[Any] = np.array([(*c, 1) for c in product(*((0, n - 1) for n in shape))])
    offsets = corners @ (first.affine - second.affine).T
    return float(np.linalg.norm(offsets[:, :3], axis=1).max())
