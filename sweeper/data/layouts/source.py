"""What a layout reader returns: the cases of a source, before any voxel is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from desam_model.types import Split
    from sweeper.data.faults import Fault

SITE_ALIASES: Mapping[str, str] = {
    "a-isbi": "A-ISBI",
    "isbi": "A-ISBI",
    "runmc": "A-ISBI",
    "b-isbi_1.5": "B-ISBI_1.5",
    "isbi_1.5": "B-ISBI_1.5",
    "bmc": "B-ISBI_1.5",
    "c-i2cvb": "C-I2CVB",
    "i2cvb": "C-I2CVB",
    "hcrudb": "C-I2CVB",
    "d-ucl": "D-UCL",
    "ucl": "D-UCL",
    "e-bidmc": "E-BIDMC",
    "bidmc": "E-BIDMC",
    "f-hk": "F-HK",
    "hk": "F-HK",
}
"""Folder name in lower case -> the site's name (sources.md S2, S8)."""

MODALITIES: Mapping[str, str] = {
    "ct": "CT",
    **dict.fromkeys(("mr", "mri", "t1", "t2", "t2w", "t1w", "adc", "dwi", "flair"), "MR"),
}
"""What sources call a modality, in lower case -> `CT` or `MR`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCase:
    """One patient volume on disk.

    Attributes:
        case: Unique id from names or a CSV, never from character positions.
        domain: Site or modality.
        image: File of the image.
        label: File of the label map.
        label_map: Value in the file -> value in the store (1.. in the order of the structures).
        ignored: Values in the file of voxels that nobody labelled (nnU-Net's `ignore`).
        patient: Id of the patient, whose scans are all in the same split. Empty if the source has
            none; then each case is a patient.
        split: The split given by the source, or None to use the split rule.
    """

    case: str
    domain: str
    image: Path
    label: Path
    label_map: Mapping[int, int]
    ignored: tuple[int, ...] = ()
    patient: str = ""
    split: Split | None = None


def values_of(
    structures: Sequence[str], regions: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """Structure -> the label values of the store that belong to it."""
    return {
        name: tuple(regions.get(name, (number,))) for number, name in enumerate(structures, start=1)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDataset:
    """The result of a layout reader.

    Attributes:
        root: The source folder (or the CSV file's folder).
        layout: Name of the layout.
        cases: In the order of the source, which DeSAM's split rule uses.
        structures: Names of the label values 1, 2, ... of the store.
        regions: Structure -> the label values of the store that belong to it, for structures that
            overlap (nnU-Net's regions); empty if each structure has a value of its own.
        profiles: Domain -> name of its preprocessing profile, if it is not DeSAM's.
        modalities: Domain -> `CT` or `MR`, if the source states it.
        faults: Faults of names and files.
    """

    root: Path
    layout: str
    cases: tuple[SourceCase, ...]
    structures: tuple[str, ...]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
