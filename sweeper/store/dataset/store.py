"""Dataset stores: images, label maps and case table of one dataset, in one Zarr group."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from desam_model.types import IGNORED, IGNORED_LABEL, Split
from sweeper.errors import StoreError
from sweeper.sealed import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_IMPORT_AGAIN = "import it again with `sweeper data import SOURCE --name NAME --replace`"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """One case of a dataset store.

    Attributes:
        case: Unique id.
        patient: Whose scan it is; the case's own id where the source does not say. Folds and
            statistics keep a patient's scans together.
        domain: Site or modality.
        split: The split of its domain that it is in; all cases of a patient are in the same split.
        start: Index of its first slice in the store.
        count: Number of its kept slices: all of the scan, or those that show a structure in a store
            of an earlier version.
        z: Slice positions in the source volume (after resampling, if any), ascending.
        spacing_mm: (z, y, x) voxel size after resizing, millimetres.
        foreground: Structure -> for each kept slice, whether the slice shows it.
        volume_ml: Structure -> its volume in the source's label map, millilitres.
        matrix: (rows, cols) of the source, in the canonical frame.
        n_source_slices: Slices of the source volume.
        source_spacing_mm: (z, y, x) voxel size of the source, millimetres.
        image_file: Path relative to the source's root; empty in a store with salted ids.
        label_file: Likewise.
        source_hash: SHA-256 over the image and label file; salted in a store with salted ids.
        content_hash: SHA-256 over the stored slices and labels.
        foreground_hash: The same over the slices that show a structure; empty if these are all.
        has_geometry: False where the files held no orientation or voxel size.
        affine: `(4, 4)` by rows, from (x, y, z) indices of the source volume in the canonical frame
            to millimetres in RAS+; empty in a store of an earlier version that did not keep it.
    """

    case: str
    domain: str
    split: Split
    start: int
    count: int
    z: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    foreground: Mapping[str, tuple[bool, ...]]
    volume_ml: Mapping[str, float]
    matrix: tuple[int, int]
    n_source_slices: int
    source_spacing_mm: tuple[float, float, float]
    image_file: str
    label_file: str
    source_hash: str
    content_hash: str
    has_geometry: bool
    affine: tuple[tuple[float, ...], ...] = ()
    patient: str = ""
    foreground_hash: str = ""

    @property
    def shown(self) -> tuple[int, ...]:
        """Offsets of the slices that show a structure, ascending; only these are trained on."""
        flags = zip(*self.foreground.values(), strict=True)
        return tuple(offset for offset, shows in enumerate(flags) if any(shows))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Offsets of the slices that show no structure, ascending; none in an older store."""
        return tuple(sorted(set(range(self.count)) - set(self.shown)))

    @property
    def diagonal_mm(self) -> float:
        """Length of the scan's diagonal; no two of its voxels are farther apart."""
        lengths = zip((self.n_source_slices, *self.matrix), self.source_spacing_mm, strict=True)
        return math.hypot(*(count * step for count, step in lengths))


