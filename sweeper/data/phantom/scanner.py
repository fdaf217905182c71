"""Six synthetic scanners that differ in matrix, voxels, contrast, bias, noise, blur and coil.

The site names are real, but the scanners are invented: they differ like the real ones (from memory,
sources.md S11), so that a method trained on one site meets a domain shift on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sweeper.data.phantom.anatomy import Plane

T2: Mapping[str, float] = {
    "skin": 0.25,
    "fat": 0.82,
    "pelvic_fat": 0.70,
    "muscle": 0.17,
    "cortical": 0.04,
    "marrow": 0.52,
    "urine": 1.05,
    "wall": 0.36,
    "mucosa": 0.58,
    "stool": 0.30,
    "gas": 0.02,
    "vessel": 0.85,
    "vesicle": 0.80,
    "capsule": 0.20,
    "peripheral": 0.80,
    "transition": 0.46,
}
"""Signal of each tissue in a plain T2-weighted turbo spin echo sequence; urine is about 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """The scanner and protocol of one site.

    Attributes:
        site: The site's name; also its folder.
        n_cases: Number of patients.
        matrix_px: Side length of the square matrix.
        pixel_mm: Side length of a pixel.
        slice_mm: Distance between slices; about twice the clinical one, so that the default sweep
            takes only minutes on two cores.
        changes: Tissue -> signal, for tissues that differ from `T2`.
        gamma: Exponent of the signal; below 1 it flattens the contrast.
        bias: Strength of the smooth shading; 0 means none.
        flare: Brightness next to an endorectal coil, in units of the far signal; 0 means no coil.
        blur_mm: Standard deviation of the point spread.
        noise: Standard deviation of the noise, in units of the signal of urine.
        gain: Value of the signal of urine in the file.
        has_zones: True if the label has the two zones (1 and 2) instead of the gland (1).
    """

    site: str
    n_cases: int
    matrix_px: int
    pixel_mm: float
    slice_mm: float
    changes: Mapping[str, float]
    gamma: float
    bias: float
    flare: float
    blur_mm: float
    noise: float
    gain: float
    has_zones: bool = False

    @property
    def contrast(self) -> Mapping[str, float]:
        """Tissue -> signal."""
        return {**T2, **self.changes}


SCANNERS = (
    Scanner(
        site="A-ISBI",
        n_cases=5,
        matrix_px=320,
        pixel_mm=0.5,
        slice_mm=7.0,
        changes={},
        gamma=1.0,
        bias=0.10,
        flare=0.0,
        blur_mm=0.35,
        noise=0.025,
        gain=900.0,
        has_zones=True,
    ),
    Scanner(
        site="B-ISBI_1.5",
        n_cases=5,
        matrix_px=256,
        pixel_mm=0.55,
        slice_mm=7.5,
        changes={"fat": 0.62, "pelvic_fat": 0.52, "peripheral": 0.66, "transition": 0.46},
        gamma=0.9,
        bias=0.15,
        flare=3.5,
        blur_mm=0.6,
        noise=0.03,
        gain=400.0,
        has_zones=True,
    ),
    Scanner(
        site="C-I2CVB",
        n_cases=4,
        matrix_px=384,
        pixel_mm=0.42,
        slice_mm=6.5,
        changes={
            "fat": 0.34,
            "pelvic_fat": 0.27,
            "marrow": 0.22,
            "muscle": 0.26,
            "peripheral": 0.62,
            "transition": 0.50,
            "capsule": 0.34,
            "vessel": 0.55,
        },
        gamma=1.15,
        bias=0.35,
        flare=0.0,
        blur_mm=0.5,
        noise=0.045,
        gain=250.0,
    ),
    Scanner(
        site="D-UCL",
        n_cases=4,
        matrix_px=256,
        pixel_mm=0.62,
        slice_mm=6.0,
        changes={"peripheral": 0.60, "transition": 0.38, "urine": 0.9, "pelvic_fat": 0.78},
        gamma=1.2,
        bias=0.20,
        flare=0.0,
        blur_mm=0.75,
        noise=0.02,
        gain=1500.0,
    ),
    Scanner(
        site="E-BIDMC",
        n_cases=4,
        matrix_px=288,
        pixel_mm=0.5,
        slice_mm=7.0,
        changes={"fat": 0.72, "pelvic_fat": 0.66, "transition": 0.52},
        gamma=1.0,
        bias=0.10,
        flare=9.0,
        blur_mm=0.3,
        noise=0.03,
        gain=2200.0,
    ),
    Scanner(
        site="F-HK",
        n_cases=5,
        matrix_px=160,
        pixel_mm=1.0,
        slice_mm=8.5,
        changes={"muscle": 0.28, "wall": 0.42, "peripheral": 0.70, "pelvic_fat": 0.60},
        gamma=0.75,
        bias=0.45,
        flare=0.0,
        blur_mm=0.9,
        noise=0.06,
        gain=180.0,
    ),
)
"""All scanners, in the order of DeSAM's sites."""


def acquire(
    signal: Plane, scanner: Scanner, shading: Plane, rng: np.random.Generator
) -> NDArray[np.int16]:
    """The acquired image of a slice: shaded, blurred, noisy, 16-bit.

    Args:
        signal: `(rows, cols)` tissue signal, 0 in air.
        scanner: The scanner.
        shading: `(rows, cols)` sensitivity, the same for all slices of the volume.
        rng: Random generator of the slice.
    """
    curved = signal ** np.float32(scanner.gamma) * shading
    blurred = ndimage.gaussian_filter(curved, scanner.blur_mm / scanner.pixel_mm, mode="nearest")
    # magnitude images have Rician noise: in air, the magnitude of two noise components
    real = blurred + np.float32(scanner.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    other = np.float32(scanner.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    pixels: NDArray[np.int16] = np.rint(np.hypot(real, other) * scanner.gain).astype(np.int16)
    return pixels


def sensitivity(
    scanner: Scanner, coil_xy_mm: tuple[float, float], rng: np.random.Generator
) -> Plane:
    """`(rows, cols)` smooth shading of a volume; an endorectal coil's flare falls off with depth.

    Args:
        scanner: The scanner.
        coil_xy_mm: Position of the coil relative to the centre of the field of view.
        rng: Random generator of the case; it sets the direction of the shading.
    """
    side = np.linspace(-1, 1, scanner.matrix_px, dtype=np.float32)
    y, x = np.meshgrid(side, side, indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    tilt = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    bowl = 1 - 0.5 * (x**2 + y**2)
    shading = 1 + np.float32(scanner.bias) * (
        tilt + (bowl - 0.6) * np.float32(rng.uniform(0.5, 1.5))
    )
    if scanner.flare:
        half_mm = scanner.matrix_px * scanner.pixel_mm / 2
        distance = np.hypot(x * half_mm - coil_xy_mm[0], y * half_mm - coil_xy_mm[1])
        depth = np.maximum(distance - 18.0, 0) / 11.0  # distance from the balloon in units of 11 mm
        shading = shading * (0.55 + np.float32(scanner.flare) / (1 + depth) ** 2)
    bounded: Plane = np.maximum(shading, 0.1).astype(np.float32)
    return bounded
