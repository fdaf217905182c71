"""Paints one axial slice of an anatomy, tissue by tissue, and the label of the two zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from sweeper.data.phantom.anatomy import PERIPHERAL_ZONE, TRANSITION_ZONE, Canvas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sweeper.data.phantom.anatomy import Anatomy, Plane

SIDES = (-1.0, 1.0)


def paint_slice(
    anatomy: Anatomy,
    z_mm: float,
    *,
    shape: tuple[int, int],
    pixel_mm: float,
    contrast: Mapping[str, float],
    has_coil: bool,
) -> tuple[Plane, NDArray[np.uint8]]:
    """The signal of one slice, before acquisition, and its zones (1 transition, 2 peripheral).

    Args:
        anatomy: Anatomy of the patient.
        z_mm: Height relative to the centre of the gland.
        shape: (rows, cols).
        pixel_mm: Side length of a pixel.
        contrast: Tissue -> signal of a scanner's protocol.
        has_coil: True if the balloon of an endorectal coil fills the rectum.
    """
    x, y = _warped_plane(anatomy, z_mm, shape, pixel_mm)
    canvas = Canvas(x, y, pixel_mm, contrast)
    rng = np.random.default_rng([anatomy.texture_seed, round(1000 * z_mm) % 2**31])
    fine, coarse = (_texture(rng, shape, mm / pixel_mm) for mm in (0.9, 3.5))
    _paint_body(canvas, anatomy, fine, coarse)
    pelvis = canvas.scaled(anatomy.pelvis_scale)
    _paint_bones(pelvis, anatomy, z_mm, coarse)
    _paint_muscles(pelvis, anatomy, z_mm, fine)
    _paint_bladder(canvas, anatomy, z_mm)
    _paint_rectum(canvas, anatomy, z_mm, coarse, has_coil=has_coil)
    _paint_vessels(canvas, anatomy, z_mm, fine)
    zones = _paint_gland(canvas, anatomy, z_mm, fine, coarse)
    return np.maximum(canvas.image, 0), zones


def rectum_centre(anatomy: Anatomy, *, has_coil: bool) -> tuple[float, float]:
    """Centre (x, y) of the rectum relative to the centre of the gland, millimetres."""
    half_y = 19.5 if has_coil else anatomy.rectum_half_mm[1]
    return 0.0, 0.92 * anatomy.gland_half_mm[1] + half_y + 2.5


def _warped_plane(
    anatomy: Anatomy, z_mm: float, shape: tuple[int, int], pixel_mm: float
) -> tuple[Plane, Plane]:
    """Gland coordinates (x, y) of every pixel, smoothly deformed by the anatomy's waves."""
    rows = (np.arange(shape[0], dtype=np.float32) - (shape[0] - 1) / 2) * np.float32(pixel_mm)
    cols = (np.arange(shape[1], dtype=np.float32) - (shape[1] - 1) / 2) * np.float32(pixel_mm)
    y, x = np.meshgrid(
        rows - np.float32(anatomy.gland_centre_mm[1]),
        cols - np.float32(anatomy.gland_centre_mm[0]),
        indexing="ij",
    )
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for amplitude_x, amplitude_y, wave_x, wave_y, phase in anatomy.warp.astype(np.float32):
        dx += amplitude_x * np.sin(wave_y * y + np.float32(0.03 * z_mm) + phase)
        dy += amplitude_y * np.sin(wave_x * x + np.float32(0.02 * z_mm) + 2 * phase)
    return x + dx, y + dy


