"""A small synthetic abdomen in CT and MR: same anatomy, inverted contrast, four organs.

It uses the abdominal layout: BTCV's names and label values for CT, CHAOS's for MR.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from sweeper.data.phantom.anatomy import Canvas
from sweeper.data.phantom.prostate import PHANTOM_SEED, write_nifti

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.phantom.anatomy import Plane

CASES_PER_MODALITY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """Acquisition settings of one modality.

    Attributes:
        folder: `CT` or `MR`.
        stems: File name patterns of image and label; the case number is inserted.
        matrix_px: Side length of the matrix.
        pixel_mm: Side length of a pixel.
        slice_mm: Distance between slices.
        contrast: Tissue -> Hounsfield units, or MR signal.
        texture: Standard deviation of the organs' texture, in the same units.
        noise: Standard deviation of the noise, in the same units.
        labels: Label values of liver, right kidney, left kidney and spleen in the file.
        shading: Strength of the smooth shading (MR only).
    """

    folder: str
    stems: tuple[str, str]
    matrix_px: int
    pixel_mm: float
    slice_mm: float
    contrast: Mapping[str, float]
    texture: float
    noise: float
    labels: tuple[int, int, int, int]
    shading: float


MODALITIES = (
    Modality(
        folder="CT",
        stems=("img/img{:04d}", "label/label{:04d}"),
        matrix_px=256,
        pixel_mm=1.5,
        slice_mm=10.0,
        contrast={
            "air": -1000,
            "fat": -100,
            "muscle": 55,
            "organ": 20,
            "bone": 500,
            "marrow": 180,
            "vessel": 150,
            "gas": -900,
            "liver": 110,
            "kidney": 190,
            "pelvis": 60,
            "spleen": 125,
        },
        texture=6,
        noise=14,
        labels=(6, 2, 3, 1),
        shading=0.0,
    ),
    # T2-SPIR: fat is suppressed; spleen and kidneys are bright, the liver is dark
    Modality(
        folder="MR",
        stems=("image_{:d}", "label_{:d}"),
        matrix_px=224,
        pixel_mm=1.7,
        slice_mm=8.0,
        contrast={
            "air": 0,
            "fat": 110,
            "muscle": 150,
            "organ": 320,
            "bone": 40,
            "marrow": 200,
            "vessel": 60,
            "gas": 5,
            "liver": 230,
            "kidney": 620,
            "pelvis": 900,
            "spleen": 520,
        },
        texture=14,
        noise=22,
        labels=(63, 126, 189, 252),
        shading=0.35,
    ),
)


def synthesise(
    modality: Modality, index: int, *, seed: int = PHANTOM_SEED
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Image and label `(z, y, x)` of one patient; the two modalities have different patients."""
    rng = np.random.default_rng([seed, 100 + MODALITIES.index(modality), index])
    size = rng.uniform(0.9, 1.1)
    organs = _draw_organs(rng, size)
    body = (float(165 * size), float(112 * size))
    waves = rng.uniform([-4, -4, 0.01, 0], [4, 4, 0.03, 6.28], (3, 4)).astype(np.float32)
    reach = int(85 * size / modality.slice_mm)
    images, labels = [], []
    for z in range(-reach, reach + 1):
        canvas = _canvas(modality, waves, z * modality.slice_mm)
        label = _paint(canvas, modality, organs, body, z * modality.slice_mm, rng)
        images.append(_acquire(canvas.image, modality, rng))
        labels.append(label)
    return np.stack(images), np.stack(labels)


