"""The manifest of an embedding store, written before its first slice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from desam_model.encoder.entry import MapShape
from desam_model.encoder.precision import PRECISIONS
from sweeper.errors import StoreError
from sweeper.sealed import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.encoder.entry import Compute

Codec = Literal["none", "zstd"]

MANIFEST_KEY = "sweeper_embeddings"
_MOST_VALUES = 2**30
"""Values of one map of one slice; SAM's largest has 1280 x 64 x 64."""

FORMAT = 2
"""One array per tap, in its own shape. In format 1, one array `taps` stacks taps of one shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingManifest:
    """Identity, shapes and origin of a store; written first and never changed.

    Attributes:
        dataset: Name of the dataset, for people.
        dataset_fingerprint: Identity of the images.
        encoder: Name of the encoder, see `desam_model.encoder.registry.encoders`.
        encoder_fingerprint: Identity of the encoder's weights.
        precision: Precision of the stored values.
        preprocessing: Description of what is done to an image before the encoder.
        compute: Arithmetic of the encoder: `float32` (the package's own), `float32-fused`,
            `bf16-fused` or `fp16-fused`; all slices of a store use the same one.
        block: Slices encoded together; the blocks are fixed, so that a resumed store is byte
            for byte equal to an uninterrupted one.
        codec: `none` on a local disk, so that a slice is a memory map; `zstd` behind a URL.
        n_slices: Number of slices of the dataset.
        taps: Stored shape of each tap, earliest layer first.
        neck: Stored shape of the neck.
        input_px: Side of the encoder's input frame.
        product_version: Version of sweeper that made the store.
        cases: Case ids and their slice counts in the store's order, so that a dataset whose cases
            were imported in another order finds its slices.
        scan_fingerprint: Identity of the whole scans, in a store of the slices that show no
            structure; empty in a store of those that do.
        pool: Side of the squares of tokens whose mean is stored.
        format: 1 stacks the taps in one array; 2 has one array per tap.
    """

    dataset: str
    dataset_fingerprint: str
    encoder: str
    encoder_fingerprint: str
    precision: str
    preprocessing: str
    compute: Compute
    block: int
    codec: Codec
    n_slices: int
    taps: tuple[MapShape, ...]
    neck: MapShape
    input_px: int
    product_version: str
    cases: tuple[tuple[str, int], ...]
    scan_fingerprint: str = ""
    pool: int = 1
    format: int = FORMAT

    @property
    def is_background(self) -> bool:
        """True if the store holds the slices that show no structure."""
        return bool(self.scan_fingerprint)

    @property
    def starts(self) -> dict[str, int]:
        """First slice of each case."""
        ends = accumulate((count for _, count in self.cases), initial=0)
        return {case: start for (case, _), start in zip(self.cases, ends, strict=False)}

    def slice_name(self, index: int) -> str:
        """A slice for messages, such as `slice 12 (case A-ISBI-003, number 3 from 0)`."""
        for case, start in reversed(self.starts.items()):
            if start <= index:
                return f"slice {index} (case {case}, number {index - start} from 0)"
        return f"slice {index}"

    @property
    def fingerprint(self) -> str:
        """Identity of the values: images, preprocessing, weights, precision, pooling; 16 digits."""
        parts = {name: getattr(self, name) for name in _IDENTITY}
        if not self.is_background:
            del parts["scan_fingerprint"]  # as before there were stores of the background
        if self.pool == 1:
            del parts["pool"]  # as before there was pooling
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape of one slice and dtype of every array of the store, by name."""
        maps: dict[str, tuple[int, ...]] = (
            {"taps": (len(self.taps), *self.taps[0].shape)}
            if self.format == 1
            else {f"tap{i}": tap.shape for i, tap in enumerate(self.taps)}
        )
        maps["neck"] = self.neck.shape
        arrays: dict[str, tuple[tuple[int, ...], str]] = {
            name: (shape, self.precision) for name, shape in maps.items()
        }
        if PRECISIONS[self.precision].has_scales:
            arrays |= {f"{name}_scale": (shape[:-2], "float32") for name, shape in maps.items()}
        return arrays

    @property
    def slice_bytes(self) -> int:
        """Bytes of one slice, uncompressed, including scales."""
        precision = PRECISIONS[self.precision]
        maps = (*self.taps, self.neck)
        scales = 4 * sum(shape.channels for shape in maps) if precision.has_scales else 0
        return sum(shape.n_values for shape in maps) * precision.value_bytes + scales

    def chunk_key(self, array: str, index: int) -> str:
        """Path of a slice's chunk inside the store, as Zarr names it."""
        zeros = ".0" * len(self.arrays[array][0])
        return f"{array}/c.{index}{zeros}"

    def require_same(
        self, wanted: EmbeddingManifest, where: Path | str, *, to_write: bool = False
    ) -> None:
        """Raise unless this store has the wanted identity.

        Args:
            wanted: The manifest of the store that the caller needs.
            where: Path or URL of this store, for the message.
            to_write: The caller will write, so arithmetic, blocks, codec and order must match too.

        Raises:
            StoreError: Names every difference.
        """
        names = (*_IDENTITY, *(_LAYOUT if to_write else ()))
        differences = [
            f"{name.replace('_', ' ')} is {getattr(self, name)!r}, wanted {getattr(wanted, name)!r}"
            for name in names
            if getattr(self, name) != getattr(wanted, name)
        ]
        if differences:
            raise StoreError(
                f"embedding store {where} does not match: {'; '.join(differences)};"
                " choose another path, or remove the store with 'sweeper embeddings gc'"
            )

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain values for the store's Zarr attributes."""
        values = asdict(self)
        values["cases"] = [list(case) for case in self.cases]
        if self.format == 1:
            del values["taps"], values["neck"], values["pool"]
            values |= {
                "num_taps": len(self.taps),
                "tap_channels": self.taps[0].channels,
                "neck_channels": self.neck.channels,
                "grid_hw": list(self.neck.grid_hw),
            }
        plain = json.loads(json.dumps(values))
        return {**plain, "checksum": digest_of(plain)}


_LAYOUT = ("format", "n_slices", "compute", "block", "codec", "cases")
_IDENTITY = (
    "dataset_fingerprint",
    "encoder",
    "encoder_fingerprint",
    "precision",
    "preprocessing",
    "scan_fingerprint",
    "pool",
)


def parse_manifest(group_json: str | bytes, where: Path | str) -> EmbeddingManifest:
    """The manifest in a Zarr group's `zarr.json`.

    Raises:
        StoreError: It is not an embedding store, or it has a later format.
    """
    try:
        values = dict(json.loads(group_json)["attributes"][MANIFEST_KEY])
        version = values["format"]
        recorded = values.pop("checksum", None)  # earlier versions wrote none
        if recorded is not None and recorded != digest_of(values):
            raise StoreError(
                f"embedding store {where} is damaged: its manifest was changed after it was"
                " written; 'sweeper doctor --repair' moves the store aside, then embed again"
            )
        if version not in (1, FORMAT):
            raise StoreError(
                f"embedding store {where} has format {version}, this sweeper reads 1 and {FORMAT};"
                " install the version of sweeper that wrote it, or embed again"
            )
        if version == 1:
            tap = {"channels": values["tap_channels"], "grid_hw": values["grid_hw"]}
            values["taps"] = [tap] * values["num_taps"]
            values["neck"] = {"channels": values["neck_channels"], "grid_hw": values["grid_hw"]}
        values["taps"] = tuple(_map_shape(tap) for tap in values["taps"])
        values["neck"] = _map_shape(values["neck"])
        values["cases"] = tuple((str(case), int(count)) for case, count in values["cases"])
        known = {field.name for field in fields(EmbeddingManifest)}
        return _sensible(EmbeddingManifest(**{k: v for k, v in values.items() if k in known}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise StoreError(
            f"{where} is not an embedding store: its zarr.json has no readable"
            f" {MANIFEST_KEY!r}; if it was one, remove that folder and run 'sweeper embed DATASET'"
        ) from err


def _sensible(manifest: EmbeddingManifest) -> EmbeddingManifest:
    """The manifest; a value that no store has would else fail where it is used.

    Raises:
        ValueError: Names the field and its value.
    """
    whole = ("block", "n_slices", "input_px", "pool", "format")
    wrong = [name for name in whole if type(getattr(manifest, name)) is not int]
    wrong += [name for name in whole if name not in wrong and getattr(manifest, name) < 1]
    text = {field.name for field in fields(manifest)} - {*whole, "taps", "neck", "cases"}
    wrong += [name for name in sorted(text) if not isinstance(getattr(manifest, name), str)]
    if not wrong:
        maps = (*manifest.taps, manifest.neck)
        if manifest.precision not in PRECISIONS:
            wrong.append("precision")
        if manifest.codec not in ("none", "zstd"):
            wrong.append("codec")
        if sum(count for _, count in manifest.cases) != manifest.n_slices:
            wrong.append("cases")
        if not manifest.taps or any(not 0 < shape.n_values <= _MOST_VALUES for shape in maps):
            wrong.append("taps")
    if wrong:
        raise ValueError(f"{wrong[0]} is {getattr(manifest, wrong[0])!r}")
    return manifest


def _map_shape(values: dict[str, Any]) -> MapShape:
    height, width = values["grid_hw"]
    return MapShape(int(values["channels"]), (int(height), int(width)))
