"""Proposes the CSV of layout `csv` for a folder of any arrangement; the user checks and edits it.

Images and labels are told apart by words in their names, and paired by what their paths share.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from sweeper.data.dicom import dicom_files, is_dicom, list_series
from sweeper.data.layouts.csv import COLUMNS
from sweeper.data.layouts.csv_table import read_table
from sweeper.data.layouts.source import MODALITIES, SITE_ALIASES, SourceCase
from sweeper.data.volume import (
    PICTURE_SUFFIXES,
    SUFFIXES,
    VOLUME_SUFFIXES,
    stem_of,
    suffix_of,
)
from sweeper.data.voxel_files import VolumeError, natural_key
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TABLE_COLUMNS = (*COLUMNS, "split", "patient", "modality")

LABEL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "label labels labelmap seg segs segmentation segmentations mask masks gt ground truth"
        " groundtruth annotation annotations anatomy tumor tumour lesion lesions contour contours"
        " roi rois dseg delineation delineations manual reader corrected",
    )
)
IMAGE_WORDS = frozenset(["image", "images", "img", "imgs", "dicom", "scan", "scans", "anon"])
_ROLE_WORDS = LABEL_WORDS | IMAGE_WORDS

_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
}

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_AMOS = re.compile(r"amos_(\d{4})", re.IGNORECASE)
_SITE_COLUMNS = ("site", "center", "centre", "institution", "hospital")

_MAX_SHARED = 8
"""Images that may share what pairs them with a label: the sequences of one patient."""

_MAX_SCANS = 4
"""Scans of one patient in a table; a larger group is not a patient."""


@dataclass(frozen=True, slots=True)
class Item:
    """An image or label of a folder.

    Attributes:
        path: Its file, a file of its DICOM series, or the folder of a series or of pictures.
        parts: Its path from the folder, the last part without suffix.
        series: Description of a DICOM series; empty for other formats.
        modality: `Modality` of a DICOM series; empty for other formats.
    """

    path: Path
    parts: tuple[str, ...]
    series: str = ""
    modality: str = ""

    @property
    def text(self) -> str:
        """What its words are searched in, in lower case."""
        return "/".join((*self.parts, self.series)).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One proposed line; the attributes are the columns of layout `csv`."""

    case: str
    site: str
    image: Path
    label: Path
    split: str = ""
    patient: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed table.

    Attributes:
        rows: One per case.
        remarks: What was left out or has to be decided, one sentence each.
        values: Values of the first labels, without 0.
    """

    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    values: tuple[int, ...] = ()


def propose_table(folder: Path, *, images: str = "", labels: str = "") -> Proposal:
    """The cases that a folder seems to contain.

    Args:
        folder: Any folder; DICOM series, volumes and pictures in it and below are found.
        images: Only files whose path contains this text are images.
        labels: Only files whose path contains this text are labels.

    Raises:
        DataError: No image with its label is found.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name the folder of the images and labels")
    remarks: list[str] = []
    items = _items(folder, remarks)
    label_items, image_items = _by_role(items, images.lower(), labels.lower())
    if not label_items or not image_items:
        raise DataError(_nothing(folder, items, image_items, label_items))
    pairs = _pairs(label_items, image_items, remarks)
    if not pairs:
        raise DataError(
            f"{folder} contains {len(image_items)} images and {len(label_items)} labels, such as"
            f" {'/'.join(label_items[0].parts)}, but no label shares a name or number with an"
            " image; write the table by hand, see docs/data.md"
        )
    remarks += _left_out(pairs, image_items, label_items)
    rows = _rows(folder, pairs)
    values = _values(rows[:3])
    if set(values) - {1, 255}:
        remarks.append(
            f"the labels contain {', '.join(map(str, values))}; name them with --structures, where"
            " values with the same name are one structure"
        )
    return Proposal(rows=tuple(rows), remarks=tuple(remarks), values=values)


def write_table(proposal: Proposal, file: TextIO, home: Path | None = None) -> None:
    """Write a proposal as CSV.

    Args:
        proposal: What `propose_table` returned.
        file: Open for writing text.
        home: Folder of the CSV; paths in it are written relative to it, others absolute.
    """

    def shown(path: Path) -> str:
        inside = home is not None and path.is_relative_to(home)
        return path.relative_to(home).as_posix() if home is not None and inside else str(path)

    table = csv.writer(file, lineterminator="\n")
    table.writerow(TABLE_COLUMNS)
    for row in proposal.rows:
        image, label = shown(row.image), shown(row.label)
        table.writerow((row.case, row.site, image, label, row.split, row.patient, row.modality))


