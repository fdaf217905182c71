"""The manifest of an embedding store, written before its first slice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from desam_model.encoder.precision import PRECISIONS
from sweeper.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.encoder.shapes import Compute

Codec = Literal["none", "zstd"]

MANIFEST_KEY = "sweeper_embeddings"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingManifest:
    """Identity, shapes and origin of a store; written first and never changed.

    Attributes:
        dataset: Name of the dataset, for people.
        dataset_fingerprint: Identity of the images.
        encoder: Name of the encoder, see `desam_model.encoder.shapes.encoders`.
        encoder_fingerprint: Identity of the encoder's weights.
        precision: Precision of the stored values.
        preprocessing: Description of what is done to an image before the encoder.
        compute: Arithmetic of the encoder: `float32` (the package's own), `float32-fused`,
            `bf16-fused` or `fp16-fused`; all slices of a store use the same one.
        block: Slices encoded together; the blocks are fixed, so that a resumed store is byte
            for byte equal to an uninterrupted one.
        codec: `none` on a local disk, so that a slice is a memory map; `zstd` behind a URL.
        n_slices: Number of slices of the dataset.
        num_taps: Number of taps per slice.
        tap_channels: Channels of a tap.
        neck_channels: Channels of the neck.
        grid_hw: Tokens per column and per row.
        input_px: Side of the encoder's input frame.
        product_version: Version of sweeper that made the store.
        cases: Case ids and their slice counts in the store's order, so that a dataset whose cases
            were imported in another order finds its slices.
        scan_fingerprint: Identity of the whole scans, in a store of the slices that show no
            structure; empty in a store of those that do.
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
    num_taps: int
    tap_channels: int
    neck_channels: int
    grid_hw: tuple[int, int]
    input_px: int
    product_version: str
    cases: tuple[tuple[str, int], ...]
    scan_fingerprint: str = ""

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
        """Identity of the values, 16 hex digits: images, preprocessing, weights, precision."""
        parts = {name: getattr(self, name) for name in _IDENTITY}
        if not self.is_background:
            del parts["scan_fingerprint"]  # as before there were stores of the background
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape of one slice and dtype of every array of the store, by name."""
        taps = (self.num_taps, self.tap_channels, *self.grid_hw)
        neck = (self.neck_channels, *self.grid_hw)
        arrays: dict[str, tuple[tuple[int, ...], str]] = {
            "taps": (taps, self.precision),
            "neck": (neck, self.precision),
        }
        if PRECISIONS[self.precision].has_scales:
            arrays["taps_scale"] = (taps[:2], "float32")
            arrays["neck_scale"] = (neck[:1], "float32")
        return arrays

    @property
    def slice_bytes(self) -> int:
        """Bytes of one slice, uncompressed, including scales."""
        h, w = self.grid_hw
        channels = self.num_taps * self.tap_channels + self.neck_channels
        scales = 4 * channels if PRECISIONS[self.precision].has_scales else 0
        return channels * h * w * PRECISIONS[self.precision].value_bytes + scales

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
        return {"format": FORMAT, **asdict(self), "cases": [list(c) for c in self.cases]}


_LAYOUT = ("n_slices", "compute", "block", "codec", "cases")
_IDENTITY = (
    "dataset_fingerprint",
    "encoder",
    "encoder_fingerprint",
    "precision",
    "preprocessing",
    "scan_fingerprint",
)


def parse_manifest(group_json: str | bytes, where: Path | str) -> EmbeddingManifest:
    """The manifest in a Zarr group's `zarr.json`.

    Raises:
        StoreError: It is not an embedding store, or it has a later format.
    """
    try:
        values = dict(json.loads(group_json)["attributes"][MANIFEST_KEY])
        format_version = values.pop("format")
        if format_version != FORMAT:
            raise StoreError(
                f"embedding store {where} has format {format_version}, this sweeper reads {FORMAT};"
                " install the version of sweeper that wrote it, or embed again"
            )
        values["grid_hw"] = tuple(values["grid_hw"])
        values["cases"] = tuple((str(case), int(count)) for case, count in values["cases"])
        known = {field.name for field in fields(EmbeddingManifest)}
        return EmbeddingManifest(**{k: v for k, v in values.items() if k in known})
    except (ValueError, KeyError, TypeError) as err:
        raise StoreError(
            f"{where} is not an embedding store: its zarr.json has no readable"
            f" {MANIFEST_KEY!r}; if it was one, remove that folder and run 'sweeper embed DATASET'"
        ) from err
