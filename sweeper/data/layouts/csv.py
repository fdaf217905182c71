"""Layout of a CSV file `case,site,image,label[,split][,patient][,modality]`, for other data."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from desam_model.types import Split
from sweeper.data.faults import Fault
from sweeper.data.layouts.csv_table import read_table
from sweeper.data.layouts.source import (
    MODALITIES,
    SITE_ALIASES,
    SourceCase,
    SourceDataset,
    numbered,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS = ("case", "site", "image", "label")
DEFAULT_STRUCTURES = {1: "foreground"}

_SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "validation": Split.VALIDATION,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "test": Split.TEST,
    "testing": Split.TEST,
}


def find_csv(source: Path) -> Path | None:
    """The source if it is a CSV file, or the only CSV file in the folder; else None."""
    if source.is_file():
        return source if source.suffix.lower() in (".csv", ".tsv") else None
    files = sorted(source.glob("*.csv"))
    return files[0] if len(files) == 1 else None


def looks_like_csv(source: Path) -> bool:
    """True for a CSV file, and for a folder whose only CSV file has columns of this layout."""
    path = find_csv(source)
    return path is not None and (path == source or looks_like_table(path))


def looks_like_table(path: Path) -> bool:
    """True if a file's first line has at least two of the required columns."""
    with path.open("rb") as file:
        head = file.readline(4096).decode("utf-8", errors="replace").lower()
    return len(set(re.findall(r"\w+", head)) & set(COLUMNS)) > 1


def read_csv(source: Path, structures: Mapping[int, str] | None = None) -> SourceDataset:
    """The cases of a CSV; its paths are relative to its folder; a picture folder is one volume.

    Args:
        source: The CSV file, or a folder with one CSV file.
        structures: Label value -> name; by default 1 is `foreground`.
    """
    path = find_csv(source)
    if path is None:
        fault = Fault(
            code="csv-missing",
            where=str(source),
            problem="it is neither a CSV file nor a folder with exactly one",
            remedy=f"name a CSV file with the columns {','.join(COLUMNS)}",
        )
        return SourceDataset(root=source, layout="csv", cases=(), structures=(), faults=(fault,))
    names, label_map = numbered(structures or DEFAULT_STRUCTURES)
    rows, faults = read_table(path, COLUMNS)
    cases = []
    for number, row in rows:
        split = _split(row.get("split", ""), f"{path.name} line {number}", row["case"], faults)
        site = row["site"]
        cases.append(
            SourceCase(
                case=row["case"],
                domain=SITE_ALIASES.get(site.lower(), site),
                image=path.parent / row["image"],
                label=path.parent / row["label"],
                label_map=label_map,
                patient=row.get("patient", ""),
                split=split,
            )
        )
    faults += _shared_files(cases, path)
    modalities = _modalities(rows, path, faults)
    return SourceDataset(
        root=path.parent,
        layout="csv",
        cases=tuple(cases),
        structures=names,
        modalities=modalities,
        faults=tuple(faults),
    )


def _split(text: str, where: str, case: str, faults: list[Fault]) -> Split | None:
    if not text:
        return None
    if text.lower() not in _SPLITS:
        faults.append(
            Fault(
                code="csv-split",
                where=where,
                problem=f"split is {text!r}, expected train, validation or test",
                remedy="correct it, or leave the cell empty to use the split rule",
                case=case,
            )
        )
        return None
    return _SPLITS[text.lower()]


def _modalities(
    rows: Sequence[tuple[int, Mapping[str, str]]], path: Path, faults: list[Fault]
) -> dict[str, str]:
    """Domain -> modality from the column `modality`; all cases of a domain must agree."""
    modalities: dict[str, str] = {}
    for number, row in rows:
        text = row.get("modality", "")
        domain = SITE_ALIASES.get(row["site"].lower(), row["site"])
        modality = MODALITIES.get(text.lower(), "")
        expected = modalities.setdefault(domain, modality)
        if (text and not modality) or modality != expected:
            problem = (
                f"modality is {text!r}, expected CT or MR"
                if text and not modality
                else f"modality is {text!r}, but an earlier case of {domain} has {expected!r}"
            )
            faults.append(
                Fault(
                    code="csv-modality",
                    where=f"{path.name} line {number}",
                    problem=problem,
                    remedy="give all cases of a site the same modality, or make two sites of it",
                    case=row["case"],
                )
            )
    return {domain: modality for domain, modality in modalities.items() if modality}


def _shared_files(cases: list[SourceCase], path: Path) -> list[Fault]:
    faults = [
        Fault(
            code="image-is-label",
            where=f"{path.name} case {case.case}",
            problem="image and label are the same file",
            remedy="name the label's file",
            case=case.case,
        )
        for case in cases
        if case.image == case.label
    ]
    labels = Counter(case.label for case in cases)
    faults += [
        Fault(
            code="label-shared",
            where=f"{path.name} case {case.case}",
            problem=f"{case.label.name} is the label of {labels[case.label]} cases",
            remedy="name each case's own label",
            case=case.case,
        )
        for case in cases
        if labels[case.label] > 1
    ]
    return faults
