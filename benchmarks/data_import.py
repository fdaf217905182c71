"""Import of 100 phantom cases: cases a second and peak memory, one process against all.

Run: uv run python benchmarks/data_import.py [--cases 100]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

from sweeper.data.case_pool import default_processes
from sweeper.data.phantom import write_phantom
from sweeper.pipeline.data_import import import_dataset
from sweeper.pipeline.data_options import ImportOptions


def peak_mb() -> float:
    """Peak memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_s() -> float:
    """Processor time of this process and of its finished children, seconds."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def timed_import(source: Path, target: Path, processes: int) -> tuple[float, float]:
    start, cpu_before = time.perf_counter(), cpu_s()
    import_dataset(source, target, ImportOptions(processes=processes))
    return time.perf_counter() - start, cpu_s() - cpu_before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    n = parser.parse_args().cases
    folder = Path(tempfile.mkdtemp(prefix="sweeper-bench-"))
    try:
        start = time.perf_counter()
        write_phantom(folder / "src", cases_per_site=-(-n // 6), processes=default_processes())
        cases = sorted((folder / "src").glob("*/Case??.nii.gz"))
        for extra in cases[n:]:
            extra.unlink()
            extra.with_name(extra.name.replace(".nii", "_segmentation.nii")).unlink()
        print(f"phantom written: {time.perf_counter() - start:.1f} s")
        many = default_processes()
        parallel, _ = timed_import(folder / "src", folder / "many.zarr", many)
        print(f"{many} processes: {parallel:.1f} s, {n / parallel:.1f} cases/s")
        print(f"peak memory of the driver: {peak_mb():.0f} MB")
        again, _ = timed_import(folder / "src", folder / "many.zarr", many)
        print(f"second import (nothing to do): {again:.2f} s")
        single, cpu = timed_import(folder / "src", folder / "one.zarr", 1)
        print(f"1 process: {single:.1f} s, {n / single:.1f} cases/s; ratio {single / parallel:.2f}")
        print(f"peak memory of the one process: {peak_mb():.0f} MB")
        print(f"1 process: {cpu:.1f} s of processor time, {n / cpu:.1f} cases per processor second")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