# what is in the folder


def _items(root: Path, remarks: list[str]) -> list[Item]:
    """All volumes, DICOM series and pictures, in natural order."""
    items: list[Item] = []
    picture_folders: list[tuple[Path, list[Path]]] = []
    for place, subfolders, names in os.walk(root):
        subfolders[:] = sorted((n for n in subfolders if n[0] != "."), key=natural_key)
        here = Path(place)
        files = [here / name for name in sorted(names, key=natural_key) if name[0] != "."]
        items += [
            Item(f, (*_parts(here, root), stem_of(f)))
            for f in files
            if suffix_of(f) in VOLUME_SUFFIXES
        ]
        if any(suffix_of(f) not in SUFFIXES and is_dicom(f) for f in files):
            items += _series_items(here, root, remarks)
        pictures = [f for f in files if suffix_of(f) in PICTURE_SUFFIXES]
        if pictures:
            picture_folders.append((here, pictures))
    has_series = any(item.modality for item in items)
    for here, pictures in picture_folders:
        parts = _parts(here, root)
        if has_series or _are_slices(picture_folders):
            items.append(Item(here, parts))
        else:
            items += [Item(file, (*parts, stem_of(file))) for file in pictures]
    return items


def _parts(folder: Path, root: Path) -> tuple[str, ...]:
    return folder.relative_to(root).parts


def _series_items(folder: Path, root: Path, remarks: list[str]) -> list[Item]:
    files = dicom_files(folder)
    try:
        series = list_series((files[0], files[-1]))
        if len(series) > 1:
            series = list_series(files)
    except VolumeError as err:
        remarks.append(f"{folder.relative_to(root)} was left out: {err}")
        return []
    parts = _parts(folder, root)
    if len(series) == 1:
        return [Item(folder, parts, series[0].description, series[0].modality or "DICOM")]
    return [
        Item(one.files[0], (*parts, one.description), one.description, one.modality or "DICOM")
        for one in series
    ]


def _are_slices(folders: Sequence[tuple[Path, list[Path]]]) -> bool:
    """True if folders are volumes: names of pictures then recur from one to the next."""
    recurring = Counter(
        (stem_of(file), _is_label(Item(here, here.parts[-2:])))
        for here, files in folders
        for file in files
    )
    return bool(recurring) and 2 * sum(n > 1 for n in recurring.values()) > len(recurring)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _is_label(item: Item) -> bool:
    """By the last part of the path that has a word of either role; an image if none has."""
    for part in reversed((*item.parts, item.series)):
        words = set(_words(part))
        if words & LABEL_WORDS:
            return True
        if words & IMAGE_WORDS:
            return False
    return False


def _by_role(items: Sequence[Item], images: str, labels: str) -> tuple[list[Item], list[Item]]:
    """(labels, images); if no name says label, the user's labels, or files beside DICOM series."""
    matching = [item for item in items if labels in item.text]
    chosen = [item for item in matching if _is_label(item)]
    if not chosen and labels:
        chosen = matching
    elif not chosen and any(item.modality for item in items):
        chosen = [item for item in items if not item.modality]
    others = [item for item in items if item not in chosen and not _is_label(item)]
    return chosen, [item for item in others if images in item.text]


def _nothing(
    folder: Path, items: Sequence[Item], images: Sequence[Item], labels: Sequence[Item]
) -> str:
    if not items:
        return f"{folder} contains no volumes, DICOM series or pictures; name another folder"
    if not labels:
        words = "segmentation, mask, label, seg, GT"
        return (
            f"{folder} contains {len(items)} images but no label: no name contains a word such as"
            f" {words}; say with --labels TEXT what the path of a label contains"
        )
    return (
        f"{folder} contains {len(labels)} labels but no image{'s' if images else ''}; say with"
        " --images TEXT what the path of an image contains"
    )


# which label belongs to which image


