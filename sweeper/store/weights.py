"""SAM's checkpoints in the workspace: their paths, integrity and identity."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from desam_model.encoder.shapes import VIT_TINY_FINGERPRINT, encoder_shape, encoders
from sweeper.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.store.workspace import Workspace

BASE_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
"""Where SAM's authors publish the checkpoints (segment-anything's README)."""


def resolve_checkpoint(
    workspace: Workspace, encoder: str, checkpoint: Path | None = None
) -> Path | None:
    """Path of the checkpoint to use: the given one, or the workspace's; None for vit_tiny.

    Raises:
        WeightsError: The checkpoint does not exist; the message says how to get it.
    """
    shape = encoder_shape(encoder)
    if shape.filename is None:
        if checkpoint is not None:
            raise WeightsError(
                f"{encoder} has fixed weights and reads no checkpoint; remove {checkpoint}, or"
                " choose vit_b, vit_l or vit_h"
            )
        return None
    path = checkpoint or workspace.weights / shape.filename
    if not path.is_file():
        raise WeightsError(
            f"{encoder} needs SAM's checkpoint, but {path} does not exist; run 'sweeper weights get"
            f" {encoder}', or download {BASE_URL}{shape.filename} yourself into {workspace.weights}"
        )
    return path


def encoder_fingerprint(encoder: str, checkpoint: Path | None) -> str:
    """Identity of the weights: SHA-256 of the checkpoint, or the fixed one of vit_tiny.

    Raises:
        WeightsError: The file does not match its name, or holds another model.
    """
    if checkpoint is None:
        return VIT_TINY_FINGERPRINT
    return check_checkpoint(checkpoint, encoder)


def check_checkpoint(path: Path, encoder: str | None = None) -> str:
    """SHA-256 of the file, after checking the MD5 prefix that ends SAM's file names.

    The result is cached in `<name>.sha256.json` with the file's size and time, so that 2.6 GB are
    read once and not at every start.

    Args:
        path: The file.
        encoder: Also check that it holds this model, `vit_b`, `vit_l` or `vit_h`.

    Raises:
        WeightsError: The MD5 does not start with the name's suffix, or the file is truncated, in
            another format, or of another model.
    """
    stat = path.stat()
    sidecar = path.with_name(path.name + ".sha256.json")
    known = _read_sidecar(sidecar)
    is_known = (known.get("size"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
    if is_known and encoder in (None, known.get("holds")):
        return str(known["sha256"])
    sha256 = str(known["sha256"]) if is_known else _hashed(path)
    if encoder is not None:
        _check_content(path, encoder)
    values = {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256,
        "holds": encoder,
    }
    with contextlib.suppress(OSError):  # a read-only folder: hashed again at every start
        sidecar.write_text(json.dumps(values))
    return sha256


def _check_content(path: Path, encoder: str) -> None:
    from desam_model.encoder.sam_checkpoint import (
        check_sam_checkpoint,  # torch: seconds, and only once
    )

    try:
        check_sam_checkpoint(path, encoder)
    except ValueError as err:
        raise WeightsError(str(err)) from err


def _hashed(path: Path) -> str:
    """SHA-256 of the file; raises if its MD5 does not start as the name says."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(8 * 2**20):
            sha256.update(block)
            md5.update(block)
    expected = md5_prefix(path.name)
    if expected is not None and not md5.hexdigest().startswith(expected):
        raise WeightsError(
            f"{path} is damaged or incomplete: its MD5 is {md5.hexdigest()}, its name says that it"
            f" starts with {expected}; remove it and run 'sweeper weights get' again"
        )
    return sha256.hexdigest()


def md5_prefix(filename: str) -> str | None:
    """The MD5 prefix in one of SAM's file names; None for other names."""
    names = {shape.filename for shape in encoders().values()}
    if filename not in names:
        return None
    return filename.removesuffix(".pth").rsplit("_", 1)[1]


def _read_sidecar(sidecar: Path) -> dict[str, object]:
    try:
        values = json.loads(sidecar.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
