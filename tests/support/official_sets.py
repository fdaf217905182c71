"""Public datasets in the shapes in which their download pages ship them, with synthetic voxels."""

from __future__ import annotations

import json

import dicom_writer as dicom
import fault_sources as sources
import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name its own manual uses)


def _zones(shape=(4, 20, 24)) -> np.ndarray:
    label = sources.label_array(shape)
    label[:, : shape[1] // 2] *= 2
    return label


def _sitk(path, array, *, compress=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 3.0))
    image.SetOrigin(dicom.ORIGIN)
    sitk.WriteImage(image, str(path), useCompression=compress)


def _four_d(path, arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    stacked = np.stack([array.transpose(2, 1, 0) for array in arrays], axis=-1)
    nib.save(nib.Nifti1Image(stacked, sources.LPS), path)


def promise12(root, cases: int = 3):
    """`TrainingData_Part1..3/CaseNN.mhd` with `CaseNN_segmentation.mhd`, each with its `.raw`."""
    for number in range(cases):
        folder = root / f"TrainingData_Part{number % 3 + 1}"
        _sitk(folder / f"Case{number:02d}.mhd", sources.image_array(number))
        _sitk(folder / f"Case{number:02d}_segmentation.mhd", sources.label_array().astype(np.int8))
    return root


def decathlon(root, cases: int = 3):
    """Task05_Prostate: 4-D T2 and ADC, two zones, `dataset.json`, no `_0000`."""
    for number in range(cases):
        t2, adc = sources.image_array(number), sources.image_array(50 + number)
        _four_d(root / "imagesTr" / f"prostate_{number:02d}.nii.gz", (t2, adc))
        sources.write(root / "labelsTr" / f"prostate_{number:02d}.nii.gz", _zones())
    _four_d(root / "imagesTs" / "prostate_03.nii.gz", (t2, adc))
    facts = {
        "name": "PROSTATE",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "numTraining": cases,
    }
    (root / "dataset.json").write_text(json.dumps(facts))
    return root


def nnunet(root, cases: int = 3, *, csv: bool = False):
    """Dataset005 of nnU-Net v2: files per channel, NRRD, `channel_names` and `file_ending`."""
    for number in range(cases):
        name = f"gland_{number:03d}"
        for channel in range(2):
            image = sources.image_array(number + 50 * channel)
            _sitk(root / "imagesTr" / f"{name}_{channel:04d}.nrrd", image, compress=True)
        _sitk(root / "labelsTr" / f"{name}.nrrd", sources.label_array())
    facts = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "gland": 1},
        "numTraining": cases,
        "file_ending": ".nrrd",
    }
    (root / "dataset.json").write_text(json.dumps(facts))
    if csv:
        rows = [f"{'UCL' if n else 'HK'},gland_{n:03d}" for n in range(cases)]
        (root / "prostate_patientid.csv").write_text("\n".join(["center,patientid", *rows]))
    return root


AMOS_ORGANS = (
    "spleen",
    "right_kidney",
    "left_kidney",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "postcava",
    "pancreas",
    "right_adrenal_gland",
    "left_adrenal_gland",
    "duodenum",
    "bladder",
    "prostate_uterus",
)