def _texture(rng: np.random.Generator, shape: tuple[int, int], sigma_px: float) -> Plane:
    """Smooth noise with standard deviation 1."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    smooth: Plane = ndimage.gaussian_filter(noise, sigma_px, mode="wrap", truncate=3)
    return smooth / np.float32(smooth.std() + 1e-6)


def _paint_body(canvas: Canvas, anatomy: Anatomy, fine: Plane, coarse: Plane) -> None:
    """Paint subcutaneous fat with septa, the natal cleft, and pelvic fat."""
    x, y = canvas.x, canvas.y
    outline = canvas.ellipse((0, 0), (190, 92))
    cleft = canvas.ellipse((0, 100), (9, 22))
    outside = np.maximum(outline, -cleft)
    skin = canvas.cover(outside)
    canvas.paint(skin, "skin")
    fat = canvas.cover(outside + 2.0)
    septa = 0.05 * fine - 0.10 * (np.abs(coarse) < 0.15)
    canvas.paint(fat, "fat", septa)
    inner = canvas.cover(canvas.ellipse((0, -2), (175, 92 - anatomy.fat_mm)))
    strands = 0.04 * fine - 0.13 * (np.abs(coarse + np.float32(0.02) * (x + y)) < 0.12)
    canvas.paint(inner, "pelvic_fat", strands)


def _paint_bones(canvas: Canvas, anatomy: Anatomy, z_mm: float, coarse: Plane) -> None:
    """Paint femoral heads, ischial bones and pubic arch: a dark cortex around speckled marrow."""
    rim = 2.2
    for side in SIDES:
        head = 25.0 * float(np.sqrt(max(0.0, 1 - ((z_mm - 10) / 42) ** 2)))
        shapes = [canvas.ellipse((side * 60, 16), (7.5, 15.0), angle=0.25 * side)]
        if head > 5:
            socket = canvas.ellipse((side * anatomy.femur_x_mm, -10), (head + 5, head + 5))
            canvas.paint(canvas.cover(socket), "cortical", 0.04)
            shapes.append(canvas.ellipse((side * anatomy.femur_x_mm, -10), (head, head)))
        low = np.clip((12 - z_mm) / 26, 0, 1)  # 0 at the base, 1 at the apex
        if low > 0:
            inner = (side * 6.0, -43.0 + 3 * low)
            outer = (side * (48 - 12 * low), -56.0 + 58 * low)
            shapes.append(canvas.capsule(inner, outer, 5.5 + 3 * low))
        for bone in shapes:
            canvas.paint(canvas.cover(bone), "cortical")
            canvas.paint(canvas.cover(bone + rim), "marrow", 0.05 * coarse)


def _paint_muscles(canvas: Canvas, anatomy: Anatomy, z_mm: float, fine: Plane) -> None:
    """Paint obturator, pectineus, gluteus, rectus and levator muscles, with faint strands."""
    low = float(np.clip((8 - z_mm) / 28, 0, 1))
    strands = 0.025 * fine
    for side in SIDES:
        gluteus = canvas.ellipse((side * 66, 66), (52, 21), angle=-0.5 * side)
        stripes = np.sin(0.42 * (canvas.x * side + 0.8 * canvas.y) + 1.5 * fine) > 0.93
        canvas.paint(canvas.cover(gluteus), "muscle", strands + 0.22 * stripes)
        half = anatomy.obturator_mm / 2
        bend = (side * (46 + 2 * low), -10.0)
        internus = np.minimum(
            canvas.capsule((side * (33 + 4 * low), -38 + 6 * low), bend, half),
            canvas.capsule(bend, (side * 47, 20.0), half + 1.5),
        )
        canvas.paint(canvas.cover(internus), "muscle", strands)
        externus = canvas.capsule((side * 42, -52), (side * 84, -40), 10.0 - 2 * low)
        canvas.paint(canvas.cover(externus), "muscle", strands)
        pectineus = canvas.capsule((side * 30, -68), (side * 70, -62), 8.0)
        canvas.paint(canvas.cover(pectineus), "muscle", strands)
        wall = anatomy.gland_half_mm[0] + 5 - 9 * low
        back = rectum_centre(anatomy, has_coil=False)[1] + 6
        levator = np.minimum(
            canvas.capsule((side * wall, -10), (side * (wall - 2), 16), 1.7),
            canvas.capsule((side * (wall - 2), 16), (side * 9, back), 1.9),
        )
        canvas.paint(canvas.cover(levator), "muscle")
    rectus = canvas.capsule((-20, -72), (20, -72), 4.5)
    canvas.paint(canvas.cover(rectus), "muscle", strands)
    symphysis = canvas.ellipse((0, -46), (3.2, 12 * low + 0.1))
    canvas.paint(canvas.cover(symphysis) * np.float32(low > 0.1), "cortical", 0.05)


def _paint_bladder(canvas: Canvas, anatomy: Anatomy, z_mm: float) -> None:
    """Paint the bladder, anterior to and above the base: urine and a dark wall."""
    height = (z_mm - 5) / 22
    if height <= 0:
        return
    grown = float(np.sqrt(min(1.0, height))) * (0.6 + 0.4 * anatomy.bladder_fill)
    centre = (0.0, -20.0 - 6 * min(1.0, height))
    outside = canvas.ellipse(centre, (36 * grown, 20 * grown))
    canvas.paint(canvas.cover(outside), "muscle", 0.05)
    canvas.paint(canvas.cover(outside + (4.5 - 2 * anatomy.bladder_fill)), "urine")


def _paint_rectum(
    canvas: Canvas, anatomy: Anatomy, z_mm: float, coarse: Plane, *, has_coil: bool
) -> None:
    """Paint the rectum's wall, mucosa and content, or the balloon of an endorectal coil."""
    centre = rectum_centre(anatomy, has_coil=has_coil)
    if has_coil:
        balloon = canvas.ellipse(centre, (20.5, 19.5))
        canvas.paint(canvas.cover(balloon - 3.2), "wall")
        canvas.paint(canvas.cover(balloon - 1.0), "mucosa")
        canvas.paint(canvas.cover(balloon + 0.5), "gas", 0.04)
        canvas.paint(canvas.cover(canvas.ellipse(centre, (4.2, 4.2))), "wall")
        canvas.paint(canvas.cover(canvas.ellipse(centre, (2.0, 2.0))), "gas")
        return
    shrink = float(np.clip(1 + z_mm / 55, 0.55, 1.15))
    half = (anatomy.rectum_half_mm[0] * shrink, anatomy.rectum_half_mm[1] * shrink)
    outside = canvas.ellipse(centre, half)
    canvas.paint(canvas.cover(outside), "wall")
    canvas.paint(canvas.cover(outside + 2.4), "mucosa")
    canvas.paint(canvas.cover(outside + 4.2), "stool", 0.09 * coarse)
    gas = canvas.ellipse(
        (centre[0] + 1.5, centre[1] - 0.25 * half[1]), (0.62 * half[0], 0.55 * half[1])
    )
    gas = np.maximum(gas, outside + 4.2)
    canvas.paint(canvas.cover(gas) * np.float32(min(1.0, 1.6 * anatomy.rectum_gas)), "gas")


