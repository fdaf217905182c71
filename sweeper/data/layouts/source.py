"""What a layout reader returns: the cases of a source, before any voxel is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sweeper.data.volume import (
    is_picture_folder,
    is_series,
    read_pictures_of_series,
    read_volume,
)
from sweeper.data.voxel_files import VolumeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from desam_model.types import Split
    from sweeper.data.faults import Fault
    from sweeper.data.volume import Volume

_SAME_GRID_MM = 1e-3
"""Allowed difference between the affines of an image's channels."""

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
        channels: The channels to read of an image file with several, in this order; empty if it
            has one.
        more_images: Files of further channels, if each has its own (nnU-Net's `_0001`).
    """

    case: str
    domain: str
    image: Path
    label: Path
    label_map: Mapping[int, int]
    ignored: tuple[int, ...] = ()
    patient: str = ""
    split: Split | None = None
    channels: tuple[int, ...] = ()
    more_images: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, series or folder that it is read from."""
        return (self.image, *self.more_images, self.label)

    def read_image(self) -> Volume:
        """The image in the canonical frame.

        Raises:
            VolumeError: It is not an image.
            OSError: A file cannot be opened.
        """
        image = read_volume(self.image, self.channels)
        more = [(path, read_volume(path)) for path in self.more_images]
        for path, other in more:
            is_same = image.array.shape[1:] == other.array.shape[1:]
            if not is_same or not np.allclose(image.affine, other.affine, atol=_SAME_GRID_MM):
                raise VolumeError(
                    f"its channel {path.name} has another grid of voxels; resample it to this one"
                )
            image = replace(
                image,
                array=np.concatenate([image.array, other.array]),
                headers={
                    **image.headers,
                    **{
                        f"{name} of {path.name}": text
                        for name, text in other.headers.items()
                        if image.headers.get(name) != text
                    },
                },
            )
        return image

    def read_label(self) -> Volume:
        """The label map in the canonical frame; pictures of a DICOM series are in its frame.

        Raises:
            VolumeError: It is not a label map.
            OSError: A file cannot be opened.
        """
        if is_picture_folder(self.label) and is_series(self.image):
            return read_pictures_of_series(self.label, self.image)
        return read_volume(self.label)


def numbered(names: Mapping[int, str]) -> tuple[tuple[str, ...], dict[int, int]]:
    """The structures in the order of their values, and value -> number of its structure.

    Values with the same name are one structure, such as the zones of a prostate.
    """
    structures = tuple(dict.fromkeys(names[value] for value in sorted(names)))
    return structures, {value: structures.index(names[value]) + 1 for value in sorted(names)}


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
        channels: Names of the images' channels, if the source states several.
        faults: Faults of names and files.
    """

    root: Path
    layout: str
    cases: tuple[SourceCase, ...]
    structures: tuple[str, ...]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
