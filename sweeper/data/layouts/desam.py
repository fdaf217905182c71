"""DeSAM's layout, as nnU-Net's: `imagesTr/CASE_0000`, `labelsTr/CASE`, perhaps a CSV of sites.

Source: DeSAM `precompute_embeddings.py` and `utils/utils.py`; sources.md S7.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweeper.data.faults import Fault, Severity, duplicate_file, relative
from sweeper.data.layouts.channels import CHANNEL, channels_left_out
from sweeper.data.layouts.csv_table import read_table
from sweeper.data.layouts.source import (
    MODALITIES,
    SITE_ALIASES,
    SourceCase,
    SourceDataset,
    numbered,
)
from sweeper.data.volume import SUFFIXES, stem_of, suffix_of
from sweeper.data.voxel_files import natural_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

SITES_CSV = "prostate_patientid.csv"
COLUMNS = ("center", "patientid")

_CHANNEL_NUMBER = re.compile(r"_(\d{4})$")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._ -]+")


def looks_like_desam(root: Path) -> bool:
    """True if the folder, or its `raw_data`, contains `imagesTr` and `labelsTr`."""
    return _home(root) is not None


def read_desam(root: Path, structures: Mapping[int, str] | None = None) -> SourceDataset:
    """The cases in the CSV's order; a row has the case's name or the number at its end.

    With `dataset.json` but without the CSV (nnU-Net, the Decathlon, AMOS), all cases are one site.

    Args:
        root: The folder, or the one above its `raw_data`.
        structures: Label value -> name; by default from `dataset.json`, else 1 is `prostate`.
    """
    home = _home(root) or root
    dataset = _dataset_json(home)
    labels_json = _labels(dataset)
    regions, ignored = ({}, ()) if structures else (_regions(labels_json), _ignored(labels_json))
    names, label_map = numbered(structures or _structures(labels_json, ignored))
    if regions:
        values = sorted({v for region in regions.values() for v in region})
        label_map = {value: index for index, value in enumerate(values, start=1)}
    faults: list[Fault] = []
    stems = [stem_of(file) for file in _files(home / "imagesTr")]
    ending = _image_ending(home, stems)
    images = _by_stem(home / "imagesTr", ending, faults)
    labels = _by_stem(home / "labelsTr", _label_ending(home), faults)
    faults += _unpaired(home, images, labels, ending)
    channels = _channels(dataset, stems)
    paired = {
        case: SourceCase(
            case=case,
            domain="",
            image=images[case],
            label=labels[case],
            label_map=label_map,
            ignored=ignored,
            channels=(0,) if channels and not ending else (),
        )
        for case in sorted(images.keys() & labels.keys(), key=natural_key)
    }
    if channels and paired:
        faults.append(channels_left_out(home.name, channels))
    cases = _with_sites(home, dataset, paired, images.keys() | labels.keys(), faults)
    return SourceDataset(
        root=home,
        layout="desam",
        cases=tuple(cases.values()),
        structures=tuple(regions) or names,
        regions={
            name: tuple(label_map[value] for value in region) for name, region in regions.items()
        },
        modalities=_modalities(dataset, cases.values()),
        channels=channels,
        faults=tuple(faults),
    )


def _with_sites(
    home: Path,
    dataset: Mapping[str, Any],
    paired: Mapping[str, SourceCase],
    names: Collection[str],
    faults: list[Fault],
) -> dict[str, SourceCase]:
    """The cases that the table of sites names, in its order; adds the faults found.

    Without a table, a source with `dataset.json` is one site.
    """
    if not (home / SITES_CSV).is_file():
        if paired or not dataset:
            faults.append(_no_table(home, dataset, len(paired)))
        site = _one_site(home, dataset)
        return {k: replace(case, domain=site) for k, case in paired.items()} if dataset else {}
    rows, table_faults = read_table(home / SITES_CSV, COLUMNS)
    faults += table_faults
    cases: dict[str, SourceCase] = {}
    for number, row in rows:
        where = f"{SITES_CSV} line {number}"
        case = _case_named(row["patientid"], sorted(names), where, faults)
        if case is None:
            continue
        if case in cases:
            faults.append(
                Fault(
                    code="csv-duplicate",
                    where=where,
                    problem=f"case {case} is also in an earlier line",
                    remedy="remove one of the lines",
                    case=case,
                )
            )
        elif case in paired:
            site = row["center"]
            cases[case] = replace(paired[case], domain=SITE_ALIASES.get(site.lower(), site))
    if rows:
        faults += _without_site(home, paired, cases)
    return cases


def _no_table(home: Path, dataset: Mapping[str, Any], n_cases: int) -> Fault:
    columns = ",".join(COLUMNS)
    if dataset:
        return Fault(
            code="csv-missing",
            where=SITES_CSV,
            problem=f"it is missing, so all {n_cases} cases are one site,"
            f" {_one_site(home, dataset)}",
            remedy=f"if they are from several sites, create it beside imagesTr with the columns"
            f" {columns}",
            severity=Severity.WARNING,
        )
    return Fault(
        code="csv-missing",
        where=SITES_CSV,
        problem="it is missing, so no case has a site",
        remedy=f"create it beside imagesTr with the columns {columns}: one row per case; the first"
        " 90 % of each site are for training",
    )


def _one_site(home: Path, dataset: Mapping[str, Any]) -> str:
    """The dataset's own name, or that of its folder, as it may be used in file names."""
    for name in (dataset.get("name"), home.name):
        cleaned = _NOT_IN_NAMES.sub("_", str(name or "")).strip("._ -")
        if cleaned:
            return SITE_ALIASES.get(cleaned.lower(), cleaned)
    return "site"


