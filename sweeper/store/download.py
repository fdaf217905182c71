"""Fetching SAM's checkpoints: resumable, checked, and clear about what to do without a network."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from desam_model.encoder.shapes import encoder_shape
from sweeper.errors import WeightsError
from sweeper.store.weights import BASE_URL, check_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PIECE = 2**20
_TIMEOUT_S = 30.0
_ATTEMPTS = 5


def get_weights(
    encoder: str,
    folder: Path,
    *,
    base_url: str = BASE_URL,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """SAM's checkpoint of an encoder in `folder`, downloaded if it is not there, and checked.

    An interrupted download lies as `<name>.part` and is continued.

    Args:
        encoder: `vit_b`, `vit_l` or `vit_h`.
        folder: Usually the workspace's weights folder.
        base_url: Where the file lies; a mirror, for example.
        progress: Called with bytes done and bytes in all (0 if the server does not say).

    Raises:
        WeightsError: No such checkpoint, no network, or the file is not what its name says.
    """
    filename = encoder_shape(encoder).filename
    if filename is None:
        raise WeightsError(f"{encoder} needs no checkpoint: its weights are fixed")
    target = folder / filename
    if target.is_file():
        check_checkpoint(target)  # a file that a person put here is theirs to remove
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
            f"what {url} sent is not the file that its name says ({err}); it was removed"
        ) from err
    return target


def _download(
    url: str, part: Path, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Fetch what is missing of `part`; a dropped connection is taken up a few times."""
    error: Exception | None = None
    for _ in range(_ATTEMPTS):
        had = part.stat().st_size if part.exists() else 0
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
        if not part.exists() or part.stat().st_size == had:
            break  # no byte came: another attempt at once will not fare better
    raise WeightsError(
        f"cannot download {url} ({error}); run the same command again to go on where it stopped,"
        f" or download the file by hand on another machine and put it into {folder}"
    ) from error


def _fetch_rest(url: str, part: Path, progress: Callable[[int, int], None] | None) -> bool:
    """Append what is missing; True when the file has the length that the server named."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as err:
        if err.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            err.close()
            return True  # all bytes are there; the checksum will tell whether they are right
        raise
    with response:
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = done if continues else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if continues else "wb") as file:
            while piece := response.read(_PIECE):
                file.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, total)
    return total == 0 or done == total