def _paint_vessels(canvas: Canvas, anatomy: Anatomy, z_mm: float, fine: Plane) -> None:
    """Paint venous plexus and nerve bundles around the gland, and the seminal vesicles above it."""
    half_x, half_y, half_z = anatomy.gland_half_mm
    for angle, distance, radius in anatomy.vessels:
        turned = angle + 0.02 * z_mm
        centre = (
            (half_x + distance) * float(np.cos(turned)),
            (half_y + distance) * float(np.sin(turned)) * 0.97,
        )
        cover = canvas.cover(canvas.ellipse(centre, (radius * 1.5, radius)))
        canvas.paint(cover, "vessel", 0.1 * fine)
    if z_mm > 0.55 * half_z:
        for side in SIDES:
            vesicle = canvas.ellipse((side * 15, 0.55 * half_y), (15, 5.5), angle=-0.25 * side)
            canvas.paint(canvas.cover(vesicle + 1.2 * np.abs(fine)), "vesicle", 0.14 * fine)


def _gland_distance(canvas: Canvas, anatomy: Anatomy, z_mm: float) -> Plane | None:
    """Signed distance to the gland's outline: round anteriorly, flat or concave posteriorly."""
    half_x, half_y, half_z = anatomy.gland_half_mm
    height = z_mm / half_z
    if abs(height) >= 1:
        return None
    taper = (1 - abs(height) ** 2.6) ** 0.5
    width = half_x * taper * (1 + 0.06 * height)
    depth = half_y * taper * (1 + 0.04 * height)
    hollow = 2.6 * np.exp(-((canvas.x / 9) ** 2)) * (canvas.y > 0)
    x, y = np.abs(canvas.x) / np.float32(width), (canvas.y + hollow) / np.float32(depth)
    power = np.where(y > 0, np.float32(2.7), np.float32(2.1))
    radius = (x**power + np.abs(y) ** power) ** (1 / power)
    distance: Plane = ((radius - 1) * np.float32(min(width, depth))).astype(np.float32)
    return distance


def _paint_gland(
    canvas: Canvas, anatomy: Anatomy, z_mm: float, fine: Plane, coarse: Plane
) -> NDArray[np.uint8]:
    """Paint the gland: peripheral and transition zone, nodules, capsule, stroma, urethra."""
    zones = np.zeros(canvas.x.shape, dtype=np.uint8)
    outline = _gland_distance(canvas, anatomy, z_mm)
    if outline is None:
        return zones
    half_x, half_y, half_z = anatomy.gland_half_mm
    height = z_mm / half_z
    taper = float((1 - abs(height) ** 2.6) ** 0.5)
    canvas.paint(canvas.cover(outline - 1.0), "capsule")
    canvas.paint(canvas.cover(outline), "peripheral", 0.07 * fine + 0.05 * coarse)
    part = anatomy.transition_fraction * float(np.clip(1.15 + 0.55 * height, 0.3, 1.25))
    transition = canvas.ellipse(
        (0, -0.17 * half_y * taper), (part * half_x * taper, min(0.8, part) * half_y * taper)
    )
    transition = np.maximum(transition, outline + 0.8)
    canvas.paint(canvas.cover(transition - 0.8), "capsule")
    inside = canvas.cover(transition)
    canvas.paint(inside, "transition", 0.08 * fine + 0.07 * coarse)
    for place_x, place_y, place_z, radius, brightness in anatomy.nodules:
        reach = 1 - ((z_mm - place_z * half_z) / (1.3 * radius)) ** 2
        if reach > 0.05:
            size = radius * float(np.sqrt(reach))
            spot = canvas.ellipse((place_x * half_x, place_y * half_y), (size, 0.85 * size))
            canvas.paint(canvas.cover(spot - 0.7) * inside, "capsule")
            canvas.paint(canvas.cover(spot) * inside, "transition", brightness + 0.1 * fine)
    stroma = canvas.ellipse(
        (0, -0.9 * half_y * taper), (0.45 * half_x * taper, 0.2 * half_y * taper)
    )
    canvas.paint(canvas.cover(np.maximum(stroma, outline), 2.0), "muscle", 0.06)
    urethra = canvas.ellipse((0, 0.02 * half_y), (2.2, 1.6))
    canvas.paint(canvas.cover(np.maximum(urethra, outline)), "peripheral", 0.15)
    zones[outline < 0] = PERIPHERAL_ZONE
    zones[(outline < 0) & (transition < 0)] = TRANSITION_ZONE
    return zones
