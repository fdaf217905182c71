"""Import of 100 phantom cases: cases a second and peak memory, one process against all.

Each import runs in a process of its own. Memory is the resident memory of that process and its
workers, sampled every 20 ms, the peak of the sum; libraries they share are counted in each.

Run: uv run python benchmarks/data_import.py [--cases 100] [--repeats 2]
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
from sweeper.data.phantom import write_phantom

LARGE_SHAPE = (147, 512, 512)
"""(z, y, x) of a usual BTCV scan."""

CHILD = """
import sys
from pathlib import Path
from sweeper.pipeline.data_import import import_dataset
from sweeper.pipeline.data_options import ImportOptions
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
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    folder, n, many = (
        Path(tempfile.mkdtemp(prefix="sweeper-bench-")),
        args.cases,
        default_processes(),
    )
    try:
        write_cases(folder / "src", n)
        best: dict[int, float] = {}
        for repeat in range(args.repeats):
            for processes in dict.fromkeys((1, many)):
                target = folder / f"{processes}-{repeat}.zarr"
                seconds, peak = timed_import(folder / "src", target, processes)
                best[processes] = min(seconds, best.get(processes, seconds))
                print(
                    f"{processes} processes: {seconds:.1f} s, {n / seconds:.1f} cases/s,"
                    f" peak {peak:.0f} MB"
                )
        print(f"{many} processes against 1: {best[1] / best[many]:.2f} x")
        again, _ = timed_import(folder / "src", folder / f"{many}-0.zarr", many)
        print(f"second import (nothing to do): {again:.2f} s")
        write_large(folder / "large")
        seconds, peak = timed_import(folder / "large", folder / "large.zarr", 1)
        print(f"2 CT scans of {LARGE_SHAPE}, 1 process: {seconds:.1f} s, peak {peak:.0f} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
