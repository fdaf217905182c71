"""A bundle's zip file: equal contents are equal bytes; a hostile one is refused in one line."""

from __future__ import annotations

import stat
import zipfile

import pytest

from sweeper.errors import DataError
from sweeper.pipeline.bundling import archive
from sweeper.pipeline.bundling.archive import SUMS, checksums, read_archive, write_archive

FILES = {"README.md": b"# Results\n", "tables/table.csv": b"a,b\n1,2\n"}


def raw_zip(path, entries):
    """A zip file with these entries as they are: (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for entry, content in entries:
            file.writestr(entry, content)
    return path


def with_sums(entries):
    named = {getattr(entry, "filename", entry): content for entry, content in entries}
    return [*entries, (SUMS, checksums(named))]


def test_what_was_written_is_read_and_equal_contents_are_equal_bytes(tmp_path):
    write_archive(tmp_path / "a.zip", FILES)
    write_archive(tmp_path / "b.zip", dict(reversed(FILES.items())))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    files = read_archive(tmp_path / "a.zip")
    assert {name: files[name] for name in FILES} == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip"]


def link():
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("../x", b"1")], "leads out of the archive"),
        ([("a/../../x", b"1")], "leads out of the archive"),
        ([("/etc/x", b"1")], "leads out of the archive"),
        ([("C:\\x", b"1")], "leads out of the archive"),
        ([(link(), b"/etc/passwd")], "is not a regular file"),
        ([("folder/", b"")], "is not a regular file"),
        ([("x", b"1"), ("x", b"2")], "is there twice"),
    ],
)
def test_a_file_that_no_bundle_has_is_refused(tmp_path, entries, reason):
    path = raw_zip(tmp_path / "x.zip", with_sums(entries))
    with pytest.raises(DataError, match=reason):
        read_archive(path)
    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = raw_zip(tmp_path / "x.zip", with_sums([("zeros", bytes(3_000_000))]))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        read_archive(path)
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    with pytest.raises(DataError, match="has 2 files"):
        read_archive(path)


def test_a_stated_size_that_is_a_lie_does_not_help(tmp_path, monkeypatch):
    path = raw_zip(tmp_path / "x.zip", with_sums([("zeros", bytes(3_000_000))]))
    content = path.read_bytes().replace((3_000_000).to_bytes(4, "little"), b"\x10\0\0\0")
    path.write_bytes(content)
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    with pytest.raises(
        DataError, match=r"is not a readable zip file|unpacks to more than|SHA256SUMS"
    ):
        read_archive(path)


def test_a_changed_added_or_missing_file_is_named(tmp_path):
    sums = (SUMS, checksums(FILES))
    changed = [
        ("README.md", b"# Better results\n"),
        ("tables/table.csv", FILES["tables/table.csv"]),
    ]
    for entries, name in (
        (changed, "README.md"),
        ([*FILES.items(), ("more", b"1")], "more"),
        (list(FILES.items())[:1], "tables/table.csv"),
    ):
        path = raw_zip(tmp_path / "x.zip", [*entries, sums])
        with pytest.raises(DataError, match=f"{name} is not the file that SHA256SUMS names"):
            read_archive(path)
    with pytest.raises(DataError, match="has no SHA256SUMS, so it is not a bundle"):
        read_archive(raw_zip(tmp_path / "x.zip", FILES.items()))


def test_a_flipped_byte_anywhere_is_noticed_or_does_not_matter(tmp_path):
    path = tmp_path / "x.zip"
    write_archive(path, FILES)
    whole, files = path.read_bytes(), read_archive(path)
    n_refused = 0
    for position in range(0, len(whole), 5):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        path.write_bytes(flipped)
        try:
            assert read_archive(path) == files
        except DataError:
            n_refused += 1
    assert n_refused > len(whole) / 10


def test_half_a_file_no_zip_and_no_file_are_one_line(tmp_path):
    path = tmp_path / "x.zip"
    write_archive(path, FILES)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no zip", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a readable zip file"):
            read_archive(path)
    with pytest.raises(DataError, match="no such file"):
        read_archive(tmp_path / "other.zip")
    with pytest.raises(DataError, match="choose a file in an existing folder"):
        write_archive(tmp_path / "nowhere" / "x.zip", FILES)
