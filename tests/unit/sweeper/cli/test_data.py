"""`sweeper data` as a person types it: what it prints, writes and returns."""

from __future__ import annotations

import errno
import os

import fault_sources as sources
import numpy as np
import official_sets as official
import pytest

from sweeper.cli import main
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.ledger import TrainingFolder


def run(workspace, *args):
    with pytest.raises(SystemExit) as caught:
        main(["--workspace", str(workspace), "data", *map(str, args)])
    return caught.value.code


def test_import_show_check_and_export_in_a_row(tmp_path, capsys):
    source = sources.saml(tmp_path / "prostate", cases=3)
    workspace = tmp_path / "ws"
    assert run(workspace, "import", source, "--processes", 1) == 0
    out = capsys.readouterr().out
    assert "prostate: 6 cases, 18 slices, 2 domains, fingerprint " in out
    assert "split by desam: the first 90 % of the cases of each domain" in out
    assert "  A-ISBI: 2 train; validation: A-ISBI_Case02" in out
    assert f"next: sweeper --workspace {workspace} data show prostate" in out

    assert run(workspace, "import", source, "--processes", 1) == 0
    assert "was imported before, and nothing has changed" in capsys.readouterr().out

    assert run(workspace, "show", "prostate") == 0
    out = capsys.readouterr().out
    assert "label resize: nearest" in out
    assert "20x24" in out
    assert "3x1x1" in out
    sheet = workspace / "reports" / "prostate-contact-sheet.png"
    assert f"contact sheet: {sheet}" in out
    assert sheet.read_bytes().startswith(b"\x89PNG")

    assert run(workspace, "show") == 0
    assert "prostate  6 cases  18 slices  A-ISBI, D-UCL" in capsys.readouterr().out
    assert run(workspace, "check", "prostate") == 0
    assert "6 cases, 18 slices, all intact" in capsys.readouterr().out
    assert run(workspace, "export", "prostate", "--to", tmp_path / "work") == 0
    assert "6 cases and prostate_patientid.csv" in capsys.readouterr().out
    assert len(list((tmp_path / "work" / "raw_data" / "imagesTr").iterdir())) == 6


def test_a_folder_without_a_layout_is_imported_by_the_table_that_is_proposed(tmp_path, capsys):
    folder, workspace, table = official.prostate158(tmp_path / "set"), tmp_path / "ws", "cases.csv"
    assert run(workspace, "import", folder) == 2
    assert f"sweeper data table {folder} --to cases.csv" in capsys.readouterr().err
    assert run(workspace, "table", folder, "--to", tmp_path / table) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / table}: 3 cases, 1 site (set); check it before you import it" in said.out
    assert said.out.endswith(
        f"next: sweeper --workspace {workspace} data import {tmp_path / table} --name NAME"
        " --structures 1=NAME,2=NAME\n"
    )
    assert "note: 6 images not in the table, such as train/020/adc (3)" in said.err
    zones = "1=prostate,2=prostate"
    arguments = (tmp_path / table, "--name", "p158", "--structures", zones, "--processes", 1)
    assert run(workspace, "import", *arguments) == 0
    assert "p158: 3 cases, 9 slices, 1 domain" in capsys.readouterr().out
    # printed without --to, and never over an existing file
    assert run(workspace, "table", folder) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "case,site,image,label,split,patient,modality"
    )
    assert run(workspace, "table", folder, "--to", tmp_path / table) == 2
    assert "exists already; remove it, or choose another file" in capsys.readouterr().err


def test_what_only_reads_leaves_the_workspace_untouched_so_that_it_may_be_read_only(
    tmp_path, capsys, monkeypatch
):
    workspace = tmp_path / "ws"
    run(workspace, "import", sources.saml(tmp_path / "set"), "--processes", 1)

    def state():
        return {path: path.stat().st_mtime_ns for path in (workspace, *workspace.rglob("*"))}

    before = state()
    assert run(workspace, "check", "set") == 0
    assert run(workspace, "list") == 0
    assert run(workspace, "show", "set", "--sheet", tmp_path / "sheet.png") == 0
    for words in (("report",), ("embeddings", "list"), ("embeddings", "verify")):
        with pytest.raises(SystemExit):
            main(["--workspace", str(workspace), *words])
    assert state() == before
    # as on a read-only disk; the tests may run as root, whom permissions do not stop
    monkeypatch.setattr(os, "mkdir", lambda *_: (tmp_path / "gone").stat())
    capsys.readouterr()
    assert run(workspace, "show", "set") == 0
    assert "no contact sheet: " in capsys.readouterr().err


