"""The multi-site folder layouts: SAML's `SITE/CaseNN` and MaxStyle's `SITE/patient_N`.

Source: sources.md S8, S9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sweeper.data.faults import Fault, Severity, duplicate_file, relative
from sweeper.data.layouts.source import SITE_ALIASES, SourceCase, SourceDataset, numbered
from sweeper.data.volume import SUFFIXES, VOLUME_SUFFIXES, stem_of, suffix_of
from sweeper.data.voxel_files import natural_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PROSTATE = ("prostate",)
ZONES = {1: 1, 2: 1}
"""Some sites label the two zones 1 and 2; both are prostate (sources.md S8)."""

PROMISE12 = re.compile(r"TrainingData_Part\d+|promise12|training_data", re.IGNORECASE)
"""Folders of PROMISE12's download, which does not state the hospital of a case (sources.md S93)."""

_SEGMENTATION = re.compile(r"^(?P<stem>.+?)_segmentation$", re.IGNORECASE)
IMAGE_STEM, LABEL_STEM = "t2_img_clipped", "label_clipped"


def looks_like_saml(root: Path) -> bool:
    """True if a folder in `root` contains a `*_segmentation` volume."""
    return any(_is_saml_site(folder) for folder in _folders(root))


def _is_saml_site(folder: Path) -> bool:
    return any(
        _SEGMENTATION.match(stem_of(file)) and suffix_of(file) in SUFFIXES
        for file in folder.iterdir()
    )


def read_saml(root: Path, structures: Mapping[int, str] | None = None) -> SourceDataset:
    """The cases `SITE/CaseNN.nii.gz` + `CaseNN_segmentation.nii.gz`, in upper or lower case.

    The parts of PROMISE12's download are one site.

    Args:
        root: Folder with a subfolder per site.
        structures: Label value -> name; by default 1 and 2 are zones of one prostate.
    """
    names, label_map = _structures(structures)
    cases: list[SourceCase] = []
    faults = _ignored_volumes(root, root, [file for file in root.iterdir() if file.is_file()])
    for folder in _folders(root):
        site = _site(folder)
        images, labels = _images_and_labels(root, folder, site, faults)
        if not labels and folder.name.lower() not in SITE_ALIASES:
            faults += _ignored_volumes(root, folder, list(images.values()))
            continue
        for key, image in images.items():
            case = f"{site}_{stem_of(image)}"
            if key in labels:
                cases.append(
                    SourceCase(
                        case=case, domain=site, image=image, label=labels[key], label_map=label_map
                    )
                )
            else:
                faults.append(
                    _no_counterpart(root, image, "label", f"{stem_of(image)}_segmentation", case)
                )
        for key, label in labels.items():
            if key not in images:
                expected = stem_of(label)[: -len("_segmentation")]
                faults.append(_no_counterpart(root, label, "image", expected, f"{site}_{expected}"))
    return SourceDataset(
        root=root,
        layout="saml",
        cases=tuple(cases),
        structures=names,
        faults=tuple(faults),
    )


def _structures(
    named: Mapping[int, str] | None,
) -> tuple[tuple[str, ...], Mapping[int, int]]:
    """The structures, and value -> number of its structure."""
    return (PROSTATE, ZONES) if named is None else numbered(named)


def _site(folder: Path) -> str:
    if PROMISE12.fullmatch(folder.name):
        return "PROMISE12"
    return SITE_ALIASES.get(folder.name.lower(), folder.name)


