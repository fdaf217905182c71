"""The zip file of a bundle: equal contents give equal bytes, and reading one is safe.

Nothing of a bundle is unpacked to the disk or unpickled: its files are read into memory, as text.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

SUMS = "SHA256SUMS"

MAX_BYTES = 2**30
"""Of all files together; the long rows of 1,000 trainings have about 100 MB."""
MAX_FILES = 20_000
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The time of every file, so that equal contents are equal bytes; zip knows no earlier one."""
_ENCRYPTED = 0x1


def checksums(files: Mapping[str, bytes]) -> str:
    """A `SHA256SUMS`, as `sha256sum -c` reads it."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "".join(lines)


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files and their checksums as a zip file, replaced atomically.

    Args:
        path: The zip file.
        files: Name, with `/` between folders, -> content.

    Raises:
        DataError: The folder does not exist or cannot be written to.
    """
    content = {**files, SUMS: checksums(files).encode()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(content):
                entry = zipfile.ZipInfo(name, _FIRST_DAY)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(entry, content[name])
        temporary.replace(path)
    except OSError as err:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({err.strerror}); choose a file in an existing folder"
        ) from err


def read_archive(path: Path) -> dict[str, bytes]:
    """The files of a bundle by name, with their checksums verified.

    Raises:
        DataError: It is not a zip file, a name leads out of it or is there twice, a file is a link
            or encrypted, the whole is too large, or a checksum is wrong or missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = _read(path, archive)
    except FileNotFoundError as err:
        raise DataError(
            f"{path}: no such file; write one with `sweeper bundle SPACE -o FILE`"
        ) from err
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as err:
        raise DataError(f"{path}: is not a readable zip file ({err}); copy it again") from err
    _check_sums(path, files)
    return files


def _read(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MAX_FILES:
        raise DataError(f"{path}: has {len(entries)} files, at most {MAX_FILES} are read")
    files: dict[str, bytes] = {}
    left = MAX_BYTES
    for entry in entries:
        reason = _reason_against(entry, files)
        if reason:
            raise DataError(f"{path}: file {entry.filename!r} {reason}; no bundle has such a file")
        with archive.open(entry) as stream:  # its stated size may be a lie
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise DataError(f"{path}: unpacks to more than {MAX_BYTES / 1e9:.1f} GB, not read")
        files[entry.filename] = content
    return files


def _reason_against(entry: zipfile.ZipInfo, files: Mapping[str, bytes]) -> str:
    """Why a file of a zip is not read; empty if it is."""
    name = PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    has_odd_letters = any(letter in entry.filename for letter in "\\:\0")
    if name.is_absolute() or ".." in name.parts or has_odd_letters or not name.parts:
        return "leads out of the archive"
    if entry.is_dir() or kind not in (0, stat.S_IFREG):
        return "is not a regular file"
    if entry.filename in files:
        return "is there twice"
    return "is encrypted" if entry.flag_bits & _ENCRYPTED else ""


def _check_sums(path: Path, files: Mapping[str, bytes]) -> None:
    """Raise unless the checksums are those of exactly these files.

    Raises:
        DataError: They are not.
    """
    if SUMS not in files:
        raise DataError(f"{path}: has no {SUMS}, so it is not a bundle; name another file")
    lines = files[SUMS].decode("utf-8", "replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    actual = {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != SUMS
    }
    wrong = sorted(name for name in {*listed, *actual} if listed.get(name) != actual.get(name))
    if wrong:
        raise DataError(
            f"{path}: {wrong[0]} is not the file that {SUMS} names ({len(wrong)} in all differ);"
            " the bundle was changed or damaged, get it again"
        )