def amos(root, cases: int = 2):
    """AMOS22: CT below 500, MR from 500 on, 15 organs, `dataset.json` without `_0000`."""
    label = np.zeros((4, 40, 40), np.uint8)
    for place in range(15):
        row, col = 4 + 7 * (place // 3), 6 + 10 * (place % 3)
        label[1:, row : row + 5, col : col + 6] = place + 1
    for number in (*range(1, 1 + cases), *range(507, 507 + cases)):
        image = sources.image_array(number, (4, 40, 40))
        image[:, :2] = -1000 if number < 500 else 0
        sources.write(root / "imagesTr" / f"amos_{number:04d}.nii.gz", image)
        sources.write(root / "labelsTr" / f"amos_{number:04d}.nii.gz", label)
    facts = {
        "name": "AMOS",
        "modality": {"0": "CT"},
        "labels": {"0": "background"} | {str(n): o for n, o in enumerate(AMOS_ORGANS, start=1)},
    }
    (root / "dataset.json").write_text(json.dumps(facts))
    return root


def btcv(root, cases: int = 2):
    """Abdomen/RawData/Training/{img,label} of BTCV; the test images have no labels."""
    home = root / "Abdomen" / "RawData"
    for index in range(1, cases + 1):
        label = np.zeros((4, 40, 40), np.uint8)
        for place, value in enumerate((6, 2, 3, 1, 13)):
            label[1:3, 6 + 6 * place : 10 + 6 * place, 14:26] = value
        image = sources.image_array(index, (4, 40, 40))
        image[:, :2] = -1000
        sources.write(home / "Training" / "img" / f"img{index:04d}.nii.gz", image, sources.THICK)
        sources.write(
            home / "Training" / "label" / f"label{index:04d}.nii.gz", label, sources.THICK
        )
    sources.write(home / "Testing" / "img" / "img0061.nii.gz", image, sources.THICK)
    return home


def chaos(root, cases: int = 2):
    """Train_Sets: anonymised DICOM (each file a series of its own) and PNG masks, CT and MR."""
    home = root / "Train_Sets"
    for number in range(1, cases + 1):
        organs = np.zeros((4, 40, 40), np.uint8)
        for place, value in enumerate((63, 126, 189, 252)):
            organs[1:3, 8 + 6 * place : 12 + 6 * place, 14:26] = value
        for sequence in ("T1DUAL", "T2SPIR"):
            folder = home / "MR" / str(number) / sequence
            images = folder / "DICOM_anon"
            for place in ("InPhase", "OutPhase") if sequence == "T1DUAL" else (".",):
                dicom.write_series(
                    images / place,
                    sources.image_array(number + len(place) + len(sequence) * 7, (4, 40, 40)),
                    name=f"IMG-{number:04d}-{{:05d}}.dcm",
                    uid=f"1.2.{number}.{{}}",
                    spacing=(8.0, 1.0, 1.0),
                    reverse=True,
                )
            dicom.write_pictures(
                folder / "Ground", organs, f"IMG-{number:04d}-{{:05d}}.png", reverse=True
            )
        image = sources.image_array(number + 90, (4, 40, 40)) - 1000
        folder = home / "CT" / str(number)
        dicom.write_series(
            folder / "DICOM_anon",
            image,
            name="i{:04d},0000b.dcm",
            uid=f"1.3.{number}.{{}}",
            modality="CT",
            reverse=True,
        )
        liver = (organs == 63).astype(np.uint8) * 255
        dicom.write_pictures(folder / "Ground", liver, "liver_GT_{:03d}.png", reverse=True)
    return home


def prostate158(root, cases: int = 3):
    """`train/020/t2.nii.gz` with ADC, DWI and readers' labels, `train.csv` and `valid.csv`."""
    rows = []
    for number in range(20, 20 + cases):
        folder = root / "train" / f"{number:03d}"
        for place, name in enumerate(("t2", "adc", "dwi")):
            sources.write(folder / f"{name}.nii.gz", sources.image_array(number + 100 * place))
        sources.write(folder / "t2_anatomy_reader1.nii.gz", _zones())
        if number == 20:
            sources.write(folder / "t2_tumor_reader1.nii.gz", sources.label_array())
        rows.append(f"{number},train/{number:03d}/t2.nii.gz")
    for name, part in (("train", rows[:-1]), ("valid", rows[-1:])):
        (root / f"{name}.csv").write_text("\n".join(["ID,t2", *part]))
    return root


def nci_isbi(root, cases: int = 2):
    """NCI-ISBI 2013 from TCIA: DICOM per patient, study and series, labels as NRRD elsewhere."""
    for prefix in ("Prostate3T", "ProstateDx"):
        for number in range(1, cases + 1):
            patient = f"{prefix}-01-{number:04d}"
            folder = root / prefix / patient / "11-30-2004-MR prostaat" / "5.000000-t2tsetra-82391"
            image = sources.image_array(number + (30 if prefix == "ProstateDx" else 0))
            dicom.write_series(folder, image, name="1-{:02d}.dcm", description="t2_tse_tra")
            ending = "_correctedLabels" if (prefix, number) == ("ProstateDx", 1) else ""
            labels = root / f"NCI_ISBI_Challenge-{prefix}_Training_Segmentations" / "Training"
            _sitk(labels / f"{patient}{ending}.nrrd", _zones(), compress=True)
    return root


def i2cvb(root, cases: int = 2):
    """I2CVB: `Patient_383/T2W` and `GT/prostate`, both DICOM, beside other sequences and zones."""
    for number in range(383, 383 + cases):
        patient = root / f"Patient_{number}"
        dicom.write_series(patient / "T2W", sources.image_array(number), uid=f"1.5.{number}")
        adc = sources.image_array(2 * number)
        dicom.write_series(patient / "ADC", adc, uid=f"1.6.{number}", description="ADC")
        for place, name in enumerate(("prostate", "pz")):
            mask = (sources.label_array() * (255 if place == 0 else 1)).astype(np.int16)
            dicom.write_series(patient / "GT" / name, mask, uid=f"1.7.{number}.{place}")
    return root


def prostatex(root, cases: int = 2):
    """PROSTATEx from TCIA with the masks of PROSTATEx_masks: many series, masks by patient."""
    for number in range(cases):
        patient = f"ProstateX-{number:04d}"
        study = root / "PROSTATEx" / patient / "07-07-2011-MR prostaat"
        for place, name in enumerate(("4.000000-t2tsetra-00702", "7.000000-ADC-78607")):
            dicom.write_series(
                study / name,
                sources.image_array(number + 50 * place),
                name="1-{:02d}.dcm",
                uid=f"1.8.{number}.{place}",
                description=("t2_tse_tra", "ep2d_diff_ADC")[place],
            )
        masks = root / "prostatex_masks" / "Files" / "prostate" / "mask_prostate"
        sources.write(masks / f"{patient}.nii.gz", sources.label_array())
    return root


def bids(root, cases: int = 3):
    """BIDS with manual masks in derivatives, and the sites in `participants.tsv`."""
    lines = ["participant_id\tage\tsite"]
    for number in range(1, cases + 1):
        name = f"sub-{number:02d}"
        sources.write(root / name / "anat" / f"{name}_T2w.nii.gz", sources.image_array(number))
        sources.write(
            root / "derivatives" / "manual_masks" / name / "anat" / f"{name}_T2w_dseg.nii.gz",
            sources.label_array(),
        )
        lines.append(f"{name}\t60\t{'north' if number < 3 else 'south'}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    return root


def images_and_masks(root, cases: int = 3):
    """`images/ISIC_0001.png` with `masks/ISIC_0001_segmentation.png`: each picture is a case."""
    for number in range(cases):
        image = (sources.image_array(number)[1] // 2).astype(np.uint8)
        for place, plane in (
            (f"images/ISIC_{number:04d}.png", image),
            (f"masks/ISIC_{number:04d}_segmentation.png", sources.label_array()[1] * 255),
        ):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(plane), str(root / place))
    return root
