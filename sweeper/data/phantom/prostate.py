"""The default dataset: six synthetic sites, written as NIfTI files in the SAML layout."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from sweeper.data.phantom.anatomy import draw_anatomy
from sweeper.data.phantom.scanner import SCANNERS, acquire, sensitivity
from sweeper.data.phantom.tissue import paint_slice, rectum_centre

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.phantom.scanner import Scanner

PHANTOM_SEED = 2024
"""Seed of the default dataset; another seed gives other patients."""

MARGIN_SLICES = 1
"""Number of slices without gland at each end of a volume, as in clipped public data."""


def synthesise(
    scanner: Scanner, index: int, *, seed: int = PHANTOM_SEED
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Image and label `(z, y, x)` of one patient of a site; equal arguments give equal arrays."""
    site = next(i for i, known in enumerate(SCANNERS) if known.site == scanner.site)
    rng = np.random.default_rng([seed, site, index])
    anatomy = draw_anatomy(rng)
    has_coil = scanner.flare > 0
    coil = rectum_centre(anatomy, has_coil=has_coil)
    shading = sensitivity(
        scanner, (anatomy.gland_centre_mm[0], anatomy.gland_centre_mm[1] + coil[1]), rng
    )
    reach = int(anatomy.gland_half_mm[2] / scanner.slice_mm) + MARGIN_SLICES
    images, labels = [], []
    for z in range(-reach, reach + 1):
        signal, zones = paint_slice(
            anatomy,
            z * scanner.slice_mm,
            shape=(scanner.matrix_px, scanner.matrix_px),
            pixel_mm=scanner.pixel_mm,
            contrast=scanner.contrast,
            has_coil=has_coil,
        )
        images.append(acquire(signal, scanner, shading, rng))
        labels.append(zones if scanner.has_zones else (zones > 0).astype(np.uint8))
    return np.stack(images), np.stack(labels)


def write_phantom(
    root: Path,
    *,
    seed: int = PHANTOM_SEED,
    cases_per_site: int | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write all sites as `SITE/CaseNN.nii.gz` with `_segmentation` beside it.

    The folder appears only after all files are written.

    Args:
        root: Folder to write; an existing one is replaced.
        seed: Seed of all patients.
        cases_per_site: Number of patients per site, instead of the scanners' default numbers.
        processes: Number of worker processes.
        progress: Called with (done, total) after each case.
    """
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    jobs = [
        (partial, scanner, index, seed)
        for scanner in SCANNERS
        for index in range(cases_per_site or scanner.n_cases)
    ]
    if processes > 1:
        with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
            for done, _ in enumerate(pool.map(_write_case, jobs), start=1):
                _report(progress, done, len(jobs))
    else:
        for done, job in enumerate(jobs, start=1):
            _write_case(job)
            _report(progress, done, len(jobs))
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _write_case(job: tuple[Path, Scanner, int, int]) -> None:
    root, scanner, index, seed = job
    image, label = synthesise(scanner, index, seed=seed)
    folder = root / scanner.site
    folder.mkdir(parents=True, exist_ok=True)
    spacing = (scanner.pixel_mm, scanner.pixel_mm, scanner.slice_mm)
    write_nifti(folder / f"Case{index:02d}.nii.gz", image, spacing)
    write_nifti(folder / f"Case{index:02d}_segmentation.nii.gz", label, spacing)


def write_nifti(
    path: Path, array: NDArray[np.int16] | NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> None:
    """Write `(z, y, x)` in the canonical frame, centred on the scanner's origin.

    Args:
        path: Path that ends with `.nii.gz`.
        array: Rows run posterior, columns to the patient's left, slices superior.
        spacing_mm: (x, y, z) voxel size.
    """
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
    extent = np.array(array.shape[::-1]) - 1
    affine[:3, 3] = -affine[:3, :3] @ (extent / 2)
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), path)