class DatasetStore:
    """A finished dataset store, read-only; can be shared between threads, and pickles by path."""

    def __init__(self, path: Path, attributes: Mapping[str, Any], group: Any) -> None:
        self.path = path
        self._attributes = attributes
        self._image = group["image"]
        self._label = group["label"]

    @classmethod
    def open(cls, path: Path) -> DatasetStore:
        """The store at `path`.

        Raises:
            StoreError: There is no dataset store, or it is incomplete.
        """
        path = Path(path).absolute()
        attributes = read_attributes(path)
        try:
            store = cls(path, attributes, zarr.open_group(path, mode="r", zarr_format=3))
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as err:
            # an array's zarr.json is missing, truncated or not one
            raise StoreError(
                f"dataset store {path} is damaged: {err} cannot be read; {_IMPORT_AGAIN}"
            ) from err
        for name, array in (("image", store._image), ("label", store._label)):
            written = sum(1 for f in (path / name / "c").rglob("*") if f.is_file())
            if array.shape[0] != store.n_stored_slices or written != store.n_stored_slices:
                raise StoreError(
                    f"dataset store {path} is damaged: {name} holds {written} of"
                    f" {store.n_stored_slices} slices; {_IMPORT_AGAIN}"
                )
        return store

    def __reduce__(self) -> tuple[Any, ...]:
        return DatasetStore.open, (self.path,)

    @property
    def name(self) -> str:
        """Short name of the dataset."""
        return str(self._attributes["name"])

    @property
    def fingerprint(self) -> str:
        """16 hex digits over what trainings read, whatever the cases' order.

        These are voxels and labels of the slices that show a structure, splits, spacing and ids:
        importing the same scans again with all slices changes nothing.
        """
        return str(self._attributes["fingerprint"])

    @property
    def scan_fingerprint(self) -> str:
        """16 hex digits over the same and all other slices; empty unless they are kept."""
        return str(self._attributes.get("scan_fingerprint", ""))

    @property
    def keeps_all_slices(self) -> bool:
        """True if every slice of the scans is kept; older versions kept the foreground only."""
        return bool(self.scan_fingerprint)

    @property
    def is_synthetic(self) -> bool:
        """True for a phantom; tables of its results say so."""
        return bool(self._attributes["is_synthetic"])

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """Domain -> the preprocessing settings of its volumes."""
        return dict(self._attributes["preprocessing"])

    @property
    def split_rule(self) -> str:
        """Rule that split the cases into training and validation."""
        return str(self._attributes["split_rule"])

    @property
    def import_key(self) -> str:
        """Hash of the source files' names and of the settings of the import."""
        return str(self._attributes["import_key"])

    @property
    def content_key(self) -> str:
        """Hash of the files' contents and the settings; empty in a store of an earlier version."""
        return str(self._attributes.get("content_key", ""))

    @property
    def reader_version(self) -> int:
        """Version of the code that read and prepared the files; 0 in a store that has none."""
        return int(self._attributes.get("reader_version", 0))

    @property
    def modalities(self) -> Mapping[str, str]:
        """Domain -> `CT` or `MR`, where the source or the user stated it."""
        return dict(self._attributes.get("modalities", {}))

    @property
    def skipped(self) -> Mapping[str, str]:
        """Skipped cases and the reason for each."""
        return dict(self._attributes["skipped"])

    @property
    def source(self) -> str:
        """Folder or file the dataset was imported from; empty in a store with salted ids."""
        return str(self._attributes["source"])

    @property
    def layout(self) -> str:
        """Name of the source's layout."""
        return str(self._attributes["layout"])

    @property
    def label_values(self) -> Mapping[str, tuple[int, ...]]:
        """Structure -> its values in the source's labels, if the user named the structures."""
        return {
            name: (values,) if isinstance(values, int) else tuple(values)  # one in older stores
            for name, values in self._attributes["label_values"].items()
        }

    @property
    def channel(self) -> str:
        """The channel of the source's images that the user chose; empty if none was."""
        return str(self._attributes.get("channel", ""))

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the segmented structures, in the order of their label values 1, 2, ..."""
        return tuple(self._attributes["structures"])

    @property
    def regions(self) -> Mapping[str, tuple[int, ...]]:
        """Structure -> its label values, if structures overlap; else empty."""
        return {name: tuple(v) for name, v in self._attributes.get("regions", {}).items()}

    @property
    def image_size_px(self) -> int:
        """Side length of the square slices."""
        return int(self._attributes["image_size_px"])

    @property
    def image_channels(self) -> int:
        """Image channels: 1 for grey, 3 for colour."""
        return int(self._attributes["image_channels"])

    @property
    def n_slices(self) -> int:
        """Number of slices that show a structure, of all cases."""
        return sum(len(case.shown) for case in self.cases)

    @property
    def n_stored_slices(self) -> int:
        """Number of all kept slices."""
        return sum(case.count for case in self.cases)

    @cached_property
    def cases(self) -> tuple[CaseRecord, ...]:
        """All cases in the order of their slices."""
        try:
            return tuple(_record(plain) for plain in self._attributes["cases"])
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise StoreError(
                f"dataset store {self.path} is damaged: its case table cannot be read"
                f" ({type(err).__name__}: {err}); {_IMPORT_AGAIN}"
            ) from err

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """Domains in alphabetical order."""
        return tuple(sorted({case.domain for case in self.cases}))

    def cases_of(self, domain: str, split: Split | None = None) -> tuple[CaseRecord, ...]:
        """The cases of a domain, or of one split of it.

        Raises:
            StoreError: The dataset has no such domain.
        """
        if domain not in self.domains:
            raise StoreError(
                f"dataset {self.name} has no domain {domain!r}; it has {', '.join(self.domains)}"
            )
        return tuple(
            case
            for case in self.cases
            if case.domain == domain and (split is None or case.split is split)
        )

    def case(self, name: str) -> CaseRecord:
        """The case of that id.

        Raises:
            StoreError: The dataset has no such case.
        """
        if name not in self._by_name:
            raise StoreError(f"dataset {self.name} has no case {name!r}; see `sweeper data show`")
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, CaseRecord]:
        return {case.case: case for case in self.cases}

    def image(self, index: int) -> NDArray[np.uint8]:
        """`(C, H, W)` uint8 of a slice."""
        return self._read("image", index)

    def label(self, index: int) -> NDArray[np.uint8]:
        """`(H, W)` uint8 label map of a slice: 0 background, 1.. `structures`, `IGNORED_LABEL`."""
        return self._read("label", index)

    def mask(self, index: int, structure: str) -> NDArray[np.uint8]:
        """`(H, W)` uint8 mask of a structure in a slice, 0 or 1.

        Raises:
            StoreError: The dataset has no such structure.
        """
        if structure not in self.structures:
            raise StoreError(
                f"dataset {self.name} has no structure {structure!r}; it has"
                f" {', '.join(self.structures)}"
            )
        values = self.values_of(structure)
        mask: NDArray[np.uint8] = np.isin(self.label(index), values).astype(np.uint8)
        return mask

    def reference(self, index: int, structure: str) -> NDArray[np.uint8] | NDArray[np.int8]:
        """`(H, W)` as `mask`; int8 with `desam_model.types.IGNORED` where nobody labelled."""
        mask, is_ignored = self.mask(index, structure), self.label(index) == IGNORED_LABEL
        if not is_ignored.any():
            return mask
        return np.where(is_ignored, np.int8(IGNORED), mask.astype(np.int8))

    def values_of(self, structure: str) -> tuple[int, ...]:
        """The label values that belong to a structure; several if structures overlap."""
        return self.regions.get(structure, (self.structures.index(structure) + 1,))

    def case_images(self, case: CaseRecord) -> NDArray[np.uint8]:
        """`(n, C, H, W)` uint8, all slices of a case."""
        return self._read_case("image", case)

    def case_labels(self, case: CaseRecord) -> NDArray[np.uint8]:
        """`(n, H, W)` uint8, all label maps of a case."""
        return self._read_case("label", case)

    def damaged_cases(self) -> tuple[str, ...]:
        """Cases whose voxels or labels differ from those that were written."""
        return tuple(case.case for case in self.cases if not self._is_as_written(case))

    def _is_as_written(self, case: CaseRecord) -> bool:
        try:
            return content_hash(self.case_images(case), self.case_labels(case)) == case.content_hash
        except StoreError:
            return False

    def _read(self, name: str, index: int) -> NDArray[np.uint8]:
        """One slice of `image` or `label`; the chunk's checksum turns damage into an error."""
        array = self._image if name == "image" else self._label
        try:
            plane: NDArray[np.uint8] = np.asarray(array[index])
        except (RuntimeError, ValueError) as err:
            case = next(c.case for c in reversed(self.cases) if c.start <= index)
            raise StoreError(
                f"case {case} of dataset store {self.path} is damaged: its {name} cannot be decoded"
                f" ({err}); {_IMPORT_AGAIN}"
            ) from err
        return plane

    def _read_case(self, name: str, case: CaseRecord) -> NDArray[np.uint8]:
        """All slices of a case, one by one: after an error a batched read leaves tasks running."""
        return np.stack([self._read(name, case.start + n) for n in range(case.count)])


