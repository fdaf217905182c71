"""New scans are segmented as test cases are scored, and come back where they came from."""

from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)
import tiny_workspace as tiny
import torch

from sweeper.cli import main
from sweeper.errors import DataError
from sweeper.pipeline.predicting.predict import (
    PredictRequest,
    find_images,
    open_predictor,
    predict,
)
from sweeper.predict.flags import Flag
from sweeper.predict.predictor import Predictor
from sweeper.predict.scan import read_scan
from sweeper.report.figures.contours import unpack
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.ledger import Ledger

DESAM, UNET = ("method=desam", "seed=0"), ("method=unet",)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    before = torch.get_num_threads()
    trials = [{"method": tiny.DESAM}, {"method": tiny.DESAM, "seed": 1}, {"method": tiny.UNET}]
    yield tiny.make_workspace(tmp_path_factory.mktemp("predict"), trials)
    torch.set_num_threads(before)


def source_of(workspace):
    return workspace.root.parent / "src"


def scan_file(workspace, name="Case01"):
    return source_of(workspace) / "UCL" / f"{name}.nii.gz"


def request(images, output, cells=DESAM, **more):
    return PredictRequest(cells=cells, images=tuple(images), output=output, **more)


def voxels(path):
    return np.asanyarray(nib.load(path).dataobj)


@pytest.mark.parametrize("cells", [DESAM, UNET], ids=["desam", "unet"])
def test_a_test_cases_masks_are_those_that_were_scored_bit_for_bit(workspace, cells):
    predictor = open_predictor(workspace, cells)
    folder = Ledger(workspace.trainings).folder(predictor.facts.train_id)
    (eval_id,) = folder.evaluations()
    dataset = DatasetStore.open(workspace.datasets / "tiny.zarr")
    n_compared = 0
    with np.load(folder.evaluation_folder(eval_id) / "masks.npz") as scored:
        for case in scored.files:
            record = dataset.case(case)
            settings = predictor.settings_for(record.domain)
            scan = read_scan(source_of(workspace) / record.image_file, settings, 1)
            assert np.array_equal(scan.pixels, dataset.case_images(record))
            masks = predictor.predict(scan.pixels).mask
            shown = list(record.foreground["prostate"])
            assert np.array_equal(masks[shown], unpack(scored[case], masks.shape[-1]))
            n_compared += masks[shown].any()
    assert n_compared >= 4  # and they are not all empty


def test_masks_previews_and_table_are_written_for_every_slice(workspace, tmp_path):
    images = [scan_file(workspace), scan_file(workspace, "Case02")]
    outcome = predict(workspace, request(images, tmp_path / "out", UNET))
    assert outcome.failed == ()
    for image, case in zip(images, outcome.cases, strict=True):
        mask, original = nib.load(case.mask), nib.load(image)
        assert np.array_equal(mask.affine, original.affine)
        assert mask.shape == original.shape
        assert case.n_slices == tiny.SHAPE[0]
        assert case.volume_ml == pytest.approx(voxels(case.mask).sum() * 3.0 / 1000)
        assert (tmp_path / "out" / "previews" / f"{case.case}.png").stat().st_size > 1000
    with outcome.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["Case01", "Case02"]
    assert [row["predicted_iou"] for row in rows] == ["", ""]  # a U-Net predicts none


def test_any_orientation_and_format_gives_the_same_mask(workspace, tmp_path):
    straight = nib.load(scan_file(workspace))
    turned = straight.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    nib.save(turned, tmp_path / "turned.nii")
    sitk.WriteImage(sitk.ReadImage(str(scan_file(workspace))), str(tmp_path / "other.nrrd"))
    images = [scan_file(workspace), tmp_path / "turned.nii", tmp_path / "other.nrrd"]
    outcome = predict(workspace, request(images, tmp_path / "out", UNET))
    first, second, third = (case.mask for case in outcome.cases)
    assert second.name == "turned.nii"
    assert voxels(second).shape == turned.shape
    back = nib.load(second).as_reoriented(
        nib.orientations.ornt_transform(
            nib.io_orientation(turned.affine), nib.io_orientation(straight.affine)
        )
    )
    assert voxels(first).any()
    assert np.array_equal(voxels(first), np.asanyarray(back.dataobj))
    assert np.array_equal(voxels(first).T, sitk.GetArrayFromImage(sitk.ReadImage(str(third))))