def _ids(item: Item) -> dict[str, str]:
    """What may name a case: parts of its path and their beginnings; key -> text.

    A beginning counts if it has a digit (`sub-01` of `sub-01_T2w`). Keys that are whole parts start
    with `=`. Words of a role are ignored at both ends (`Case00_segmentation`).
    """
    ids: dict[str, str] = {}
    before: tuple[str, str] | None = None
    for part in item.parts:
        words = list(_WORD.finditer(part))
        while words and words[-1][0].lower() in _ROLE_WORDS:
            words.pop()
        while words and words[0][0].lower() in _ROLE_WORDS:
            words.pop(0)
        if not words:
            continue
        whole = ""
        for stop in range(1, len(words) + 1):
            key = "-".join(word[0].lower() for word in words[:stop])
            text = part[words[0].start() : words[stop - 1].end()]
            is_whole = stop == len(words)
            whole = key if is_whole else whole
            if is_whole or any(character.isdigit() for character in key):
                mark = "=" if is_whole else ""
                ids[key] = text
                ids[f"{mark}{key}"] = text
                if before is not None:
                    ids[f"{before[0]}/{key}"] = f"{before[1]}_{text}"
                    ids[f"{mark}{before[0]}/{key}"] = f"{before[1]}_{text}"
        before = (whole, part)
    return ids


def _kind(item: Item) -> str:
    """Its path without numbers: the same for the corresponding files of all cases."""
    return "/".join(" ".join(w for w in _words(part) if w.isalpha()) for part in item.parts)


@dataclass(frozen=True, slots=True)
class _Pair:
    image: Item
    label: Item
    names: tuple[str, ...]
    """Texts that may name the case, best first."""


def _pairs(labels: Sequence[Item], images: Sequence[Item], remarks: list[str]) -> list[_Pair]:
    """One label for each image that has any, in the order of the images."""
    image_ids = {image: _ids(image) for image in images}
    images_with: dict[str, list[Item]] = defaultdict(list)
    for image, ids in image_ids.items():
        for key in ids:
            images_with[key].append(image)
    label_ids = {label: _ids(label) for label in labels}
    kinds = {label: _kind(label) for label in labels}
    frequency = Counter((kinds[label], key) for label, ids in label_ids.items() for key in ids)
    matched: dict[Item, list[Item]] = defaultdict(list)
    unmatched = []
    for label, ids in label_ids.items():
        own = [k for k in ids if frequency[kinds[label], k] == 1 and images_with.get(k)]
        scores: dict[Item, float] = defaultdict(float)
        for key in own:
            for image in images_with[key]:
                scores[image] += 1 / len(images_with[key])
        if not own or min(len(images_with[key]) for key in own) > _MAX_SHARED:
            unmatched.append(label)
            continue
        best = max(scores.values())
        tied = [image for image in images if scores.get(image, 0) > best - 1e-9]
        matched[min(tied, key=lambda image: _rank(image, label))].append(label)
    if unmatched:
        remarks.append(
            f"{_count(unmatched, 'label')} without an image left out, such as"
            f" {'/'.join(unmatched[0].parts)}"
        )
    usual = Counter(kinds[label] for found in matched.values() for label in found)
    pairs = []
    for image in images:
        found = matched.get(image)
        if found:
            label = min(found, key=lambda one: (-usual[kinds[one]], len(one.text)))
            own = [
                key
                for key in label_ids[label]
                if key in image_ids[image]
                and frequency[kinds[label], key] == 1
                and key.strip("=") not in _SPLITS
            ]
            own.sort(key=lambda key: (not key.startswith("="), len(key)))
            pairs.append(_Pair(image, label, tuple(label_ids[label][key] for key in own)))
    return pairs


def _rank(image: Item, label: Item) -> tuple[bool, bool, tuple[tuple[int, int | str], ...]]:
    """Order of the images of a case: the one that the label is named after, T2, then by name."""
    stem = image.parts[-1].lower() if image.parts else ""
    is_namesake = bool(stem) and label.parts[-1].lower().startswith(stem)
    return not is_namesake, "t2" not in image.text, natural_key(image.text)


def _left_out(
    pairs: Sequence[_Pair], images: Sequence[Item], labels: Sequence[Item]
) -> Iterable[str]:
    used = {pair.image for pair in pairs} | {pair.label for pair in pairs}
    for name, items in (("image", images), ("label", labels)):
        rest = [item for item in items if item not in used]
        if not rest:
            continue
        chosen = pairs[0].image if name == "image" else pairs[0].label
        kinds = ", ".join(
            f"{'/'.join(next(i for i in rest if _kind(i) == kind).parts)} ({count})"
            for kind, count in Counter(map(_kind, rest)).most_common(4)
        )
        yield (
            f"{_count(rest, name)} not in the table, such as {kinds}; the first case has"
            f" {'/'.join(chosen.parts)}; choose others with --{name}s TEXT"
        )


