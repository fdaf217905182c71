"""Every fault of a source, and the exact lines that a user reads for it."""

from __future__ import annotations

LINES = {
    "image_without_label": (
        (
            "error [label-missing] UCL/Case01.nii.gz: there is no label "
            "Case01_segmentation.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] D-UCL: it has 1 case, but a domain needs at least 2 (one"
            " for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "label_without_image": (
        (
            "error [image-missing] UCL/Case01_segmentation.nii.gz: there is no image "
            "Case01.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] D-UCL: it has 1 case, but a domain needs at least 2 (one"
            " for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "truncated_image": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged; replace the "
            "file or remove the case"
        ),
    ),
    "flipped_byte": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged; replace the "
            "file or remove the case"
        ),
    ),
    "empty_file": (
        (
            "error [unreadable] UCL/Case01.nii.gz: the file has 0 bytes; replace the file or "
            "remove the case"
        ),
    ),
    "text_named_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is not a NIfTI file; replace the file "
            "or remove the case"
        ),
    ),
    "web_page_named_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is not a NIfTI file; replace the file "
            "or remove the case"
        ),
    ),
    "damaged_nrrd": (
        (
            "error [unreadable] south1.nrrd: it is truncated or damaged, or its suffix is "
            "wrong; replace the file or remove the case"
        ),
    ),
    "four_dimensional": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is 4-D: 2 volumes of 24 x 20 x 4; choose one"
            " with --channel (0 to 1) if it is an image; a label may have only one"
        ),
    ),
    "colour_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its voxels are of type [('R', 'u1'), ('G',"
            " 'u1'), ('B', 'u1')], expected one number per voxel; replace the file or remove "
            "the case"
        ),
    ),
    "complex_image": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its voxels are of type complex64, expected"
            " one number per voxel; replace the file or remove the case"
        ),
    ),
    "singular_affine": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its affine is singular or not finite, so "
            "voxels have no position or size; replace the file or remove the case"
        ),
    ),
    "nan_in_image": (
        (
            "error [image-not-finite] UCL/Case01.nii.gz: 3 of 1920 voxels are NaN or "
            "infinite; set them to 0, or export the image again"
        ),
    ),
    "infinity_in_image": (
        (
            "error [image-not-finite] UCL/Case01.nii.gz: 1 of 1920 voxels are NaN or "
            "infinite; set them to 0, or export the image again"
        ),
    ),
    "constant_image": (
        (
            "error [image-constant] UCL/Case01.nii.gz: every voxel is 7; export the image "
            "again; this one shows nothing"
        ),
    ),
    "exchanged_files": (
        (
            "warning [image-like-label] UCL/Case01.nii.gz: it contains only 2 different "
            "values; check that image and label are not swapped"
        ),
    ),
    "metre_voxels": (
        (
            "warning [spacing-odd] UCL/Case01.nii.gz: its voxels are 0.003 x 0.001 x 0.001 mm"
            " (z, y, x), expected 0.05 to 20 mm; correct the header, or ignore this case's "
            "distances in millimetres"
        ),
    ),
    "nominal_header": (
        (
            "warning [geometry-nominal] UCL/Case01.nii.gz: its header states no orientation; the"
            " array is used as stored; add the scanner's affine if it appears upside down"
        ),
        (
            "warning [geometry-mixed] D-UCL: 1 of 4 images state no orientation, such as"
            " D-UCL_Case01; others do, such as A-ISBI_Case00; compare both on the contact sheet; if"
            " the anatomy is turned or flipped, add the scanner's affine"
        ),
    ),
    "sagittal_scan": (
        (
            "warning [not-axial] UCL/Case01.nii.gz: its longest voxel side is in the plane (3"
            " mm), so it is not an axial scan; import an axial scan, or expect coarse slices"
        ),
        (
            "warning [label-in-border] UCL/Case01_segmentation.nii.gz: 33.3 % of it is in the"
            " border that desam2024 scoring clears; this case's Dice cannot reach 1 with that"
            " protocol"
        ),
    ),
    "other_shape": (
        (
            "error [geometry-shape] UCL/Case01_segmentation.nii.gz: its shape (z, y, x) is "
            "(4, 20, 22), but the image's is (4, 20, 24); resample the label to its image"
        ),
    ),
    "codes_of_the_label_are_zero": (
        (
            "error [geometry-affine] UCL/Case01_segmentation.nii.gz: its image states an"
            " orientation, but it does not; copy the image's header to it, if both have the same"
            " order of voxels"
        ),
    ),
    "codes_of_one_case_are_zero": (
        (
            "warning [geometry-nominal] UCL/Case01.nii.gz: its header states no orientation; the"
            " array is used as stored; add the scanner's affine if it appears upside down"
        ),
        (
            "warning [geometry-mixed] D-UCL: 1 of 4 images state no orientation, such as"
            " D-UCL_Case01; others do, such as A-ISBI_Case00; compare both on the contact sheet; if"
            " the anatomy is turned or flipped, add the scanner's affine"
        ),
    ),
    "csv_ct_without_modality": tuple(
        f"warning [image-like-ct] {name}.nii.gz: its lowest value is -1000, as in CT, but its"
        " modality is not stated, so its voxels of value 0 become black; import it with --modality"
        " CT (or a modality column) if it is CT"
        for name in ("north0", "north1")
    ),
    "csv_magnitude_called_ct": tuple(
        f"warning [image-unlike-ct] {name}.nii.gz: its modality is CT, but its lowest value is 0,"
        " not that of air (-1000); subtract the offset, such as 1024, or correct the modality"
        for name in ("north0", "north1")
    ),
    "csv_modality_unknown_or_mixed": (
        (
            "error [csv-modality] cases.csv line 2: modality is 'CTA', expected CT or MR; give all"
            " cases of a site the same modality, or make two sites of it"
        ),
        (
            "error [csv-modality] cases.csv line 5: modality is '', but an earlier case of south"
            " has 'MR'; give all cases of a site the same modality, or make two sites of it"
        ),
    ),
    "ignored_voxels": (
        (
            "warning [label-ignore] labelsTr/prostate_003.nii.gz: 5 % of its voxels have the value"
            " 2, which dataset.json calls ignore; they count in no loss and in no score"
        ),
    ),
    "missing_voxel_file": (
        (
            "error [unreadable] UCL/Case01.mhd: its voxels are in Case01.raw, which does not"
            " exist; replace the file or remove the case"
        ),
    ),
    "truncated_voxel_file": (
        (
            "error [unreadable] UCL/Case01.mhd: it is truncated or damaged, or its suffix is "
            "wrong; replace the file or remove the case"
        ),
    ),
    "label_5_mm_off": (
        (
            "error [geometry-affine] UCL/Case01_segmentation.nii.gz: it is 5 mm away from its"
            " image; allowed are 0.001 mm; resample the label to its image, or copy the "
            "image's header to it"
        ),
    ),
    "label_with_other_voxel_size": (
        (
            "error [geometry-affine] UCL/Case01_segmentation.nii.gz: it is 0.23 mm away from "
            "its image; allowed are 0.001 mm; resample the label to its image, or copy the "
            "image's header to it"
        ),
    ),
    "empty_label": (
        (
            "error [label-empty] UCL/Case01_segmentation.nii.gz: no voxel is labelled; draw "
            "the label, or remove the case"
        ),
    ),
    "fractional_label": (
        (
            "error [label-not-integer] UCL/Case01_segmentation.nii.gz: it contains 0.5, "
            "expected whole numbers; resample labels with nearest neighbour and store them as"
            " integers"
        ),
    ),
    "nan_in_label": (
        (
            "error [label-not-finite] UCL/Case01_segmentation.nii.gz: 1 of 1920 voxels are "
            "NaN or infinite; set them to 0"
        ),
    ),
    "unknown_label": (
        (
            "error [label-unknown] UCL/Case01_segmentation.nii.gz: it contains the unknown "
            "value 4; this layout has 0, 1, 2; set it to 0, or name it "
            "with --structures"
        ),
    ),
    "negative_label": (
        (
            "error [label-unknown] UCL/Case01_segmentation.nii.gz: it contains the unknown "
            "value -1; this layout has 0, 1, 2; set it to 0, or name it "
            "with --structures"
        ),
    ),
    "label_on_one_slice": (
        (
            "warning [one-slice] UCL/Case01_segmentation.nii.gz: prostate is on only one "
            "slice, but desam2024 scoring drops the last slice; report this case's scores "
            "with --protocol strict"
        ),
    ),
    "label_at_the_border": (
        (
            "warning [label-in-border] UCL/Case01_segmentation.nii.gz: 11.1 % of it is in the"
            " border that desam2024 scoring clears; this case's Dice cannot reach 1 with that"
            " protocol"
        ),
    ),
    "label_that_vanishes": (
        (
            "error [label-vanishes] UCL/Case01_segmentation.nii.gz: it vanishes at 256 px; "
            "draw it larger, or remove the case"
        ),
    ),
    "same_patient_at_two_sites": (
        (
            "error [patient-twice] D-UCL_Case01: its image has the same voxels as "
            "A-ISBI_Case00 of A-ISBI; remove one: a patient in two domains leaks the target"
        ),
    ),
    "same_patient_twice_at_a_site": (
        (
            "error [patient-twice] D-UCL_Case02: its image has the same voxels as "
            "D-UCL_Case00; remove one: a patient in two cases leaks between the splits"
        ),
    ),
    "single_case_at_a_site": (
        (
            "warning [too-few-cases] D-UCL: it has 1 case, but a domain needs at least 2 (one"
            " for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "unknown_site": (
        (
            "warning [site-unknown] Utrecht: it is not one of the six sites (A-ISBI, "
            "B-ISBI_1.5, C-I2CVB, D-UCL, E-BIDMC, F-HK); correct the name if it is; otherwise"
            " it becomes a separate domain"
        ),
    ),
    "no_case": (
        (
            "error [csv-empty] prostate_patientid.csv: it has a header but no rows; add one "
            "row per case"
        ),
    ),
    "patient_folder_without_files": (
        (
            "error [case-empty] F-HK/patient_7: it contains neither t2_img_clipped nor "
            "label_clipped; add both files or remove the folder"
        ),
    ),
    "maxstyle_without_label": (
        (
            "error [label-missing] F-HK/patient_1/t2_img_clipped.nii.gz: there is no label "
            "label_clipped.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] F-HK: it has 1 case, but a domain needs at least 2 (one "
            "for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "no_site_csv": (
        (
            "error [csv-missing] prostate_patientid.csv: it is missing, so no case has a "
            "site; create it beside imagesTr with the columns center,patientid: one row per "
            "case; the first 90 % of each site are for training"
        ),
    ),
    "site_csv_without_center": (
        (
            "error [csv-columns] prostate_patientid.csv: column center missing; it has "
            "hospital, patientid; the required columns are center,patientid"
        ),
    ),
    "site_csv_names_a_stranger": (
        (
            "warning [csv-no-case] prostate_patientid.csv line 6: no case is named 77 or ends"
            " with this number; correct or remove the line"
        ),
    ),
    "site_csv_names_a_case_twice": (
        (
            "error [csv-duplicate] prostate_patientid.csv line 6: case prostate_001 is also "
            "in an earlier line; remove one of the lines"
        ),
    ),
    "site_csv_is_ambiguous": (
        (
            "error [csv-ambiguous] prostate_patientid.csv line 4: patientid 2 matches several"
            " cases: other_002, prostate_002; use the case's full name as patientid"
        ),
        (
            "error [csv-no-site] imagesTr/other_002_0000.nii.gz: prostate_patientid.csv has "
            "no row for case other_002; add its row or remove its files"
        ),
        (
            "error [csv-no-site] imagesTr/prostate_002_0000.nii.gz: prostate_patientid.csv "
            "has no row for case prostate_002; add its row or remove its files"
        ),
        (
            "warning [too-few-cases] D-UCL: it has 1 case, but a domain needs at least 2 (one"
            " for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "case_without_site": (
        (
            "error [csv-no-site] imagesTr/prostate_001_0000.nii.gz: prostate_patientid.csv "
            "has no row for case prostate_001; add its row or remove its files"
        ),
        (
            "warning [too-few-cases] A-ISBI: it has 1 case, but a domain needs at least 2 "
            "(one for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "nnunet_image_without_label": (
        (
            "error [label-missing] imagesTr/prostate_003_0000.nii.gz: there is no label "
            "labelsTr/prostate_003.nii.gz; add it or remove the file"
        ),
        (
            "warning [too-few-cases] A-ISBI: it has 1 case, but a domain needs at least 2 "
            "(one for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "organ_missing": (
        (
            "warning [structure-missing] MR/label_2.nii.gz: it contains no right_kidney; "
            "trainings of that structure skip the case"
        ),
        (
            "warning [structure-missing] MR/label_2.nii.gz: it contains no left_kidney; "
            "trainings of that structure skip the case"
        ),
        (
            "warning [structure-missing] MR/label_2.nii.gz: it contains no spleen; trainings "
            "of that structure skip the case"
        ),
    ),
    "abdominal_without_label": (
        (
            "error [label-missing] CT/img/img0002.nii.gz: there is no label with number 2 "
            "under CT; add it or remove the file"
        ),
        (
            "warning [too-few-cases] CT: it has 1 case, but a domain needs at least 2 (one "
            "for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "csv_lacks_columns": (
        (
            "error [csv-columns] cases.csv: columns image, label missing; it has case, site, "
            "picture; the required columns are case,site,image,label"
        ),
    ),
    "csv_column_twice": ("error [csv-columns] cases.csv: duplicate column case; keep one of them",),
    "csv_empty": (
        "error [csv-empty] cases.csv: it is empty; add the columns case,site,image,label",
    ),
    "csv_header_only": (
        "error [csv-empty] cases.csv: it has a header but no rows; add one row per case",
    ),
    "csv_in_another_encoding": (
        "error [csv-encoding] cases.csv: it is not UTF-8 text; save it as CSV UTF-8",
    ),
    "csv_cell_empty": (
        ("error [csv-row] cases.csv line 6: no value for image; fill it in or remove the line"),
    ),
    "csv_row_too_long": (
        (
            "error [csv-row] cases.csv line 6: it has 5 cells, but the header has 4; quote "
            "cells that contain a comma"
        ),
    ),
    "csv_unknown_split": (
        (
            "error [csv-split] cases.csv line 2: split is 'hidden', expected train, "
            "validation or test; correct it, or leave the cell empty to use the split rule"
        ),
    ),
    "csv_split_without_validation": (
        (
            "error [split-one-sided] north: none of its 2 cases is in split validation; "
            "correct the split column"
        ),
    ),
    "csv_file_missing": (
        (
            "error [file-missing] south1.nii.gz: the file does not exist; correct the path or"
            " remove the case"
        ),
    ),
    "csv_duplicate_case": (
        (
            "error [case-duplicate] south1.nii.gz: case south0 occurs 2 times (also "
            "south0.nii.gz); give each case its own id"
        ),
    ),
    "csv_image_is_label": (
        (
            "error [image-is-label] cases.csv case south1: image and label are the same file;"
            " name the label's file"
        ),
        (
            "error [label-unknown] south1.nii.gz: it contains the unknown values 20, 21, 22, "
            "23, 24 ...; this layout has 0, 1; set it to 0, or name it "
            "with --structures"
        ),
    ),
    "csv_label_shared": (
        (
            "error [label-shared] cases.csv case south0: south0-label.nii.gz is the label of "
            "2 cases; name each case's own label"
        ),
        (
            "error [label-shared] cases.csv case south1: south0-label.nii.gz is the label of "
            "2 cases; name each case's own label"
        ),
    ),
    "csv_name_with_slash": (
        (
            "error [case-name] south1.nii.gz: case 'a/b' is not valid in file names on all "
            "systems; use letters a to z, digits, dots, dashes, underscores and spaces, "
            "starting with a letter or digit"
        ),
    ),
    "csv_unknown_suffix": (
        (
            "error [unreadable] south1.mat: its suffix is '.mat', expected one of .nii, "
            ".nii.gz, .hdr, .nrrd, .nhdr, .mha, .mhd, .png, .tif, .tiff, .bmp, .jpg, .jpeg, or"
            " DICOM; replace the file or remove the case"
        ),
    ),
    "csv_colour_label": (
        ("error [label-colour] drawn.png: it is a colour image; export it as a grey label map"),
    ),
    "csv_folder_without_pictures": (
        (
            "error [label-shared] cases.csv case south0: south0-label.nii.gz is the label of "
            "2 cases; name each case's own label"
        ),
        (
            "error [label-shared] cases.csv case late: south0-label.nii.gz is the label of 2 "
            "cases; name each case's own label"
        ),
        (
            "error [unreadable] stack: the folder contains neither pictures nor DICOM files;"
            " replace the file or remove the case"
        ),
    ),
    "csv_pictures_of_two_sizes": (
        (
            "error [unreadable] stack: its pictures have different sizes or channels; replace"
            " the file or remove the case"
        ),
        (
            "warning [one-slice] late-label.nii.gz: foreground is on only one slice, but "
            "desam2024 scoring drops the last slice; report this case's scores with "
            "--protocol strict"
        ),
    ),
    "affine_that_loses_an_axis": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its affine is singular or not finite, so "
            "voxels have no position or size; replace the file or remove the case"
        ),
    ),
    "header_of_an_impossible_size": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged: its header "
            "announces 70362301923326 bytes of voxels, but the file has 3840; replace the "
            "file or remove the case"
        ),
    ),
    "prostate_set_with_cases_missing": (
        (
            "warning [set-incomplete] set: the full prostate dataset has 116 cases, but this "
            "has 12: A-ISBI 2 of 30, B-ISBI_1.5 2 of 30, C-I2CVB 2 of 19, D-UCL 2 of 13, "
            "E-BIDMC 2 of 12, F-HK 2 of 12; use the same cases if you compare with published "
            "tables"
        ),
    ),
    "known_site_without_any_label": (
        (
            "error [label-missing] UCL/Case00.nii.gz: there is no label "
            "Case00_segmentation.nii.gz beside it; add it or remove the file"
        ),
        (
            "error [label-missing] UCL/Case01.nii.gz: there is no label "
            "Case01_segmentation.nii.gz beside it; add it or remove the file"
        ),
    ),
    "unknown_folder_without_any_label": (
        (
            "warning [folder-left-out] localisers: it contains 1 volume but no segmentation, "
            "so it is not a site; add CaseNN_segmentation files if they are cases"
        ),
    ),
    "volume_outside_any_site": (
        (
            "warning [folder-left-out] set: it contains 1 volume outside the site folders, "
            "such as Case99.nii.gz; move them to SITE/ if they are cases"
        ),
    ),
    "layout_that_the_source_does_not_have": (
        (
            "error [no-cases] set: it contains no case of layout maxstyle; expected "
            "SITE/patient_N/t2_img_clipped.nii.gz; name the right folder or another --layout"
        ),
    ),
    "abdominal_folder_of_prostates": (
        (
            "error [no-cases] set: it contains no case of layout abdominal; expected CT/ or "
            "MR/ with img0001.nii.gz or image_1.nii.gz; name the right folder or another "
            "--layout"
        ),
    ),
    "csv_patient_at_two_sites": (
        (
            "error [patient-twice] south0: patient ben is also in north, as north1; remove "
            "one: a patient in two domains leaks the target; if they are two people, give "
            "them different ids"
        ),
    ),
    "csv_patient_on_both_sides_of_the_split": (
        (
            "error [patient-twice] north1: patient anna has the splits train and validation, "
            "the first for north0; give all scans of a patient the same split"
        ),
    ),
    "csv_colour_among_grey": (
        (
            "warning [one-slice] drawn.png: foreground is on only one slice, but desam2024 "
            "scoring drops the last slice; report this case's scores with --protocol strict"
        ),
        (
            "error [channels-mixed] seen.png: it is in colour, but 4 other images are grey; "
            "export all images in the same way"
        ),
    ),
    "csv_picture_with_transparency": (
        (
            "error [unreadable] seen.png: its pixel type is not supported, such as grey with "
            "transparency; replace the file or remove the case"
        ),
        (
            "warning [one-slice] drawn.nii.gz: foreground is on only one slice, but desam2024"
            " scoring drops the last slice; report this case's scores with --protocol strict"
        ),
    ),
    "one_name_in_two_formats": (
        (
            "error [case-duplicate] UCL/Case01.nii.gz: case D-UCL_Case01 already has "
            "UCL/Case01.nii; remove or rename one of the two"
        ),
    ),
    "names_that_differ_in_capitals": (
        (
            "error [case-duplicate] UCL/case01.nii.gz: case D-UCL_Case01 already has "
            "UCL/Case01.nii.gz; remove or rename one of the two"
        ),
    ),
    "maxstyle_name_in_two_formats": (
        (
            "error [case-duplicate] F-HK/patient_1/label_clipped.nii.gz: case F-HK_patient_1 "
            "already has F-HK/patient_1/label_clipped.nii; remove or rename one of the two"
        ),
    ),
    "nnunet_name_in_two_formats": (
        (
            "error [case-duplicate] imagesTr/prostate_001_0000.nii.gz: case prostate_001 "
            "already has imagesTr/prostate_001_0000.nii; remove or rename one of the two"
        ),
    ),
    "abdominal_number_twice": (
        (
            "error [case-duplicate] CT/img/img2.nii.gz: case CT_0002 already has "
            "CT/img/img0002.nii.gz; remove or rename one of the two"
        ),
    ),
    "abdominal_label_of_black_and_white": (
        (
            "error [label-unknown] MR/label_2.nii.gz: it contains the unknown value 255; this"
            " layout has 0, 1, 2, 3, 4, 63, 126, 189, 252; set it to 0, or name it with"
            " --structures"
        ),
    ),
    "csv_image_shared": (
        (
            "error [patient-twice] south1: its image has the same voxels as south0; remove "
            "one: a patient in two cases leaks between the splits"
        ),
    ),
    "csv_with_nul_bytes": (
        "error [csv-encoding] cases.csv: it contains NUL bytes; save it as CSV UTF-8",
    ),
    "csv_site_with_slash": (
        (
            "error [case-name] south1.nii.gz: site 'so/uth' is not valid in file names on all"
            " systems; use letters a to z, digits, dots, dashes, underscores and spaces, "
            "starting with a letter or digit"
        ),
        (
            "warning [too-few-cases] south: it has 1 case, but a domain needs at least 2 (one"
            " for training, one for validation); add cases, or use it only as a target"
        ),
        (
            "warning [too-few-cases] so/uth: it has 1 case, but a domain needs at least 2 "
            "(one for training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "dicom_slice_missing": (
        (
            "error [unreadable] late: its slices are 3 to 6 mm apart, expected equal gaps; add"
            " what is missing between IM0001.dcm and IM0003.dcm, or remove the case"
        ),
    ),
    "dicom_two_series_in_a_folder": (
        (
            "error [unreadable] late: it contains 2 DICOM series, expected one: t2_tse_tra (4"
            " files, IM0000.dcm ...); adc (3 files, adc0.dcm ...); name a file of the right one"
            " instead of the folder"
        ),
    ),
    "dicom_time_points": (
        (
            "error [unreadable] late: 5 of its slices share positions, such as IM0000.dcm and"
            " second0.dcm, so it has several images per slice (time points, echoes or b-values);"
            " put one of them in a folder of its own"
        ),
    ),
    "dicom_contours": (
        (
            "error [unreadable] late: it is DICOM RTSTRUCT (contours), not images; convert it to a"
            " label map (3D Slicer, dcmqi)"
        ),
    ),
    "dicom_segmentation_object": (
        (
            "error [unreadable] late: it is DICOM SEG (a segmentation object), not images; convert"
            " it to a label map (3D Slicer, dcmqi)"
        ),
    ),
    "dicom_file_damaged": (
        (
            "error [unreadable] late: IM0001.dcm is not a DICOM file, or it is damaged; replace"
            " the file or remove the case"
        ),
    ),
    "dicom_file_truncated": (
        (
            "error [unreadable] late: IM0001.dcm is not a DICOM file, or it is damaged; replace"
            " the file or remove the case"
        ),
    ),
    "dicom_text_named_dcm": (
        (
            "error [unreadable] late: notes.dcm is not a DICOM file, or it is damaged; replace the"
            " file or remove the case"
        ),
    ),
    "dicom_beside_pictures": (
        (
            "error [unreadable] late: the folder contains both pictures and DICOM files; separate"
            " them"
        ),
    ),
    "dicom_coronal": (
        (
            "warning [not-axial] late: its longest voxel side is in the plane (3 mm), so it is not"
            " an axial scan; import an axial scan, or expect coarse slices"
        ),
        (
            "warning [label-in-border] late-label: 33.3 % of it is in the border that desam2024"
            " scoring clears; this case's Dice cannot reach 1 with that protocol"
        ),
    ),
    "dicom_label_of_other_positions": (
        (
            "error [geometry-affine] late-label: it is 3 mm away from its image; allowed are 0.001"
            " mm; resample the label to its image, or copy the image's header to it"
        ),
    ),
    "dicom_label_of_fewer_slices": (
        (
            "error [geometry-shape] late-label: its shape (z, y, x) is (3, 20, 24), but the"
            " image's is (4, 20, 24); resample the label to its image"
        ),
    ),
    "dicom_pictures_of_another_number": (
        (
            "error [unreadable] late-label: it has 3 pictures, but its image has 4 DICOM files;"
            " replace the file or remove the case"
        ),
    ),
    "dicom_pictures_of_another_size": (
        (
            "error [geometry-shape] late-label: its shape (z, y, x) is (4, 10, 24), but the"
            " image's is (4, 20, 24); resample the label to its image"
        ),
    ),
    "dicom_file_of_the_csv_missing": (
        (
            "error [file-missing] late/IM0009.dcm: the file does not exist; correct the path or"
            " remove the case"
        ),
    ),
    "four_dimensional_metaimage": (
        (
            "error [unreadable] UCL/Case01.mha: it is 4-D: 2 volumes of 24 x 20 x 4; choose one"
            " with --channel (0 to 1) if it is an image; a label may have only one"
        ),
    ),
    "four_dimensional_label": (
        (
            "error [unreadable] UCL/Case01_segmentation.nii.gz: it is 4-D: 2 volumes of 24 x 20 x"
            " 4; choose one with --channel (0 to 1) if it is an image; a label may have only one"
        ),
    ),
    "layers_of_a_segmentation": (
        (
            "error [label-layers] UCL/Case01_segmentation.nrrd: it has 2 layers that differ,"
            " expected one label map; export it as one label map (3D Slicer: a binary label map,"
            " not .seg.nrrd)"
        ),
    ),
    "complex_nrrd": (
        (
            "error [unreadable] UCL/Case01.nrrd: its voxels are of type complex64, expected one"
            " number per voxel; replace the file or remove the case"
        ),
    ),
    "nrrd_of_six_axes": (
        (
            "error [unreadable] UCL/Case01.nrrd: its dimension is 6, expected 2 or 3 (4 with"
            " --channel); replace the file or remove the case"
        ),
    ),
    "nrrd_of_blocks": (
        (
            "error [unreadable] UCL/Case01.nrrd: its voxels are of type block, expected one number"
            " per voxel; replace the file or remove the case"
        ),
    ),
    "metaimage_of_one_axis": (
        (
            "error [unreadable] UCL/Case01.mha: its dimension is 1, expected 2 or 3 (4 with"
            " --channel); replace the file or remove the case"
        ),
    ),
    "nrrd_whose_data_file_is_missing": (
        (
            "error [unreadable] UCL/Case01.nhdr: its voxels are in Case01.raw, which does not"
            " exist; replace the file or remove the case"
        ),
    ),
    "analyze_without_its_image": (
        (
            "error [unreadable] UCL/Case01.hdr: its voxels are in Case01.img, which does not"
            " exist; replace the file or remove the case"
        ),
    ),
    "affine_of_nan": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its affine is singular or not finite, so voxels"
            " have no position or size; replace the file or remove the case"
        ),
    ),
    "every_voxel_is_nan": (
        (
            "error [image-not-finite] UCL/Case01.nii.gz: 1920 of 1920 voxels are NaN or infinite;"
            " set them to 0, or export the image again"
        ),
    ),
    "label_value_of_sixteen_bits": (
        (
            "error [label-unknown] UCL/Case01_segmentation.nii.gz: it contains the unknown value"
            " 300; this layout has 0, 1, 2; set it to 0, or name it"
            " with --structures"
        ),
    ),
    "folder_named_as_a_volume": (
        (
            "error [unreadable] UCL/Case01.nii.gz: the folder contains neither pictures nor DICOM"
            " files; replace the file or remove the case"
        ),
    ),
    "link_to_nowhere": (
        (
            "error [file-missing] UCL/Case01.nii.gz: the file does not exist; correct the path or"
            " remove the case"
        ),
    ),
    "truncated_picture": (
        (
            "error [unreadable] late: it is truncated or damaged, or its suffix is wrong; replace"
            " the file or remove the case"
        ),
    ),
    "label_of_jpeg": (
        (
            "warning [geometry-nominal] late: its header states no orientation; the array is used"
            " as stored; add the scanner's affine if it appears upside down"
        ),
        (
            "error [label-unknown] late-label: it contains the unknown values 2, 198, 199, 200,"
            " 201; this layout has 0, 1; save it as PNG: JPEG does not keep values"
        ),
        (
            "warning [geometry-mixed] north: 1 of 5 images state no orientation, such as late;"
            " others do, such as north0; compare both on the contact sheet; if the anatomy is"
            " turned or flipped, add the scanner's affine"
        ),
    ),
    "promise12_without_a_raw_file": (
        (
            "warning [site-unknown] PROMISE12: it is not one of the six sites (A-ISBI, B-ISBI_1.5,"
            " C-I2CVB, D-UCL, E-BIDMC, F-HK); correct the name if it is; otherwise it becomes a"
            " separate domain"
        ),
        (
            "error [unreadable] TrainingData_Part2/Case01.mhd: its voxels are in Case01.raw, which"
            " does not exist; replace the file or remove the case"
        ),
    ),
    "promise12_case_in_two_parts": (
        (
            "error [case-duplicate] TrainingData_Part2/Case00.mhd: case PROMISE12_Case00 occurs 2"
            " times (also TrainingData_Part1/Case00.mhd); give each case its own id"
        ),
        (
            "warning [site-unknown] PROMISE12: it is not one of the six sites (A-ISBI, B-ISBI_1.5,"
            " C-I2CVB, D-UCL, E-BIDMC, F-HK); correct the name if it is; otherwise it becomes a"
            " separate domain"
        ),
    ),
    "chaos_without_a_ground_folder": (
        (
            "warning [folder-left-out] CT: its 2 CT cases of CHAOS have masks of the liver only;"
            " use BTCV as CT of this layout, or import them alone with `sweeper data table`"
        ),
        (
            "error [label-missing] MR/2/T2SPIR/DICOM_anon: there is no label with number 2 under"
            " MR; add it or remove the file"
        ),
        (
            "warning [too-few-cases] MR: it has 1 case, but a domain needs at least 2 (one for"
            " training, one for validation); add cases, or use it only as a target"
        ),
    ),
    "chaos_with_a_mask_missing": (
        (
            "warning [folder-left-out] CT: its 2 CT cases of CHAOS have masks of the liver only;"
            " use BTCV as CT of this layout, or import them alone with `sweeper data table`"
        ),
        (
            "error [unreadable] MR/2/T2SPIR/Ground: it has 3 pictures, but its image has 4 DICOM"
            " files; replace the file or remove the case"
        ),
    ),
    "amos_mr_called_ct": (
        (
            "warning [csv-missing] prostate_patientid.csv: it is missing, so all 4 cases are one"
            " site, AMOS; if they are from several sites, create it beside imagesTr with the"
            " columns center,patientid"
        ),
        (
            "warning [image-unlike-ct] imagesTr/amos_0507.nii.gz: its modality is CT, but its"
            " lowest value is 0, not that of air (-1000); subtract the offset, such as 1024, or"
            " correct the modality"
        ),
        (
            "warning [image-unlike-ct] imagesTr/amos_0508.nii.gz: its modality is CT, but its"
            " lowest value is 0, not that of air (-1000); subtract the offset, such as 1024, or"
            " correct the modality"
        ),
    ),
    "nnunet_first_channel_missing": (
        (
            "error [image-missing] labelsTr/gland_000.nrrd: there is no image"
            " imagesTr/gland_000_0000.nrrd; add it or remove the file"
        ),
        (
            "error [image-missing] labelsTr/gland_001.nrrd: there is no image"
            " imagesTr/gland_001_0000.nrrd; add it or remove the file"
        ),
        (
            "error [image-missing] labelsTr/gland_002.nrrd: there is no image"
            " imagesTr/gland_002_0000.nrrd; add it or remove the file"
        ),
    ),
    "nnunet_case_without_first_channel": (
        (
            "error [image-missing] labelsTr/gland_001.nrrd: there is no image"
            " imagesTr/gland_001_0000.nrrd; add it or remove the file"
        ),
        (
            "warning [channels-left-out] set: its images have 2 channels (T2, ADC), of which only"
            " the first is read; choose another with --channel, or several with commas"
        ),
        (
            "warning [csv-missing] prostate_patientid.csv: it is missing, so all 2 cases are one"
            " site, set; if they are from several sites, create it beside imagesTr with the"
            " columns center,patientid"
        ),
    ),
}
"""Name of the builder -> all lines, in order; several where one fault causes another."""