def content_hash(image: NDArray[np.uint8], label: NDArray[np.uint8]) -> str:
    """SHA-256 over a case's slices `(n, C, H, W)` and label maps `(n, H, W)`."""
    digest = hashlib.sha256(repr((image.shape, label.shape)).encode())
    digest.update(np.ascontiguousarray(image).data)
    digest.update(np.ascontiguousarray(label).data)
    return digest.hexdigest()


def _record(plain: Mapping[str, Any]) -> CaseRecord:
    values = dict(plain)
    for key in ("case", "domain"):
        require_file_name(str(values[key]))
    values["split"] = Split(values["split"])
    values["foreground"] = {k: tuple(v) for k, v in values["foreground"].items()}
    values["patient"] = values.get("patient") or values["case"]
    values["affine"] = tuple(tuple(row) for row in values.get("affine", ()))
    for key in ("z", "spacing_mm", "matrix", "source_spacing_mm"):
        values[key] = tuple(values[key])
    record = CaseRecord(**values)
    counts = {record.count, len(record.z), *map(len, record.foreground.values())}
    if type(record.start) is not int or record.start < 0 or counts != {record.count}:
        raise ValueError(f"case {record.case} has {record.count!r} slices and {len(record.z)} of z")
    return record


def require_file_name(text: str) -> None:
    """Raise if a name of a case or domain would lead out of a folder as the name of a file in it.

    Raises:
        ValueError: It would.
    """
    if text in (".", "..") or any(sign in text for sign in "/\\\0"):
        raise ValueError(f"{text!r} is not a name that a file can have")


