"""What is wrong with one case's voxels: image alone, label alone, and both together."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.data.faults import Fault, Severity, relative
from sweeper.data.volume import VolumeError, read_volume

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.layouts.source import SourceCase
    from sweeper.data.volume import Volume

GEOMETRY_TOLERANCE_MM = 1e-3
"""Corners of image and label may lie this far apart; headers round to float32."""

SPACING_RANGE_MM = (0.05, 20.0)
"""Voxel sizes outside are suspicious: metres, micrometres, or a default header."""

BORDER_FRACTION = 50 / 256
"""Border that the `desam2024` scoring clears in predictions. Source: DeSAM `edge_set_zero=50`."""

MAX_LABEL_VALUES = 64
"""An image with fewer distinct values than this is likely a label map."""


class CaseChecker:
    """Collects the faults of one case; `volumes` is set once both files could be read.

    Attributes:
        faults: Found so far.
    """

    def __init__(self, case: SourceCase, root: Path) -> None:
        self.case, self.root = case, root
        self.faults: list[Fault] = []

    def fault(
        self, code: str, path: Path, problem: str, remedy: str, *, warning: bool = False
    ) -> None:
        """Note one fault of a file of this case."""
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

    def read(self, path: Path) -> Volume | None:
        """The file's volume, or None and a fault."""
        try:
            return read_volume(path)
        except VolumeError as err:
            remedy = "get the file again or remove the case"
            self.fault("unreadable", path, str(err), remedy)
        except FileNotFoundError:
            self.fault(
                "file-missing", path, "the file does not exist", "mend the path or remove the case"
            )
        except OSError as err:
            self.fault(
                "unreadable", path, f"it cannot be opened ({err.strerror})", "mend its permissions"
            )
        return None

    def check_image(self, volume: Volume) -> None:
        """NaN, infinite, constant, label-like intensities; odd or missing geometry."""
        path, values = self.case.image, volume.array
        if values.dtype.kind == "f":
            bad = int((~np.isfinite(values)).sum())
            if bad:
                self.fault(
                    "image-not-finite",
                    path,
                    f"{bad} of {values.size} voxels are NaN or infinite",
                    "set them to 0 or export the image again",
                )
                return
        if values.min() == values.max():
            self.fault(
                "image-constant",
                path,
                f"every voxel is {values.flat[0]:g}",
                "export the image again; nothing can be seen in it",
            )
            return
        sample = values.reshape(-1)[:: max(1, values.size // 200_000)]
        if values.dtype.kind in "iu" and len(np.unique(sample)) < 8 and len(np.unique(values)) < 8:
            self.fault(
                "image-like-label",
                path,
                f"it holds only {len(np.unique(values))} different values",
                "check that image and label are not exchanged",
                warning=True,
            )
        self._check_geometry(volume)

    def _check_geometry(self, volume: Volume) -> None:
        path = self.case.image
        low, high = SPACING_RANGE_MM
        if not all(low <= s <= high for s in volume.spacing_mm):
            sizes = " x ".join(f"{s:g}" for s in volume.spacing_mm)
            self.fault(
                "spacing-odd",
                path,
                f"its voxels are {sizes} mm (z, y, x), expected {low:g} to {high:g} mm",
                "mend the header, or take no distance in millimetres from this case",
                warning=True,
            )
        if not volume.has_geometry and volume.array.shape[1] > 1:
            self.fault(
                "geometry-nominal",
                path,
                "its header holds no orientation (positive diagonal, origin 0)",
                "the array is taken as it lies; give it its scanner affine if it shows upside down",
                warning=True,
            )
        in_plane, between = max(volume.spacing_mm[1:]), volume.spacing_mm[0]
        is_volume = volume.has_geometry and volume.array.shape[1] > 1
        if is_volume and in_plane > 1.5 * between:
            self.fault(
                "not-axial",
                path,
                f"its thickest voxel side is in the plane ({in_plane:g} mm), so it was not scanned"
                " axially",
                "import an axial scan, or expect blocky slices",
                warning=True,
            )

    def check_label(self, volume: Volume) -> NDArray[np.uint8] | None:
        """The label map `(z, y, x)` in the store's values, or None and faults."""
        path, values = self.case.label, volume.array[0]
        if volume.array.shape[0] > 1 and not (volume.array == values).all():
            self.fault(
                "label-colour", path, "it is a colour picture", "export it as a grey label map"
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
                    f"it holds {float(values[off][0]):g}, expected whole numbers",
                    "resample labels with nearest neighbour and store them as integers",
                )
                return None
            values = np.rint(values)
        return self._mapped(values)

    def _mapped(self, values: NDArray[Any]) -> NDArray[np.uint8] | None:
        found = _values_in(values)
        mapping: Mapping[int, int] = self.case.label_map
        is_binary = set(mapping.values()) <= {0, 1}
        if set(found) <= {0, 255} and 255 not in mapping and is_binary:
            mapping = {255: 1}  # a picture's black and white; of several structures none is meant
        unknown = [value for value in found if value != 0 and value not in mapping]
        if unknown:
            shown = ", ".join(str(v) for v in unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            self.fault(
                "label-unknown",
                self.case.label,
                f"it holds the unknown value{'s' if len(unknown) > 1 else ''} {shown}; this layout"
                f" knows {', '.join(str(v) for v in sorted({0, *mapping}))}",
                "set it to 0 (layouts csv, desam, abdominal: or name it with --structures)",
            )
            return None
        out = np.zeros(values.shape, dtype=np.uint8)
        for value, stored in mapping.items():
            out[values == value] = stored
        if not out.any():
            self.fault(
                "label-empty",
                self.case.label,
                "no voxel is labelled",
                "draw the label, or remove the case",
            )
            return None
        return out

    def check_pair(self, image: Volume, label: Volume) -> bool:
        """True if image and label lie on the same voxels."""
        if image.array.shape[1:] != label.array.shape[1:]:
            self.fault(
                "geometry-shape",
                self.case.label,
                f"its shape (z, y, x) is {label.array.shape[1:]}, the image's"
                f" {image.array.shape[1:]}",
                "resample the label to its image",
            )
            return False
        apart = corner_distance_mm(image, label)
        if apart > GEOMETRY_TOLERANCE_MM:
            self.fault(
                "geometry-affine",
                self.case.label,
                f"it lies {apart:.4g} mm from its image, allowed {GEOMETRY_TOLERANCE_MM:g} mm",
                "resample the label to its image, or copy the image's header to it",
            )
            return False
        return True

    def check_drawing(self, label: NDArray[np.uint8], structures: tuple[str, ...]) -> None:
        """Warnings about what is drawn: missing organs, one slice only, the scorer's border."""
        path = self.case.label
        for value, structure in enumerate(structures, start=1):
            slices = np.flatnonzero((label == value).any(axis=(1, 2)))
            if not slices.size:
                self.fault(
                    "structure-missing",
                    path,
                    f"it holds no {structure}",
                    "the case takes no part in that structure's trainings",
                    warning=True,
                )
            elif slices.size == 1:
                self.fault(
                    "one-slice",
                    path,
                    f"{structure} is on one slice only, and desam2024 scoring drops a case's last",
                    "read this case's scores in a report with --protocol strict",
                    warning=True,
                )
        rows, cols = (round(BORDER_FRACTION * n) for n in label.shape[1:])
        inner = label[:, rows : label.shape[1] - rows, cols : label.shape[2] - cols]
        outside = int((label > 0).sum()) - int((inner > 0).sum())
        if outside and len(structures) == 1:
            share = 100 * outside / int((label > 0).sum())
            self.fault(
                "label-in-border",
                path,
                f"{share:.1f} % of it lies in the border that desam2024 scoring clears",
                "read that protocol's Dice of this case as bounded below 1",
                warning=True,
            )


def _values_in(label: NDArray[Any]) -> list[int]:
    """The whole numbers that a label `(z, y, x)` holds, ascending.

    Plane by plane, so that a large volume is not copied; a plane without labels costs one pass.
    """
    found: set[int] = set()
    for plane in label:
        if not plane.any():
            found.add(0)
        else:
            found.update(int(value) for value in np.unique(plane))
    return sorted(found)


def corner_distance_mm(one: Volume, other: Volume) -> float:
    """How far apart the farthest corners of two volumes of equal shape lie, millimetres."""
    shape = one.array.shape[:0:-1]
    corners: NDArray[Any] = np.array([(*c, 1) for c in product(*((0, n - 1) for n in shape))])
    apart = corners @ (one.affine - other.affine).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max())