def write_abdominal_phantom(
    root: Path,
    *,
    seed: int = PHANTOM_SEED,
    cases_per_modality: int = CASES_PER_MODALITY,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write both modalities; the folder appears only after all files are written.

    Args:
        root: Folder to write; an existing one is replaced.
        seed: Seed of all patients.
        cases_per_modality: Number of patients per modality.
        progress: Called with (done, total) after each case.
    """
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    total = cases_per_modality * len(MODALITIES)
    for position, modality in enumerate(MODALITIES):
        for index in range(cases_per_modality):
            image, label = synthesise(modality, index, seed=seed)
            spacing = (modality.pixel_mm, modality.pixel_mm, modality.slice_mm)
            paths = [
                partial / modality.folder / f"{stem.format(index + 1)}.nii.gz"
                for stem in modality.stems
            ]
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(paths[0], image, spacing)
            write_nifti(paths[1], label, spacing)
            if progress is not None:
                progress(position * cases_per_modality + index + 1, total)
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)


_Organ = tuple[str, int, tuple[float, float, float], tuple[float, float, float], float]
"""Tissue, index in `Modality.labels`, centre and half axes (x, y, z) in mm, angle in radians."""


def _draw_organs(rng: np.random.Generator, size: float) -> list[_Organ]:
    """The four organs of a patient; x points to the patient's left, y posterior, z superior."""

    def near(*values: float) -> tuple[float, float, float]:
        x, y, z = (size * v + rng.uniform(-5, 5) for v in values)
        return x, y, z

    def about(*values: float) -> tuple[float, float, float]:
        x, y, z = (size * v * rng.uniform(0.88, 1.12) for v in values)
        return x, y, z

    return [
        ("liver", 0, near(-68, -18, 22), about(72, 62, 62), 0.25),
        ("liver", 0, near(-5, -48, 30), about(52, 28, 38), -0.2),
        ("kidney", 1, near(-68, 48, -30), about(25, 32, 46), 0.5),
        ("kidney", 2, near(68, 48, -18), about(25, 32, 46), -0.5),
        ("spleen", 3, near(108, 28, 32), about(25, 48, 42), -0.35),
    ]


def _canvas(modality: Modality, waves: NDArray[np.float32], z_mm: float) -> Canvas:
    side = (np.arange(modality.matrix_px, dtype=np.float32) - (modality.matrix_px - 1) / 2) * (
        np.float32(modality.pixel_mm)
    )
    y, x = np.meshgrid(side, side, indexing="ij")
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for amplitude_x, amplitude_y, wave, phase in waves:
        dx += amplitude_x * np.sin(wave * y + np.float32(0.01 * z_mm) + phase)
        dy += amplitude_y * np.sin(wave * x + np.float32(0.01 * z_mm) + 2 * phase)
    return Canvas(x + dx, y + dy, modality.pixel_mm, modality.contrast)


def _paint(
    canvas: Canvas,
    modality: Modality,
    organs: list[_Organ],
    body: tuple[float, float],
    z_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Paint one slice's signal on the canvas; returns its label map."""
    grain = _grain(rng, canvas.x.shape, 3.0 / modality.pixel_mm) * np.float32(modality.texture)
    canvas.image += np.float32(modality.contrast["air"])
    wall = canvas.ellipse((0, 0), (body[0] - 18, body[1] - 15))
    canvas.paint(canvas.cover(canvas.ellipse((0, 0), body)), "fat", 0.5 * grain)
    canvas.paint(canvas.cover(wall), "muscle", grain)
    canvas.paint(canvas.cover(np.maximum(wall + 9, canvas.y - 68)), "fat", grain)
    for x, y, radius in ((-30, -10, 24), (25, -5, 26), (5, 25, 22), (-15, -52, 22), (60, -35, 24)):
        shift = 9 * float(np.sin(0.07 * z_mm + x))
        bowel = canvas.ellipse((x + shift, y - 0.5 * shift), (radius, 0.7 * radius))
        canvas.paint(canvas.cover(bowel), "organ", 2 * grain)
    gas = canvas.ellipse((55 + 0.2 * z_mm, -45), (17, 8))
    canvas.paint(canvas.cover(gas), "gas")
    _paint_spine(canvas, grain)
    label = np.zeros(canvas.x.shape, dtype=np.uint8)
    for tissue, place, centre, half, angle in organs:
        scale = 1 - ((z_mm - centre[2]) / half[2]) ** 2
        if scale <= 0.02:
            continue
        root = float(np.sqrt(scale))
        shape = canvas.ellipse(centre[:2], (half[0] * root, half[1] * root), angle)
        shape = np.maximum(shape, wall + 10)
        canvas.paint(canvas.cover(shape, 2.0), tissue, grain)
        label[shape < 0] = modality.labels[place]
        if tissue == "kidney":
            inner = (centre[0] - float(np.sign(centre[0])) * 9 * root, centre[1])
            hollow = canvas.ellipse(inner, (8 * root, 11 * root))
            canvas.paint(canvas.cover(np.maximum(hollow, shape)), "pelvis")
    return label


def _paint_spine(canvas: Canvas, grain: Plane) -> None:
    """Paint vertebra, spinal canal, psoas muscles, aorta and vena cava."""
    for side in (-1, 1):
        canvas.paint(canvas.cover(canvas.ellipse((side * 38, 62), (17, 20))), "muscle", grain)
        back = canvas.ellipse((side * 32, 92), (28, 16))
        canvas.paint(canvas.cover(back), "muscle", grain)
    vertebra = canvas.ellipse((0, 55), (25, 19))
    canvas.paint(canvas.cover(vertebra), "bone")
    canvas.paint(canvas.cover(vertebra + 3), "marrow", grain)
    canvas.paint(canvas.cover(canvas.capsule((0, 70), (0, 95), 5)), "bone")
    canvas.paint(canvas.cover(canvas.ellipse((0, 76), (9, 7))), "muscle")
    canvas.paint(canvas.cover(canvas.ellipse((9, 27), (10, 10))), "vessel")
    canvas.paint(canvas.cover(canvas.ellipse((-16, 28), (12, 9))), "vessel")


def _grain(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Plane:
    noise = rng.standard_normal(shape, dtype=np.float32)
    smooth: Plane = ndimage.gaussian_filter(noise, sigma_px, mode="wrap", truncate=3)
    return smooth / np.float32(smooth.std() + 1e-6)


def _acquire(signal: Plane, modality: Modality, rng: np.random.Generator) -> NDArray[np.int16]:
    blurred: Plane = ndimage.gaussian_filter(signal, 0.6, mode="nearest")
    if modality.shading:
        side = np.linspace(-1, 1, modality.matrix_px, dtype=np.float32)
        blurred = blurred * (1 + np.float32(modality.shading) * (side[:, None] * 0.6 - side**2))
    noise = np.float32(modality.noise)
    noisy = blurred + noise * rng.standard_normal(signal.shape, dtype=np.float32)
    if modality.folder == "MR":  # a magnitude image: noise in air is positive
        noisy = np.hypot(noisy, noise * rng.standard_normal(signal.shape, dtype=np.float32))
    pixels: NDArray[np.int16] = np.rint(noisy).astype(np.int16)
    return pixels