def test_check_prints_every_fault_and_returns_2(tmp_path, capsys):
    source = sources.saml(tmp_path / "src")
    (source / "UCL" / "Case00.nii.gz").write_bytes(b"")
    (source / "RUNMC" / "Case01_segmentation.nii.gz").unlink()
    assert run(tmp_path / "ws", "check", source, "--processes", 1) == 2
    err = capsys.readouterr().err
    assert "error [unreadable] UCL/Case00.nii.gz: the file has 0 bytes" in err
    assert "error [label-missing] RUNMC/Case01.nii.gz" in err
    assert "sweeper: " in err
    assert "2 errors in 2 cases" in err
    assert "Traceback" not in err


def test_check_of_a_sound_source_returns_0_and_imports_nothing(tmp_path, capsys):
    assert run(tmp_path / "ws", "check", sources.saml(tmp_path / "src"), "--processes", 1) == 0
    assert "layout saml, 4 cases, 0 errors, 0 warnings" in capsys.readouterr().out
    assert not (tmp_path / "ws").exists()


def test_import_stops_at_faults_and_goes_on_without_them_when_told(tmp_path, capsys):
    source = sources.saml(tmp_path / "src", cases=3)
    (source / "UCL" / "Case00.nii.gz").write_bytes(b"")
    assert run(tmp_path / "ws", "import", source, "--processes", 1) == 2
    assert "or skip these cases with --skip-bad" in capsys.readouterr().err
    assert run(tmp_path / "ws", "import", source, "--processes", 1, "--skip-bad") == 0
    assert "src: 5 cases (5 prepared earlier)" in capsys.readouterr().out
    assert run(tmp_path / "ws", "show", "src") == 0
    assert "skipped D-UCL_Case00: error [unreadable]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("import", "gone"), "gone does not exist; name a folder or a CSV file with images"),
        (("import", ".", "--name", "a/b"), "dataset name is 'a/b'; use only letters, digits"),
        (("import", ".", "--structures", "liver"), "--structures is 'liver', expected 1=NAME"),
        (("import", ".", "--structures", "1=a,1=b"), "use each value only once"),
        (("show", "nothing"), "dataset 'nothing' is neither in this workspace"),
        (("check", "gone"), "gone is neither a folder, nor a CSV file, nor a dataset of workspace"),
        (("check", "./gone/deep"), "gone/deep does not exist; name a folder or a CSV file"),
        (("import", "/dev/null", "--name", "x"), "/dev/null is not a CSV file; name a folder"),
        (
            ("import", ".", "--name", "phantom"),
            "dataset name phantom is reserved for the synthetic",
        ),
        (("import", ".", "--name", ""), "dataset name is ''; use only letters"),
        (("import", ".", "--name", "x", "--salt", " "), "--salt is empty; use a secret text"),
        (("show", "../../etc"), "etc is not a dataset store"),
        (("export", "nothing", "--to", "x"), "Import one: sweeper data import FOLDER --name NAME"),
    ],
)
def test_wrong_input_is_one_line_and_returns_2(tmp_path, capsys, args, line):
    assert run(tmp_path, *args) == 2
    err = capsys.readouterr().err
    assert line in err
    assert len(err.strip().splitlines()) == 1


def test_headers_that_may_name_a_person_are_listed_at_import(tmp_path, capsys):
    import nibabel as nib

    source = sources.saml(tmp_path / "src")
    image = nib.Nifti1Image(sources.image_array(7).transpose(2, 1, 0), sources.LPS)
    image.header["descrip"] = b"Mueller Hans"
    nib.save(image, source / "UCL" / "Case01.nii.gz")
    assert run(tmp_path / "ws", "import", source, "--processes", 1) == 0
    err = capsys.readouterr().err
    assert "privacy: UCL/Case01.nii.gz: descrip: 'Mueller Hans' may identify a person" in err
    assert "--salt TEXT replaces them" in err


def test_import_tells_equal_warnings_once_and_check_each(tmp_path, capsys):
    source = tmp_path / "src"
    for index in range(3):
        for name, array in (
            (f"Case{index:02d}", sources.image_array(index)),
            (f"Case{index:02d}_segmentation", sources.label_array()),
        ):
            sources.write(source / "UCL" / f"{name}.nii.gz", array, np.diag([0.7, 0.7, 3.0, 1.0]))
    run(tmp_path / "ws", "import", source, "--processes", 1)
    told = [line for line in capsys.readouterr().err.splitlines() if "geometry-nominal" in line]
    assert len(told) == 1
    assert (
        "UCL/Case00.nii.gz and 2 more (list all: sweeper data check): its header states" in told[0]
    )
    run(tmp_path / "ws", "check", source, "--processes", 1)
    told = [line for line in capsys.readouterr().err.splitlines() if "geometry-nominal" in line]
    assert [f"UCL/Case0{i}.nii.gz: its header states no" in told[i] for i in range(3)] == [True] * 3


