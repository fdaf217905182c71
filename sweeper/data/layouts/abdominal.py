"""Layout of abdominal CT and MR, BTCV and CHAOS as NIfTI: a folder per modality, four organs.

Source: CSDG `data/abdominal`; sources.md S12.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sweeper.data.faults import Fault, Severity, duplicate_file, relative
from sweeper.data.layouts.source import SourceCase, SourceDataset, numbered
from sweeper.data.volume import SUFFIXES, stem_of, suffix_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")

BTCV_LABELS: Mapping[int, int] = {6: 1, 2: 2, 3: 3, 1: 4, **dict.fromkeys((4, 5, *range(7, 14)), 0)}
"""BTCV's thirteen organs; all but the four become background."""

CHAOS_LABELS: Mapping[int, int] = {63: 1, 126: 2, 189: 3, 252: 4, 1: 1, 2: 2, 3: 3, 4: 4}
"""CHAOS's grey values, or the numbers that converters replace them with."""

MODALITIES: Mapping[str, str] = {
    **dict.fromkeys(("ct", "btcv", "sabs", "synapse", "rawdata"), "CT"),
    **dict.fromkeys(("mr", "mri", "chaos", "chaost2", "t2spir", "t2-spir"), "MR"),
}
"""Folder name in lower case -> modality."""

_IMAGE = re.compile(r"^(?:img|image|case)[_-]?(\d+)$", re.IGNORECASE)
_LABEL = re.compile(r"^(?:label|seg|gt)[_-]?(\d+)$", re.IGNORECASE)


def looks_like_abdominal(root: Path) -> bool:
    """True if folders with a modality's name contain `img0001` or `image_1`, or CHAOS's series."""
    return any(
        _numbered(folder, _IMAGE) or _chaos(folder, modality)
        for folder, modality in _modality_folders(root)
    )


def looks_like_one_modality(folder: Path) -> bool:
    """True if `folder` contains `img0001` or `image_1` volumes and labels, whatever its name."""
    return bool(_numbered(folder, _IMAGE)) and bool(_numbered(folder, _LABEL))


def read_abdominal(root: Path, structures: Mapping[int, str] | None = None) -> SourceDataset:
    """The cases `CT/**/img0001.nii.gz` + `label0001` and `MR/**/image_1.nii.gz` + `label_1`.

    Of CHAOS as it is downloaded (DICOM and pictures), the MR cases are those of T2SPIR.

    Deviation: the cases are split by the same rule as sites (90 % training), not 70/10/20; the
    target is then all cases of the other modality, as in the protocol.

    Args:
        root: Folder with a subfolder per modality.
        structures: Label value -> name, if the labels of both modalities have other values than
            those of BTCV and CHAOS.
    """
    names: tuple[str, ...] = ORGANS
    maps = {"CT": BTCV_LABELS, "MR": CHAOS_LABELS}
    if structures is not None:
        names, values = numbered(structures)
        maps = {"CT": values, "MR": values}
    cases: list[SourceCase] = []
    faults: list[Fault] = []
    for folder, modality in _modality_folders(root):
        images, labels = _numbered(folder, _IMAGE), _numbered(folder, _LABEL)
        faults += _duplicates(root, folder, modality)
        series = _chaos(folder, modality)
        if modality == "CT" and series:
            faults.append(_only_the_liver(folder, len(series)))
        elif series:
            images |= {number: image for number, (image, _) in series.items()}
            labels |= {number: label for number, (_, label) in series.items() if label.is_dir()}
        for number in sorted(images.keys() | labels.keys()):
            case = f"{modality}_{number:04d}"
            if number in images and number in labels:
                cases.append(
                    SourceCase(
                        case=case,
                        domain=modality,
                        image=images[number],
                        label=labels[number],
                        label_map=maps[modality],
                    )
                )
                continue
            if number in images and _is_test(images[number], folder):
                continue
            file = images.get(number) or labels[number]
            kind = "label" if number in images else "image"
            faults.append(
                Fault(
                    code=f"{kind}-missing",
                    where=relative(file, root),
                    problem=f"there is no {kind} with number {number} under {folder.name}",
                    remedy="add it or remove the file",
                    case=case,
                )
            )
    return SourceDataset(
        root=root,
        layout="abdominal",
        cases=tuple(cases),
        structures=names,
        profiles={domain: domain.lower() for domain in dict.fromkeys(c.domain for c in cases)},
        modalities={case.domain: case.domain for case in cases},
        faults=tuple(faults),
    )


def _chaos(folder: Path, modality: str) -> dict[int, tuple[Path, Path]]:
    """Number -> folders of a CHAOS case: `1/T2SPIR/DICOM_anon` with `Ground`, in CT without T2SPIR.

    Source: CHAOS's description of its data; sources.md S93.
    """
    sequence = "T2SPIR" if modality == "MR" else "."
    homes = ((case, case / sequence) for case in folder.iterdir() if case.name.isdecimal())
    return {
        int(case.name): (home / "DICOM_anon", home / "Ground")
        for case, home in homes
        if (home / "DICOM_anon").is_dir()
    }


def _only_the_liver(folder: Path, n_cases: int) -> Fault:
    return Fault(
        code="folder-left-out",
        where=folder.name,
        problem=f"its {n_cases} CT cases of CHAOS have masks of the liver only",
        remedy="use BTCV as CT of this layout, or import them alone with `sweeper data table`",
        severity=Severity.WARNING,
    )


def _modality_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders of a source with their modalities; also BTCV's `RawData` itself."""
    return [
        (folder, MODALITIES[folder.name.lower()])
        for folder in (*sorted(root.iterdir()), *([root] if root.name == "RawData" else []))
        if folder.is_dir() and folder.name.lower() in MODALITIES
    ]


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """Number -> file, for the volumes below a folder whose names match."""
    return {number: files[0] for number, files in _all_numbered(folder, pattern).items()}


def _all_numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, list[Path]]:
    files: dict[int, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        match = pattern.match(stem_of(file)) if suffix_of(file) in SUFFIXES else None
        if match and file.is_file():
            files.setdefault(int(match[1]), []).append(file)
    return files


def _is_test(image: Path, folder: Path) -> bool:
    """True for an image in `Testing`, whose labels BTCV keeps."""
    return any(
        part.lower() in ("testing", "test_sets") for part in image.relative_to(folder).parts[:-1]
    )


def _duplicates(root: Path, folder: Path, modality: str) -> list[Fault]:
    """Faults for second files with the same number, such as `img1` beside `img0001`."""
    return [
        duplicate_file(first, other, root, f"{modality}_{number:04d}")
        for pattern in (_IMAGE, _LABEL)
        for number, (first, *others) in _all_numbered(folder, pattern).items()
        for other in others
    ]