def _count(items: Sequence[object], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"


# the columns


def _rows(root: Path, pairs: Sequence[_Pair]) -> list[Row]:
    frequency = Counter(name for pair in pairs for name in set(pair.names))
    names = []
    for number, pair in enumerate(pairs, start=1):
        name = next((n for n in pair.names if frequency[n] == 1), f"case_{number}")
        names.append(_cleaned(name) or f"case_{number}")
    sites = _sites(root, pairs, names)
    splits = [_split(pair.image) for pair in pairs]
    has_splits = len({split for split in splits if split}) > 1
    people = _people(pairs)
    return [
        Row(
            case=name,
            site=site,
            image=pair.image.path,
            label=pair.label.path,
            # without validation cases the split rule chooses some among the others
            split=split if has_splits and (split != "train" or "validation" in splits) else "",
            patient=person,
            modality=_modality(pair.image),
        )
        for pair, name, site, split, person in zip(pairs, names, sites, splits, people, strict=True)
    ]


def _cleaned(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text).strip("._-")


def _sites(root: Path, pairs: Sequence[_Pair], names: Sequence[str]) -> list[str]:
    """From `participants.tsv`, a folder that groups the images, or the beginning of the names."""
    table = _participants(root)
    if table:
        people = [next((p for p in pair.image.parts if p in table), "") for pair in pairs]
        if all(people):
            return [_cleaned(table[person]) for person in people]
    depth = min(len(pair.image.parts) for pair in pairs) - 1
    for level in range(depth):
        parts = [pair.image.parts[level] for pair in pairs]
        words = set(_words(" ".join(set(parts))))
        groups = len(set(parts))
        is_group = 1 < groups <= len(pairs) / 2 or (len(pairs) < 4 and groups == 1)
        if is_group and not words <= _ROLE_WORDS | _SPLITS.keys():
            return [SITE_ALIASES.get(p.lower(), _cleaned(p)) for p in parts]
    if any(_AMOS.search(pair.image.text) for pair in pairs):
        return [f"AMOS_{_modality(pair.image)}" for pair in pairs]
    beginnings = [re.split(r"[-_]", name)[0] for name in names]
    if len(set(beginnings)) > 1 and min(Counter(beginnings).values()) > 1:
        return [beginning or "site" for beginning in beginnings]
    return [_cleaned(root.name) or "site"] * len(pairs)


def _participants(root: Path) -> dict[str, str]:
    """Participant -> site from BIDS' `participants.tsv`; empty if it states none."""
    path = root / "participants.tsv"
    if not path.is_file():
        return {}
    rows, _ = read_table(path, ("participant_id",))
    column = next((c for c in _SITE_COLUMNS if rows and c in rows[0][1]), None)
    if column is None:
        return {}
    return {row["participant_id"]: row[column] for _, row in rows if row.get(column)}


def _split(image: Item) -> str:
    words = [word for part in image.parts[:-1] for word in _words(part)]
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def _people(pairs: Sequence[_Pair]) -> list[str]:
    """The patient of each pair where patients have several; else empty texts."""
    people = []
    for pair in pairs:
        parts = pair.image.parts
        first = next((n for n, part in enumerate(parts) if re.search(r"\d", part)), None)
        person = parts[: first + 1] if first is not None and first < len(parts) - 1 else ()
        people.append(_cleaned("_".join(person)))
    sizes = Counter(person for person in people if person)
    if not sizes or not 1 < max(sizes.values()) <= _MAX_SCANS:
        return [""] * len(pairs)
    return people


def _modality(image: Item) -> str:
    """`CT` or `MR` from DICOM, AMOS' numbers (sources.md S93) or words of the path; or empty."""
    amos = _AMOS.search(image.text)
    if amos:
        return "CT" if int(amos[1]) < 500 else "MR"
    tokens = [image.modality, *re.split(r"[/_.\s-]+", image.text)]
    return next((MODALITIES[t.lower()] for t in tokens if t.lower() in MODALITIES), "")


def _values(rows: Sequence[Row]) -> tuple[int, ...]:
    """Values in the labels of these rows, without 0; those that cannot be read have none."""
    values: set[int] = set()
    for row in rows:
        case = SourceCase(
            case=row.case, domain=row.site, image=row.image, label=row.label, label_map={}
        )
        try:
            label = case.read_label().array
        except (VolumeError, OSError):
            continue
        if label.dtype.kind in "iuf" and np.isfinite(label).all():
            values |= {round(float(value)) for value in np.unique(label)[:64]}
    return tuple(sorted(values - {0}))
