"""A synthetic male pelvis of smooth deformed shapes; nothing comes from a real patient.

Coordinates are millimetres from the centre of the gland: x to the patient's left, y posterior,
z superior (the gland spans about -20..20). Sizes, positions and deformation are drawn per case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Plane = NDArray[np.floating[Any]]

TRANSITION_ZONE, PERIPHERAL_ZONE = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The properties that differ between patients; lengths in millimetres.

    Attributes:
        gland_half_mm: Half axes (x, y, z) of the gland.
        gland_centre_mm: Its position (x, y) relative to the centre of the field of view.
        transition_fraction: Width of the transition zone as a fraction of the gland's.
        rectum_half_mm: Half axes (x, y) of the rectum.
        rectum_gas: Fraction of gas in the rectum, 0..1; gas is black.
        bladder_fill: Filling of the bladder, from 0 (nearly empty) to 1 (full).
        fat_mm: Thickness of the subcutaneous fat.
        pelvis_scale: Size (x, y) of bones and muscles relative to the average.
        femur_x_mm: Distance of the femoral heads from the midline.
        obturator_mm: Thickness of the obturator muscles.
        warp: `(4, 5)`: amplitude x, amplitude y, wave numbers x, y, z and phase of smooth waves.
        nodules: `(n, 5)`: position (x, y, z) in units of the half axes, radius, brightness.
        vessels: `(n, 3)`: angle, distance from the capsule in mm, radius in mm.
        texture_seed: Seed of the tissue textures.
    """

    gland_half_mm: tuple[float, float, float]
    gland_centre_mm: tuple[float, float]
    transition_fraction: float
    rectum_half_mm: tuple[float, float]
    rectum_gas: float
    bladder_fill: float
    fat_mm: float
    pelvis_scale: tuple[float, float]
    femur_x_mm: float
    obturator_mm: float
    warp: NDArray[np.float64]
    nodules: NDArray[np.float64]
    vessels: NDArray[np.float64]
    texture_seed: int


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A new random patient; the sizes are like those in T2 volumes of public challenges.

    Glands are off-centre in the field of view, as in real scans: if they were centred, one constant
    mask would score as high as a trained method on every site.
    """
    n_nodules = int(rng.integers(3, 8))
    n_vessels = int(rng.integers(10, 18))
    size = rng.uniform(0.72, 1.25)
    return Anatomy(
        gland_half_mm=(
            size * rng.uniform(22, 27),
            size * rng.uniform(16, 21),
            size * rng.uniform(18, 21),
        ),
        gland_centre_mm=(rng.uniform(-16, 16), rng.uniform(-14, 10)),
        transition_fraction=rng.uniform(0.6, 0.78),
        rectum_half_mm=(rng.uniform(13, 19), rng.uniform(11, 17)),
        rectum_gas=rng.uniform(0, 1),
        bladder_fill=rng.uniform(0.3, 1),
        fat_mm=rng.uniform(8, 20),
        pelvis_scale=(rng.uniform(0.9, 1.08), rng.uniform(0.9, 1.12)),
        femur_x_mm=rng.uniform(76, 86),
        obturator_mm=rng.uniform(9, 13),
        warp=np.column_stack(
            [
                rng.uniform(-2.4, 2.4, 4),
                rng.uniform(-2.4, 2.4, 4),
                rng.uniform(0.015, 0.06, 4),
                rng.uniform(0.015, 0.06, 4),
                rng.uniform(0, 2 * np.pi, 4),
            ]
        ),
        nodules=np.column_stack(
            [
                rng.uniform(-0.5, 0.5, n_nodules),
                rng.uniform(-0.55, 0.1, n_nodules),
                rng.uniform(-0.6, 0.8, n_nodules),
                rng.uniform(3, 7.5, n_nodules),
                rng.uniform(-0.22, 0.3, n_nodules),
            ]
        ),
        vessels=np.column_stack(
            [
                rng.uniform(0, 2 * np.pi, n_vessels),
                rng.uniform(2.5, 6, n_vessels),
                rng.uniform(0.8, 2.0, n_vessels),
            ]
        ),
        texture_seed=int(rng.integers(2**31)),
    )


class Canvas:
    """A slice on which tissues are painted over each other."""

    def __init__(self, x: Plane, y: Plane, pixel_mm: float, contrast: Mapping[str, float]) -> None:
        self.x, self.y, self.pixel_mm, self.contrast = x, y, pixel_mm, contrast
        self.image = np.zeros_like(x)

    def scaled(self, scale: tuple[float, float]) -> Canvas:
        """The same picture with coordinates in which shapes appear `scale` times as large."""
        canvas = Canvas(
            self.x / np.float32(scale[0]),
            self.y / np.float32(scale[1]),
            self.pixel_mm,
            self.contrast,
        )
        canvas.image = self.image
        return canvas

    def cover(self, signed_mm: Plane, edge_mm: float = 0.9) -> Plane:
        """Fraction of each pixel that is inside (negative distance), 0..1, with a soft edge."""
        width = np.float32(max(edge_mm, self.pixel_mm))
        inside: Plane = np.clip(0.5 - signed_mm / width, 0, 1)
        return inside

    def paint(self, cover: Plane, tissue: str, shade: Plane | float = 0.0) -> None:
        """Paint a tissue over the present signal."""
        self.image += cover * (np.float32(self.contrast[tissue]) + shade - self.image)

    def ellipse(
        self, centre: tuple[float, float], half: tuple[float, float], angle: float = 0.0
    ) -> Plane:
        """Approximate signed distance to an ellipse, millimetres."""
        dx, dy = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        if angle:
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        radius = np.sqrt((dx / np.float32(half[0])) ** 2 + (dy / np.float32(half[1])) ** 2)
        distance: Plane = (radius - 1) * np.float32(min(half))
        return distance

    def capsule(self, start: tuple[float, float], end: tuple[float, float], radius: float) -> Plane:
        """Signed distance to a line segment with a radius, millimetres."""
        ax, ay = np.float32(start[0]), np.float32(start[1])
        bx, by = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
        along = ((self.x - ax) * bx + (self.y - ay) * by) / (bx * bx + by * by)
        along = np.clip(along, 0, 1)
        distance = np.hypot(self.x - ax - along * bx, self.y - ay - along * by)
        signed: Plane = distance - np.float32(radius)
        return signed