def test_an_empty_workspace_says_how_to_make_a_dataset(tmp_path, capsys):
    assert run(tmp_path, "show") == 0
    assert "no dataset yet; import one with `sweeper --workspace " in capsys.readouterr().out


def test_datasets_are_listed_with_size_and_users_and_removed(tmp_path, capsys):
    source = sources.saml(tmp_path / "src")
    workspace = tmp_path / "ws"
    run(workspace, "import", source, "--name", "kept", "--processes", 1)
    run(workspace, "import", source, "--name", "gone", "--split", "seeded", "--processes", 1)
    fingerprint = DatasetStore.open(workspace / "datasets" / "gone.zarr").fingerprint
    folder = TrainingFolder(workspace / "trainings" / "t1")
    folder.write("config", {"name": "desam A", "identity": {"dataset": fingerprint}})
    capsys.readouterr()
    assert run(workspace, "list") == 0
    kept, gone = sorted(capsys.readouterr().out.splitlines(), reverse=True)
    assert kept.startswith("kept  4 cases  12 slices  A-ISBI, D-UCL  ")
    assert gone.startswith(f"gone  4 cases  12 slices  A-ISBI, D-UCL  {fingerprint}  ")
    is_shared = fingerprint in kept
    assert [line.endswith("  1 training") for line in (kept, gone)] == [is_shared, True]
    folder.renew_lease("me")
    assert run(workspace, "remove", "gone", "--yes") == 2
    assert "dataset gone is read by a running training (desam A); wait" in capsys.readouterr().err
    folder.remove_records("lease")
    (workspace / "datasets" / ".gone.zarr.parts").mkdir()
    assert run(workspace, "remove", "gone", "--yes") == 0
    assert "removed gone: " in capsys.readouterr().out
    assert [f.name for f in (workspace / "datasets").iterdir()] == ["kept.zarr"]
    assert (workspace / "trainings" / "t1" / "config.json").is_file()
    assert run(workspace, "remove", "gone", "--yes") == 2
    assert "there is no dataset 'gone' in " in capsys.readouterr().err


def test_a_damaged_store_is_found_by_check(tmp_path, capsys):
    import zarr

    source = sources.saml(tmp_path / "src")
    run(tmp_path / "ws", "import", source, "--processes", 1)
    zarr.open_group(tmp_path / "ws" / "datasets" / "src.zarr", mode="r+")["label"][0] = 1
    capsys.readouterr()
    assert run(tmp_path / "ws", "check", "src") == 2
    assert "1 of 4 cases differ from what was written (A-ISBI_Case00)" in capsys.readouterr().err


def test_a_damaged_store_is_mended_by_importing_it_again_with_replace(tmp_path, capsys):
    source = sources.saml(tmp_path / "src")
    run(tmp_path / "ws", "import", source, "--processes", 1)
    chunks = tmp_path / "ws" / "datasets" / "src.zarr" / "image" / "c"
    chunk = next(file for file in sorted(chunks.rglob("*")) if file.is_file())
    good = chunk.read_bytes()
    chunk.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    capsys.readouterr()
    assert run(tmp_path / "ws", "show", "src") == 2
    err = capsys.readouterr().err
    assert "case A-ISBI_Case00 of dataset store" in err
    assert len(err.strip().splitlines()) == 1
    assert run(tmp_path / "ws", "import", source, "--processes", 1, "--replace") == 0
    assert "nothing has changed" not in capsys.readouterr().out
    assert chunk.read_bytes() == good
    assert run(tmp_path / "ws", "check", "src") == 0


def test_one_damaged_dataset_hides_no_other_in_the_list(tmp_path, capsys):
    source = sources.saml(tmp_path / "src")
    for name in ("one", "two"):
        run(tmp_path / "ws", "import", source, "--processes", 1, "--name", name)
    (tmp_path / "ws" / "datasets" / "one.zarr" / "label" / "zarr.json").unlink()
    capsys.readouterr()
    assert run(tmp_path / "ws", "show") == 0
    told = capsys.readouterr()
    assert "two  4 cases" in told.out
    assert "is damaged: 'label' cannot be read" in told.err


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.ENOSPC, "No space left on device; free some space and run the command again"),
        (errno.EACCES, "Permission denied; fix its permissions, or choose another folder with"),
    ],
)
def test_a_full_or_closed_disk_is_one_line(tmp_path, capsys, monkeypatch, number, way):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "sheet.png")

    monkeypatch.setattr("sweeper.pipeline.data.named.open_dataset", refuse)
    assert run(tmp_path, "show", "prostate") == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith(f"sweeper: sheet.png: {way}")
    assert len(err.splitlines()) == 1
