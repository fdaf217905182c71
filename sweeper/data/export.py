"""Exports cases as the folder and CSV that DeSAM's released code reads."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from sweeper.data.layouts.channels import CHANNEL
from sweeper.data.layouts.desam import COLUMNS, SITES_CSV
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.data.layouts.source import SourceCase
    from sweeper.data.volume import Volume

NAME = "prostate_{:03d}"
"""The released code reads the patient's number from characters 9 to 12 of the file name."""

MAX_CASES = 999
"""Largest number with three digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One exported case: its new name, its case id and its domain."""

    name: str
    case: str
    domain: str


def export_desam(
    cases: Sequence[SourceCase],
    folder: Path,
    *,
    values: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Exported, ...]:
    """Write `imagesTr`, `labelsTr` and `prostate_patientid.csv` below `folder/raw_data`.

    Args:
        cases: In the order of the CSV; the released code trains on the first 90 % of each site.
        folder: The released code's work folder, which must not contain `raw_data` yet.
        values: Values of the label map (after `label_map`) that are written as 1.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: `raw_data` exists, or there are more cases than the names can distinguish.
    """
    target = folder / "raw_data"
    if target.exists():
        raise DataError(f"{target} already exists; remove it or name another folder with --to")
    if len(cases) > MAX_CASES:
        raise DataError(
            f"there are {len(cases)} cases, but the released code supports at most {MAX_CASES};"
            " export fewer"
        )
    home = folder / ".raw_data.partial"  # an interrupted export leaves no incomplete `raw_data`
    shutil.rmtree(home, ignore_errors=True)
    try:
        (home / "imagesTr").mkdir(parents=True)
        (home / "labelsTr").mkdir()
    except OSError as err:
        raise DataError(
            f"{folder} cannot be written ({err.strerror}); name another folder with --to"
        ) from err
    exported = []
    for number, case in enumerate(cases, start=1):
        name = NAME.format(number)
        image, label = case.read_image(), case.read_label()
        _write(home / "imagesTr" / f"{name}{CHANNEL}.nii.gz", image.array[0], image)
        if np.isin(np.rint(label.array[0]), case.ignored).any():
            raise DataError(
                f"{case.case} has ignored voxels, which the released code would take for"
                " background; export a dataset without this case"
            )
        mask = np.isin(
            np.rint(label.array[0]), [v for v, stored in case.label_map.items() if stored in values]
        )
        _write(home / "labelsTr" / f"{name}.nii.gz", mask.astype(np.uint8), image)
        exported.append(Exported(name=name, case=case.case, domain=case.domain))
        if progress is not None:
            progress(number, len(cases))
    with (home / SITES_CSV).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows((case.domain, number) for number, case in enumerate(exported, start=1))
    home.rename(target)
    return tuple(exported)


def _write(path: Path, array: NDArray[np.generic], frame: Volume) -> None:
    """Write `(z, y, x)` with the geometry of `frame`; types that NIfTI lacks become float32."""
    if array.dtype not in (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64):
        array = array.astype(np.float32)
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), frame.affine), path)
