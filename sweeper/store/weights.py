"""Files with encoders' weights: their paths, integrity and identity."""

from __future__ import annotations

import contextlib
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from desam_model.encoder.registry import encoder_entry, encoders
from sweeper.errors import WeightsError

if TYPE_CHECKING:
    from desam_model.encoder.entry import WeightsFile
    from sweeper.store.workspace import Workspace


def resolve_checkpoint(
    workspace: Workspace, encoder: str, checkpoint: Path | None = None
) -> Path | None:
    """Path of the file with the encoder's weights; None if it needs none.

    The given one, else the workspace's, else that of an installed package that ships it.

    Raises:
        WeightsError: The file does not exist; the message says how to get it.
    """
    weights = encoder_entry(encoder).weights
    if weights is None:
        if checkpoint is not None:
            named = ", ".join(n for n, entry in encoders().items() if entry.weights is not None)
            raise WeightsError(
                f"{encoder} has fixed weights and reads no checkpoint; remove {checkpoint}, or"
                f" choose one of {named}"
            )
        return None
    path = checkpoint or workspace.weights / weights.filename
    if not path.is_file() and checkpoint is None:
        path = _packaged(weights) or path
    if not path.is_file():
        raise WeightsError(
            f"{encoder} needs the file {weights.filename}, but {path} does not exist;"
            f" {weights.way}" + ("" if weights.package else f" and put it into {workspace.weights}")
        )
    return path


def _packaged(weights: WeightsFile) -> Path | None:
    """The file in an installed package, which is found but not imported; None without it."""
    if weights.package is None:
        return None
    spec = find_spec(weights.package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / weights.path_in_package
    return path if path.is_file() else None


def encoder_fingerprint(encoder: str, checkpoint: Path | None) -> str:
    """Identity of the weights: SHA-256 of the checkpoint, or the entry's own without one.

    Raises:
        WeightsError: The file does not match its name, or holds another model.
    """
    if checkpoint is None:
        return encoder_entry(encoder).fingerprint
    return check_checkpoint(checkpoint, encoder)


def check_checkpoint(path: Path, encoder: str | None = None) -> str:
    """SHA-256 of the file, after checking what is known about it.

    A file with the name of one of SAM's is checked against the MD5 prefix in that name; the file of
    an encoder with a known SHA-256 against that.

    The result is cached in `<name>.sha256.json` with the file's size and time, so that 2.6 GB are
    read once and not at every start.

    Args:
        path: The file.
        encoder: Also check that it holds the weights of this encoder.

    Raises:
        WeightsError: The file has another checksum, or is truncated, in another format, or of
            another model.
    """
    stat = path.stat()
    sidecar = path.with_name(path.name + ".sha256.json")
    known = _read_sidecar(sidecar)
    is_known = (known.get("size"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
    if is_known and encoder in (None, known.get("holds")):
        return str(known["sha256"])
    sha256 = str(known["sha256"]) if is_known else _hashed(path)
    if encoder is not None:
        _check_content(path, encoder, sha256)
    values = {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256,
        "holds": encoder,
    }
    if not _is_packaged(path):
        with contextlib.suppress(OSError):  # a read-only folder: hashed again at every start
            sidecar.write_text(json.dumps(values))
    return sha256


def damaged_weights(folder: Path) -> dict[Path, str]:
    """The files in a folder of checkpoints that have changed since they were last used, and how.

    `check_checkpoint` reads a file again only if its size or time has changed.
    """
    damaged = {}
    for path in sorted(folder.glob("[!.]*")):
        if not path.is_file() or path.name.endswith(".sha256.json"):
            continue
        stat = path.stat()
        known = _read_sidecar(path.with_name(path.name + ".sha256.json"))
        is_known = (known.get("size"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
        try:
            sha256 = _hashed(path)
        except WeightsError as err:
            damaged[path] = str(err).removeprefix(f"{path} ").partition(";")[0]
            continue
        if is_known and known.get("sha256") != sha256:
            damaged[path] = f"its SHA-256 is {sha256}, and was {known.get('sha256')}"
    return damaged


def _is_packaged(path: Path) -> bool:
    """True for a file in an installed package, whose folder is not ours to write to."""
    files = (entry.weights for entry in encoders().values() if entry.weights is not None)
    return any(path == _packaged(weights) for weights in files if weights.filename == path.name)


def _check_content(path: Path, encoder: str, sha256: str) -> None:
    entry = encoder_entry(encoder)
    assert entry.weights is not None
    if entry.weights.sha256 not in (None, sha256):
        raise WeightsError(
            f"{path} is not the {entry.weights.filename} of {encoder}: its SHA-256 is {sha256},"
            f" expected {entry.weights.sha256}; {entry.weights.way}"
        )
    if not entry.check or entry.weights.sha256 is not None:
        return  # the checksum says what is in the file
    try:
        resolve_name(entry.check)(entry, path)  # torch: seconds, and only once
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
    """The MD5 prefix of the authors' file of this name; None if it is not known."""
    files = (entry.weights for entry in encoders().values() if entry.weights is not None)
    return next((file.md5_prefix for file in files if file.filename == filename), None)


def _read_sidecar(sidecar: Path) -> dict[str, object]:
    try:
        values = json.loads(sidecar.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