FORMAT = "sweeper-dataset"
VERSION = 1


def read_attributes(path: Path) -> Mapping[str, Any]:
    """The attributes of the finished dataset store at `path`.

    Raises:
        StoreError: There is no dataset store, or it is incomplete or of another version.
    """
    file = path / "zarr.json"
    if not file.is_file():
        raise StoreError(
            f"{path} is not a dataset store; make one with `sweeper data import SOURCE --name"
            f" {path.name.removesuffix('.zarr') or 'NAME'}`"
        )
    try:
        attributes = dict(json.loads(file.read_text())["attributes"])
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise StoreError(f"{file} cannot be read ({err}); import the dataset again") from err
    if attributes.get("format") != FORMAT:
        raise StoreError(f"{path} is a Zarr store, but not a dataset store; choose another path")
    if not attributes.get("complete"):
        raise StoreError(f"dataset store {path} is incomplete; import it again to finish it")
    if attributes.get("version") != VERSION:
        raise StoreError(
            f"dataset store {path} has format version {attributes.get('version')}, but this sweeper"
            f" reads {VERSION}; import the dataset again"
        )
    if "checksum" in attributes and attributes != _checked(attributes, path):
        raise StoreError(
            f"dataset store {path} is damaged: its case table or the description of its arrays was"
            f" changed after the import; {_IMPORT_AGAIN}"
        )
    checked: Mapping[str, Any] = attributes
    return checked


def with_checksums(attributes: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The attributes with checksums of the arrays' descriptions at `path`, and of them all.

    A slice has a checksum of its own, but a changed description of an array could make zeros of
    slices, and a changed case table would give them to another case. Stores of earlier versions
    have no checksum here.
    """
    plain = {key: value for key, value in attributes.items() if key != "checksum"}
    plain["arrays"] = {
        name: hashlib.sha256((path / name / "zarr.json").read_bytes()).hexdigest()
        for name in ("image", "label")
    }
    return {**plain, "checksum": digest_of(plain)}


def _checked(attributes: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The attributes with the checksums that they should have."""
    try:
        return with_checksums(attributes, path)
    except OSError:
        return attributes  # an array is missing, which opening it says better
