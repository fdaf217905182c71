"""Import of 100 phantom cases, of full-size ones and of CT: cases a second and peak memory.

Each import runs in a process of its own. Memory is the resident memory of that process and its
workers, sampled every 20 ms, the peak of the sum; libraries they share are counted in each.

Run: uv run python benchmarks/data_import.py [--cases 100] [--full-size 40] [--repeats 2]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from sweeper.data.case_pool import default_processes
from sweeper.data.phantom.prostate import write_phantom

FULL_SHAPE = (24, 384, 384)
"""(z, y, x) of a usual scan of the prostate set (sources.md S10); 16 of its slices are labelled."""

LARGE_SHAPE = (147, 512, 512)
"""(z, y, x) of a usual BTCV scan."""

CHILD = """
import sys
from pathlib import Path
from sweeper.pipeline.data.importing import import_dataset
from sweeper.pipeline.data.options import ImportOptions
if __name__ == "__main__":
    source, target, processes = sys.argv[1:]
    report = import_dataset(Path(source), Path(target), ImportOptions(processes=int(processes)))
    print(len(report.store.cases))
"""


def group_mb(group: int) -> float:
    """Memory of all processes of a group, MB."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                rollup = (folder / "smaps_rollup").read_text()
                total += int(rollup.split("\nRss:")[1].split()[0])
    return total / 1024


def timed_import(source: Path, target: Path, processes: int) -> tuple[float, float]:
    """Seconds of a whole import, Python's start included, and its peak memory in MB."""
    start, peak = time.perf_counter(), 0.0
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(target), str(processes)],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while child.poll() is None:
        peak = max(peak, group_mb(child.pid))
        time.sleep(0.02)
    if child.returncode:
        raise SystemExit(f"the import ended with {child.returncode}")
    return time.perf_counter() - start, peak


def write_cases(folder: Path, n: int) -> None:
    """The six-site phantom with `n` cases."""
    write_phantom(folder, cases_per_site=-(-n // 6), processes=default_processes())
    for extra in sorted(folder.glob("*/Case??.nii.gz"))[n:]:
        extra.unlink()
        extra.with_name(extra.name.replace(".nii", "_segmentation.nii")).unlink()


def write_full_size(folder: Path, n: int) -> None:
    """`n` scans of the prostate set's own size, gzipped int16 noise, in the SAML layout."""
    affine = np.diag([-0.47, -0.47, 3.0, 1.0])
    affine[:3, 3] = (90.0, 90.0, -36.0)
    label = np.zeros(FULL_SHAPE, np.uint8)
    label[4:20, 140:240, 140:240] = 1
    for number in range(n):
        noise = np.random.default_rng(number).normal(300, 40, FULL_SHAPE).astype(np.int16)
        for ending, array in (("", noise), ("_segmentation", label)):
            path = folder / ("UCL", "HK")[number % 2] / f"Case{number:02d}{ending}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), path)


def compare(source: Path, n: int, repeats: int) -> None:
    """Import with one process and with all, alternately, and tell both and the gain."""
    many, best = default_processes(), dict[int, float]()
    for repeat in range(repeats):
        for processes in dict.fromkeys((1, many)):
            target = source.with_name(f"{source.name}-{processes}-{repeat}.zarr")
            seconds, peak = timed_import(source, target, processes)
            best[processes] = min(seconds, best.get(processes, seconds))
            speed = f"{seconds:.1f} s, {n / seconds:.1f} cases/s, peak {peak:.0f} MB"
            print(f"{source.name}, {n} cases, {processes} processes: {speed}", flush=True)
    print(f"{source.name}: {many} processes against 1: {best[1] / best[many]:.2f} x")


def write_large(folder: Path) -> None:
    """Two CT scans of BTCV's size, int16, in the abdominal layout."""
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    affine[:3, 3] = (200.0, 200.0, -220.0)
    label = np.zeros(LARGE_SHAPE, np.uint8)
    for place, value in enumerate((6, 2, 3, 1)):
        label[20:120, 150 + 50 * place : 190 + 50 * place, 200:300] = value
    for number in (1, 2):
        image = np.random.default_rng(number).normal(40, 60, LARGE_SHAPE).astype(np.int16)
        for stem, array in (("img", image), ("label", label)):
            path = folder / "CT" / stem / f"{stem}{number:04d}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--full-size", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sweeper-bench-"))
    try:
        if args.cases:
            write_cases(folder / "phantom", args.cases)
            compare(folder / "phantom", args.cases, args.repeats)
            again, _ = timed_import(folder / "phantom", folder / "phantom-1-0.zarr", 1)
            print(f"second import (nothing to do): {again:.2f} s")
        if args.full_size:
            write_full_size(folder / "full-size", args.full_size)
            compare(folder / "full-size", args.full_size, args.repeats)
        write_large(folder / "large")
        seconds, peak = timed_import(folder / "large", folder / "large.zarr", 1)
        print(f"2 CT scans of {LARGE_SHAPE}, 1 process: {seconds:.1f} s, peak {peak:.0f} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