def _images_and_labels(
    root: Path, folder: Path, site: str, faults: list[Fault]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and labels of a site, by the case's name in lower case; the first file wins."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for file in sorted(folder.iterdir(), key=lambda f: (natural_key(f.name), f.name)):
        if suffix_of(file) not in SUFFIXES or file.name.startswith("."):
            continue
        match = _SEGMENTATION.match(stem_of(file))
        name = match["stem"] if match else stem_of(file)
        first = (labels if match else images).setdefault(name.lower(), file)
        if first != file:
            case = stem_of(first)[: len(name)]
            faults.append(duplicate_file(first, file, root, f"{site}_{case}"))
    return images, labels


def _ignored_volumes(root: Path, folder: Path, files: list[Path]) -> list[Fault]:
    """A warning if a folder that is not a site contains volumes."""
    volumes = [f for f in files if suffix_of(f) in VOLUME_SUFFIXES]
    if not volumes:
        return []
    is_root = folder == root
    count = f"{len(volumes)} volume{'s' if len(volumes) > 1 else ''}"
    return [
        Fault(
            code="folder-left-out",
            where=folder.name if is_root else relative(folder, root),
            problem=f"it contains {count} outside the site folders, such as {volumes[0].name}"
            if is_root
            else f"it contains {count} but no segmentation, so it is not a site",
            remedy="move them to SITE/ if they are cases"
            if is_root
            else "add CaseNN_segmentation files if they are cases",
            severity=Severity.WARNING,
        )
    ]


def looks_like_maxstyle(root: Path) -> bool:
    """True if a `SITE/patient_N` in `root` contains `t2_img_clipped` or `label_clipped`."""
    return any(_is_maxstyle_site(folder) for folder in _folders(root))


def _is_maxstyle_site(folder: Path) -> bool:
    return any(
        stem_of(file) in (IMAGE_STEM, LABEL_STEM)
        for patient in _folders(folder)
        for file in patient.iterdir()
    )


SITE_CHECKS: Mapping[str, Callable[[Path], bool]] = {
    "saml": _is_saml_site,
    "maxstyle": _is_maxstyle_site,
}
"""Layout -> whether a folder has the files of one of its sites."""


def read_maxstyle(root: Path, structures: Mapping[int, str] | None = None) -> SourceDataset:
    """The cases `SITE/patient_N/t2_img_clipped.nii.gz` + `label_clipped.nii.gz`.

    Deviation: the seventh folder, `G-MedicalDecathlon`, is skipped, as in DeSAM.

    Args:
        root: Folder with a subfolder per site.
        structures: As for `read_saml`.
    """
    names, label_map = _structures(structures)
    cases: list[SourceCase] = []
    faults: list[Fault] = []
    for folder in _folders(root):
        site = _site(folder)
        if site.startswith("G-"):
            continue
        for patient in _folders(folder):
            case = f"{site}_{patient.name}"
            files: dict[str, Path] = {}
            for file in sorted(f for f in patient.iterdir() if suffix_of(f) in SUFFIXES):
                first = files.setdefault(stem_of(file), file)
                if first != file and stem_of(file) in (IMAGE_STEM, LABEL_STEM):
                    faults.append(duplicate_file(first, file, root, case))
            image, label = files.get(IMAGE_STEM), files.get(LABEL_STEM)
            if image is not None and label is not None:
                cases.append(
                    SourceCase(
                        case=case, domain=site, image=image, label=label, label_map=label_map
                    )
                )
            elif image is not None:
                faults.append(_no_counterpart(root, image, "label", LABEL_STEM, case))
            elif label is not None:
                faults.append(_no_counterpart(root, label, "image", IMAGE_STEM, case))
            else:
                faults.append(
                    Fault(
                        code="case-empty",
                        where=relative(patient, root),
                        problem=f"it contains neither {IMAGE_STEM} nor {LABEL_STEM}",
                        remedy="add both files or remove the folder",
                        case=case,
                    )
                )
    return SourceDataset(
        root=root,
        layout="maxstyle",
        cases=tuple(cases),
        structures=names,
        faults=tuple(faults),
    )


def _folders(root: Path) -> list[Path]:
    """Visible folders in `root`, in natural order."""
    return sorted(
        (f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".")),
        key=lambda f: natural_key(f.name),
    )


def _no_counterpart(root: Path, file: Path, missing: str, stem: str, case: str) -> Fault:
    return Fault(
        code=f"{missing}-missing",
        where=relative(file, root),
        problem=f"there is no {missing} {stem}{suffix_of(file)} beside it",
        remedy="add it or remove the file",
        case=case,
    )
