"""Downloads SAM's checkpoints: resumable, verified, with instructions for offline machines."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from desam_model.encoder.registry import encoder_entry
from sweeper.errors import WeightsError
from sweeper.store.weights import check_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK_BYTES = 2**20
_TIMEOUT_S = 30.0
_ATTEMPTS = 5


def get_weights(
    encoder: str,
    folder: Path,
    *,
    base_url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Path of an encoder's checkpoint in `folder`, downloaded if missing and verified.

    An interrupted download is kept as `<name>.part` and resumed by the next call.

    Args:
        encoder: `vit_b`, `vit_l` or `vit_h`.
        folder: Usually the workspace's weights folder.
        base_url: Address of the folder that serves the file, such as a mirror; by default the
            address of the authors.
        progress: Called with the bytes received and the total (0 if the server does not say).

    Raises:
        WeightsError: No such checkpoint, no network, or the file does not match its name.
    """
    weights = encoder_entry(encoder).weights
    if weights is None:
        raise WeightsError(f"{encoder} needs no checkpoint: its weights are fixed")
    base_url = base_url or weights.url
    if base_url is None:
        raise WeightsError(f"{encoder} has no address to download from; {weights.way}")
    filename = weights.filename
    target = folder / filename
    if target.is_file():
        check_checkpoint(target)  # the user may have put it here, so it is not deleted
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{filename}.part"
    url = base_url.rstrip("/") + "/" + filename
    _download(url, part, folder, progress)
    part.rename(target)
    try:
        check_checkpoint(target)
    except WeightsError as err:
        target.unlink()
        raise WeightsError(
            f"the file downloaded from {url} is not the expected checkpoint ({err}); it was removed"
        ) from err
    return target


def _download(
    url: str, part: Path, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Download the missing bytes of `part`; reconnects a few times if the connection drops."""
    error: Exception | None = None
    for _ in range(_ATTEMPTS):
        size_before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_rest(url, part, progress):
                return
            error = OSError(f"the connection ended early, after {part.stat().st_size} bytes")
        except urllib.error.HTTPError as err:
            error = err
            err.close()
            if err.code not in (408, 429) and err.code < 500:
                break
        except (OSError, http.client.HTTPException) as err:
            error = err
        if not part.exists() or part.stat().st_size == size_before:
            break  # nothing arrived, so an immediate retry would fail too
    raise WeightsError(
        f"cannot download {url} ({error}); run the same command again to resume the download,"
        f" or download the file on another machine and copy it to {folder}"
    ) from error


def _fetch_rest(url: str, part: Path, progress: Callable[[int, int], None] | None) -> bool:
    """Append the missing bytes; True if the file now has the length the server announced."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as err:
        if err.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            err.close()
            return True  # all bytes are there; the checksum decides whether they are right
        raise
    with response:
        is_partial = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = done if is_partial else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if is_partial else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    return total == 0 or done == total