def _home(root: Path) -> Path | None:
    for folder in (root, root / "raw_data"):
        if (folder / "imagesTr").is_dir() and (folder / "labelsTr").is_dir():
            return folder
    return None


def _dataset_json(home: Path) -> Mapping[str, Any]:
    """nnU-Net's `dataset.json`; empty if it is missing or damaged."""
    try:
        plain = json.loads((home / "dataset.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _labels(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name -> value, or values of a region, from `labels` of version 1 or 2."""
    labels = dataset.get("labels")
    if not isinstance(labels, dict):
        return {}
    return {
        str(value) if str(key).isdigit() else str(key): int(key) if str(key).isdigit() else value
        for key, value in labels.items()
    }


def _ignored(labels: Mapping[str, Any]) -> tuple[int, ...]:
    """Value of the label `ignore` of version 2, which marks voxels that nobody labelled."""
    value = labels.get("ignore")
    return (value,) if isinstance(value, int) else ()


def _regions(labels: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Structure -> its label values, if any structure has several; else empty."""
    regions: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(v, int) for v in values):
            return {}
        if name != "ignore" and any(values):
            regions[name] = tuple(sorted(set(values) - {0}))
    return regions if any(len(values) > 1 for values in regions.values()) else {}


def _structures(labels: Mapping[str, Any], ignored: tuple[int, ...]) -> dict[int, str]:
    """Label value -> name; prostate if the file names none."""
    names: dict[int, str] = {}
    for name, value in labels.items():
        if not str(value).isdigit():
            names = {}
            break
        if int(value) > 0 and int(value) not in ignored:
            names[int(value)] = name
    return names or {1: "prostate"}


def _channel_names(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the channels 0, 1, ... of version 1 or 2."""
    named = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(named, dict):
        return ()
    return tuple(str(named[key]).strip() for key in sorted(named, key=natural_key))


def _channels(dataset: Mapping[str, Any], stems: Sequence[str]) -> tuple[str, ...]:
    """Names, or numbers, of the channels if there are several; else empty."""
    numbers = {match[1] for stem in stems if (match := _CHANNEL_NUMBER.search(stem))}
    names = _channel_names(dataset)
    if len(names) > 1:
        return names
    has_files = any(stem.endswith(CHANNEL) for stem in stems) and len(numbers) > 1
    return tuple(str(int(number)) for number in sorted(numbers)) if has_files else ()


def _modalities(dataset: Mapping[str, Any], cases: Iterable[SourceCase]) -> dict[str, str]:
    """Domain -> modality from the name of the first channel."""
    first = next(iter(_channel_names(dataset)), "")
    modality = MODALITIES.get(first.lower(), "")
    return {case.domain: modality for case in cases} if modality else {}


def _files(folder: Path) -> list[Path]:
    """The visible volumes in a folder, in natural order."""
    if not folder.is_dir():
        return []
    files = sorted(folder.iterdir(), key=lambda file: natural_key(file.name))
    return [file for file in files if suffix_of(file) in SUFFIXES and file.name[0] != "."]


def _image_ending(home: Path, stems: Sequence[str]) -> str:
    """`_0000`, or nothing if no image has the number of a channel after a label's name.

    The Medical Segmentation Decathlon has no such numbers, but 4-D files.
    """
    labels = {stem_of(file) for file in _files(home / "labelsTr")}
    has_number = any(
        stem.endswith(CHANNEL) or (stem not in labels and _CHANNEL_NUMBER.sub("", stem) in labels)
        for stem in stems
    )
    return CHANNEL if has_number or not stems else ""


def _label_ending(home: Path) -> str:
    """The image's ending where all labels have it too, as some converters write them."""
    stems = [stem_of(file) for file in _files(home / "labelsTr")]
    return CHANNEL if stems and all(stem.endswith(CHANNEL) for stem in stems) else ""


def _by_stem(folder: Path, ending: str, faults: list[Fault]) -> dict[str, Path]:
    """Case -> file of a folder; a second file of the same case is added to `faults`."""
    by_case: dict[str, Path] = {}
    for file in _files(folder):
        stem = stem_of(file)
        if stem.endswith(ending):
            case = stem.removesuffix(ending)
            first = by_case.setdefault(case, file)
            if first != file:
                faults.append(duplicate_file(first, file, folder.parent, case))
    return by_case


def _unpaired(
    home: Path, images: Mapping[str, Path], labels: Mapping[str, Path], ending: str
) -> list[Fault]:
    faults = []
    for missing, present, counterparts, pattern in (
        ("label", images, labels, "labelsTr/{}"),
        ("image", labels, images, "imagesTr/{}" + ending),
    ):
        for case in sorted(present.keys() - counterparts.keys(), key=natural_key):
            expected = f"{pattern.format(case)}{suffix_of(present[case])}"
            faults.append(
                Fault(
                    code=f"{missing}-missing",
                    where=relative(present[case], home),
                    problem=f"there is no {missing} {expected}",
                    remedy="add it or remove the file",
                    case=case,
                )
            )
    return faults


def _case_named(text: str, names: list[str], where: str, faults: list[Fault]) -> str | None:
    """The case with this name, or the only one whose name ends with this number."""
    if text in names:
        return text
    matches = []
    if text.isdigit():
        endings = ((name, re.search(r"(\d+)$", name)) for name in names)
        matches = [name for name, match in endings if match and int(match[1]) == int(text)]
    if len(matches) == 1:
        return matches[0]
    problem = (
        f"patientid {text} matches several cases: {', '.join(matches[:4])}"
        if matches
        else f"no case is named {text} or ends with this number"
    )
    remedy = "use the case's full name as patientid" if matches else "correct or remove the line"
    faults.append(
        Fault(
            code="csv-ambiguous" if matches else "csv-no-case",
            where=where,
            problem=problem,
            remedy=remedy,
            severity=Severity.ERROR if matches else Severity.WARNING,
        )
    )
    return None


def _without_site(
    home: Path, paired: Mapping[str, SourceCase], cases: Mapping[str, SourceCase]
) -> list[Fault]:
    return [
        Fault(
            code="csv-no-site",
            where=relative(paired[case].image, home),
            problem=f"{SITES_CSV} has no row for case {case}",
            remedy="add its row or remove its files",
            case=case,
        )
        for case in sorted(paired.keys() - cases.keys(), key=natural_key)
    ]