def test_a_picture_is_one_slice_with_a_picture_as_its_mask(workspace, tmp_path):
    image, _ = tiny.scan(3)
    grey = np.clip(image[2] / 3, 0, 255).astype(np.uint8)
    colour = sitk.GetImageFromArray(np.stack([grey] * 3, axis=-1), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "photo.png"))
    (case,) = predict(workspace, request([tmp_path / "photo.png"], tmp_path / "out", UNET)).cases
    assert (case.n_slices, case.mask.name) == (1, "photo.png")
    assert np.isnan(case.volume_ml)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(case.mask)))
    assert mask.shape == grey.shape
    assert set(np.unique(mask)) <= {0, 255}


def test_an_ensemble_is_the_mean_of_probabilities(workspace):
    ensemble = open_predictor(workspace, ["method=desam"])
    assert [model.facts.config.seed for model in ensemble.models] in ([0, 1], [1, 0])
    scan = read_scan(scan_file(workspace), ensemble.settings_for(None), 1)
    masks = ensemble.predict(scan.pixels).mask
    members = [Predictor([model]).predict(scan.pixels).mask for model in ensemble.models]
    assert not np.array_equal(*members)
    # where the members agree the mean agrees, up to what the clean-up does to either
    agree = members[0] & members[1]
    assert (masks & agree).sum() > 0.95 * agree.sum()
    assert not (masks & ~(members[0] | members[1])).sum() > 0.05 * masks.sum()
    twice = Predictor([ensemble.models[0], ensemble.models[0]]).predict(scan.pixels).mask
    assert (twice != members[0]).sum() <= 2  # a probability of 0.5 up to the last bit


def test_references_give_scores_on_the_images_own_grid(workspace, tmp_path):
    wanted = {"references": source_of(workspace) / "UCL"}
    request_ = request([scan_file(workspace)], tmp_path / "out", UNET, **wanted)
    (case,) = predict(workspace, request_).cases
    reference = voxels(source_of(workspace) / "UCL" / "Case01_segmentation.nii.gz") > 0
    mask = voxels(case.mask) > 0
    expected = 2 * (mask & reference).sum() / (mask.sum() + reference.sum())
    assert case.scores["dice"] == pytest.approx(expected)
    assert case.scores["hd95_mm"] > 0
    assert "dice" in (tmp_path / "out" / "predictions.csv").read_text().splitlines()[0]


def test_one_damaged_image_does_not_stop_the_others(workspace, tmp_path):
    (tmp_path / "bad.nii.gz").write_bytes(b"no volume")
    images = [tmp_path / "bad.nii.gz", scan_file(workspace)]
    outcome = predict(workspace, request(images, tmp_path / "out", UNET))
    assert [case.case for case in outcome.failed] == ["bad"]
    assert "it is not a NIfTI file" in outcome.failed[0].problem
    assert outcome.cases[1].mask.is_file()


def test_intensities_unlike_the_training_sites_are_flagged(workspace, tmp_path):
    familiar = source_of(workspace) / "RUNMC" / "Case00.nii.gz"
    image = nib.load(familiar)
    inverted = tmp_path / "inverted.nii.gz"
    nib.save(nib.Nifti1Image(1000 - voxels(familiar), image.affine), inverted)
    outcome = predict(workspace, request([familiar, inverted], tmp_path / "out", UNET))
    assert Flag.UNLIKE_TRAINING not in outcome.cases[0].flags
    assert Flag.UNLIKE_TRAINING in outcome.cases[1].flags


def test_two_images_with_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        tiny.sources.write(tmp_path / folder / "scan.nii.gz", tiny.scan(0)[0])
    with pytest.raises(DataError, match="would have the same mask"):
        find_images([tmp_path / "a", tmp_path / "b" / "scan.nii.gz"])


def test_images_of_another_domain_are_prepared_as_that_domain(workspace, tmp_path):
    named = request([scan_file(workspace)], tmp_path / "out", UNET, domain="X")
    with pytest.raises(DataError, match=r"--domain is 'X', but .* with A-ISBI, D-UCL"):
        predict(workspace, named)


def test_the_command_prints_one_line_per_image_and_tells_failures_by_its_exit_code(
    workspace, tmp_path, capsys
):
    (tmp_path / "bad.nii.gz").write_bytes(b"no volume")
    words = ["--workspace", str(workspace.root), "predict", "method=desam", "seed=0"]
    with pytest.raises(SystemExit) as ended:
        main([*words, str(scan_file(workspace)), "-o", str(tmp_path / "out")])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "predicting with desam full prostate A-ISBI seed 0" in text
    assert "Case01: " in text
    with pytest.raises(SystemExit) as ended:
        main([*words, str(tmp_path / "bad.nii.gz"), "-o", str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "bad: no mask" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(workspace.root), "predict", "scan.nii.gz", "-o", "out"])
    assert ended.value.code == 2
    assert "names no model; name a train id" in capsys.readouterr().err
