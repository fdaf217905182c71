"""Every fault of a source, and the exact lines that a person reads for it."""

from __future__ import annotations

LINES = {
    "image_without_label": (
        (
            "error [label-missing] UCL/Case01.nii.gz: there is no label "
            "Case01_segmentation.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] D-UCL: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "label_without_image": (
        (
            "error [image-missing] UCL/Case01_segmentation.nii.gz: there is no image "
            "Case01.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] D-UCL: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "truncated_image": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged; get the file "
            "again or remove the case"
        ),
    ),
    "flipped_byte": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged; get the file "
            "again or remove the case"
        ),
    ),
    "empty_file": (
        (
            "error [unreadable] UCL/Case01.nii.gz: the file has 0 bytes; get the file again "
            "or remove the case"
        ),
    ),
    "text_named_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is not a NIfTI file; get the file "
            "again or remove the case"
        ),
    ),
    "web_page_named_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is not a NIfTI file; get the file "
            "again or remove the case"
        ),
    ),
    "damaged_nrrd": (
        (
            "error [unreadable] south1.nrrd: it is truncated, damaged or not what its "
            "suffix says; get the file again or remove the case"
        ),
    ),
    "four_dimensional": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its shape is (24, 20, 4, 2), expected 3 "
            "axes (or 2); get the file again or remove the case"
        ),
    ),
    "colour_nifti": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its voxels are of type [('R', 'u1'), "
            "('G', 'u1'), ('B', 'u1')], expected one number a voxel; get the file again or "
            "remove the case"
        ),
    ),
    "complex_image": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its voxels are of type complex64, "
            "expected one number a voxel; get the file again or remove the case"
        ),
    ),
    "singular_affine": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its affine is singular or not finite, so "
            "voxels have no place or size; get the file again or remove the case"
        ),
    ),
    "nan_in_image": (
        (
            "error [image-not-finite] UCL/Case01.nii.gz: 3 of 1920 voxels are NaN or "
            "infinite; set them to 0 or export the image again"
        ),
    ),
    "infinity_in_image": (
        (
            "error [image-not-finite] UCL/Case01.nii.gz: 1 of 1920 voxels are NaN or "
            "infinite; set them to 0 or export the image again"
        ),
    ),
    "constant_image": (
        (
            "error [image-constant] UCL/Case01.nii.gz: every voxel is 7; export the image "
            "again; nothing can be seen in it"
        ),
    ),
    "exchanged_files": (
        (
            "warning [image-like-label] UCL/Case01.nii.gz: it holds only 2 different "
            "values; check that image and label are not exchanged"
        ),
    ),
    "metre_voxels": (
        (
            "warning [spacing-odd] UCL/Case01.nii.gz: its voxels are 0.003 x 0.001 x 0.001 "
            "mm (z, y, x), expected 0.05 to 20 mm; mend the header, or take no distance in "
            "millimetres from this case"
        ),
    ),
    "nominal_header": (
        (
            "warning [geometry-nominal] UCL/Case01.nii.gz: its header holds no orientation "
            "(positive diagonal, origin 0); the array is taken as it lies; give it its "
            "scanner affine if it shows upside down"
        ),
    ),
    "sagittal_scan": (
        (
            "warning [not-axial] UCL/Case01.nii.gz: its thickest voxel side is in the plane "
            "(3 mm), so it was not scanned axially; import an axial scan, or expect blocky "
            "slices"
        ),
        (
            "warning [label-in-border] UCL/Case01_segmentation.nii.gz: 33.3 % of it lies in "
            "the border that desam2024 scoring clears; read that protocol's Dice of this "
            "case as bounded below 1"
        ),
    ),
    "other_shape": (
        (
            "error [geometry-shape] UCL/Case01_segmentation.nii.gz: its shape (z, y, x) is "
            "(4, 20, 22), the image's (4, 20, 24); resample the label to its image"
        ),
    ),
    "label_5_mm_off": (
        (
            "error [geometry-affine] UCL/Case01_segmentation.nii.gz: it lies 5 mm from its "
            "image, allowed 0.001 mm; resample the label to its image, or copy the image's "
            "header to it"
        ),
    ),
    "label_with_other_voxel_size": (
        (
            "error [geometry-affine] UCL/Case01_segmentation.nii.gz: it lies 0.23 mm from "
            "its image, allowed 0.001 mm; resample the label to its image, or copy the "
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
            "error [label-not-integer] UCL/Case01_segmentation.nii.gz: it holds 0.5, "
            "expected whole numbers; resample labels with nearest neighbour and store them "
            "as integers"
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
            "error [label-unknown] UCL/Case01_segmentation.nii.gz: it holds the unknown "
            "value 4; this layout knows 0, 1, 2; set it to 0 (layouts csv, desam, "
            "abdominal: or name it with --structures)"
        ),
    ),
    "negative_label": (
        (
            "error [label-unknown] UCL/Case01_segmentation.nii.gz: it holds the unknown "
            "value -1; this layout knows 0, 1, 2; set it to 0 (layouts csv, desam, "
            "abdominal: or name it with --structures)"
        ),
    ),
    "label_on_one_slice": (
        (
            "warning [one-slice] UCL/Case01_segmentation.nii.gz: prostate is on one slice "
            "only, and desam2024 scoring drops a case's last; read this case's scores in a "
            "report with --protocol strict"
        ),
    ),
    "label_at_the_border": (
        (
            "warning [label-in-border] UCL/Case01_segmentation.nii.gz: 11.1 % of it lies in "
            "the border that desam2024 scoring clears; read that protocol's Dice of this "
            "case as bounded below 1"
        ),
    ),
    "label_that_vanishes": (
        (
            "error [label-vanishes] UCL/Case01_segmentation.nii.gz: nothing is left of it "
            "at 256 px; draw it larger, or remove the case"
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
            "warning [too-few-cases] D-UCL: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "unknown_site": (
        (
            "warning [site-unknown] Utrecht: it is none of the six sites (A-ISBI, "
            "B-ISBI_1.5, C-I2CVB, D-UCL, E-BIDMC, F-HK); mend the name if it is one of "
            "them; else it is a domain of its own"
        ),
    ),
    "no_case": (
        (
            "error [csv-empty] prostate_patientid.csv: it has a header and no row; add one "
            "row a case"
        ),
    ),
    "patient_folder_without_files": (
        (
            "error [case-empty] F-HK/patient_7: it holds neither t2_img_clipped nor "
            "label_clipped; add both files or remove the folder"
        ),
    ),
    "maxstyle_without_label": (
        (
            "error [label-missing] F-HK/patient_1/t2_img_clipped.nii.gz: there is no label "
            "label_clipped.nii.gz beside it; add it or remove the file"
        ),
        (
            "warning [too-few-cases] F-HK: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "no_site_csv": (
        (
            "error [csv-missing] prostate_patientid.csv: it is not there, so no case has a "
            "site; write it beside imagesTr with the columns center,patientid: one row a "
            "case, in the order whose first 90 % train"
        ),
    ),
    "site_csv_without_center": (
        (
            "error [csv-columns] prostate_patientid.csv: column center missing; it has "
            "hospital, patientid; name the columns center,patientid"
        ),
    ),
    "site_csv_names_a_stranger": (
        (
            "warning [csv-no-case] prostate_patientid.csv line 6: no case is named 77 or "
            "ends in that number; mend or remove the line"
        ),
    ),
    "site_csv_names_a_case_twice": (
        (
            "error [csv-duplicate] prostate_patientid.csv line 6: case prostate_001 stands "
            "in an earlier line too; remove one of the lines"
        ),
    ),
    "site_csv_is_ambiguous": (
        (
            "error [csv-ambiguous] prostate_patientid.csv line 4: patientid 2 fits several "
            "cases: other_002, prostate_002; write the case's whole name as patientid"
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
            "warning [too-few-cases] D-UCL: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "case_without_site": (
        (
            "error [csv-no-site] imagesTr/prostate_001_0000.nii.gz: prostate_patientid.csv "
            "has no row for case prostate_001; add its row or remove its files"
        ),
        (
            "warning [too-few-cases] A-ISBI: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "nnunet_image_without_label": (
        (
            "error [label-missing] imagesTr/prostate_003_0000.nii.gz: there is no label "
            "labelsTr/prostate_003.nii.gz; add it or remove the file"
        ),
        (
            "warning [too-few-cases] A-ISBI: 1 case, a domain needs at least 2 (one trains, "
            "one validates); add cases; as it is, it can only be a target"
        ),
    ),
    "organ_missing": (
        (
            "warning [structure-missing] MR/label_2.nii.gz: it holds no right_kidney; the "
            "case takes no part in that structure's trainings"
        ),
        (
            "warning [structure-missing] MR/label_2.nii.gz: it holds no left_kidney; the "
            "case takes no part in that structure's trainings"
        ),
        (
            "warning [structure-missing] MR/label_2.nii.gz: it holds no spleen; the case "
            "takes no part in that structure's trainings"
        ),
    ),
    "abdominal_without_label": (
        (
            "error [label-missing] CT/img/img0002.nii.gz: there is no label with number 2 "
            "under CT; add it or remove the file"
        ),
        (
            "warning [too-few-cases] CT: 1 case, a domain needs at least 2 (one trains, one "
            "validates); add cases; as it is, it can only be a target"
        ),
    ),
    "csv_lacks_columns": (
        (
            "error [csv-columns] cases.csv: columns image, label missing; it has case, "
            "site, picture; name the columns case,site,image,label"
        ),
    ),
    "csv_column_twice": (
        "error [csv-columns] cases.csv: column case stands twice; keep one of them",
    ),
    "csv_empty": (
        ("error [csv-empty] cases.csv: it is empty; give it the columns case,site,image,label"),
    ),
    "csv_header_only": (
        "error [csv-empty] cases.csv: it has a header and no row; add one row a case",
    ),
    "csv_in_another_encoding": (
        "error [csv-encoding] cases.csv: it is not UTF-8 text; save it as CSV UTF-8",
    ),
    "csv_cell_empty": (
        ("error [csv-row] cases.csv line 6: no value for image; fill it in or remove the line"),
    ),
    "csv_row_too_long": (
        (
            "error [csv-row] cases.csv line 6: 5 cells, the header has 4; quote cells that "
            "hold a comma"
        ),
    ),
    "csv_unknown_split": (
        (
            "error [csv-split] cases.csv line 2: split is 'test', expected train or "
            "validation; mend it, or leave the cell empty to let the split rule decide"
        ),
    ),
    "csv_split_without_validation": (
        (
            "error [split-one-sided] north: none of its 2 cases is in split validation; "
            "mend the split column"
        ),
    ),
    "csv_file_missing": (
        (
            "error [file-missing] south1.nii.gz: the file does not exist; mend the path or "
            "remove the case"
        ),
    ),
    "csv_duplicate_case": (
        (
            "error [case-duplicate] south1.nii.gz: case south0 stands 2 times (also "
            "south0.nii.gz); give each case its own id"
        ),
    ),
    "csv_image_is_label": (
        (
            "error [image-is-label] cases.csv case south1: image and label are the same "
            "file; name the label's own file"
        ),
        (
            "error [label-unknown] south1.nii.gz: it holds the unknown values 20, 21, 22, "
            "23, 24 ...; this layout knows 0, 1; set it to 0 (layouts csv, desam, "
            "abdominal: or name it with --structures)"
        ),
    ),
    "csv_label_shared": (
        (
            "error [label-shared] cases.csv case south0: south0-label.nii.gz is the label "
            "of 2 cases; give each case its own label"
        ),
        (
            "error [label-shared] cases.csv case south1: south0-label.nii.gz is the label "
            "of 2 cases; give each case its own label"
        ),
    ),
    "csv_name_with_slash": (
        (
            "error [case-name] south1.nii.gz: case 'a/b' cannot become part of a file name "
            "everywhere; use letters a to z, digits, dots, dashes, underscores and spaces, "
            "the first a letter or digit"
        ),
    ),
    "csv_unknown_suffix": (
        (
            "error [unreadable] south1.dcm: its suffix is '.dcm', expected one of .nii, "
            ".nii.gz, .nrrd, .nhdr, .mha, .mhd, .png, .tif, .tiff, .bmp, .jpg, .jpeg; get "
            "the file again or remove the case"
        ),
    ),
    "csv_colour_label": (
        ("error [label-colour] drawn.png: it is a colour picture; export it as a grey label map"),
    ),
    "csv_folder_without_pictures": (
        (
            "error [label-shared] cases.csv case south0: south0-label.nii.gz is the label "
            "of 2 cases; give each case its own label"
        ),
        (
            "error [label-shared] cases.csv case late: south0-label.nii.gz is the label of "
            "2 cases; give each case its own label"
        ),
        (
            "error [unreadable] stack: the folder holds no pictures; get the file again or "
            "remove the case"
        ),
    ),
    "csv_pictures_of_two_sizes": (
        (
            "error [unreadable] stack: its pictures have different sizes or channels; get "
            "the file again or remove the case"
        ),
        (
            "warning [one-slice] late-label.nii.gz: foreground is on one slice only, and "
            "desam2024 scoring drops a case's last; read this case's scores in a report "
            "with --protocol strict"
        ),
    ),
    "affine_that_loses_an_axis": (
        (
            "error [unreadable] UCL/Case01.nii.gz: its affine is singular or not finite, so"
            " voxels have no place or size; get the file again or remove the case"
        ),
    ),
    "header_of_an_impossible_size": (
        (
            "error [unreadable] UCL/Case01.nii.gz: it is truncated or damaged: its header "
            "promises 70362301923326 bytes of voxels, the file holds 3840; get the file "
            "again or remove the case"
        ),
    ),
    "prostate_set_with_cases_missing": (
        (
            "warning [set-incomplete] set: the full prostate set has 116 cases, this one "
            "12: A-ISBI 2 of 30, B-ISBI_1.5 2 of 30, C-I2CVB 2 of 19, D-UCL 2 of 13, "
            "E-BIDMC 2 of 12, F-HK 2 of 12; add or remove cases for a table that compares "
            "with published ones"
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
            "warning [folder-left-out] localisers: it holds 1 volume and no segmentation, "
            "so it is no site; add CaseNN_segmentation files if they are cases"
        ),
    ),
    "volume_outside_any_site": (
        (
            "warning [folder-left-out] set: 1 volume in no site folder, such as "
            "Case99.nii.gz; put them into SITE/ if they are cases"
        ),
    ),
    "layout_that_the_source_does_not_have": (
        (
            "error [no-cases] set: layout maxstyle finds no case in it; it is told by "
            "SITE/patient_N/t2_img_clipped.nii.gz; name the right folder or another "
            "--layout"
        ),
    ),
    "abdominal_folder_of_prostates": (
        (
            "error [no-cases] set: layout abdominal finds no case in it; it is told by CT/ "
            "or MR/ with img0001.nii.gz or image_1.nii.gz; name the right folder or another"
            " --layout"
        ),
    ),
    "csv_patient_at_two_sites": (
        (
            "error [patient-twice] south0: patient ben is in north too, as north1; remove "
            "one: a patient in two domains leaks the target; if they are two people, give "
            "each an id of their own"
        ),
    ),
    "csv_patient_on_both_sides_of_the_split": (
        (
            "error [patient-twice] north1: patient anna has the splits train and "
            "validation, the first as north0; give all scans of a patient the same split"
        ),
    ),
    "csv_colour_among_grey": (
        (
            "warning [one-slice] drawn.png: foreground is on one slice only, and desam2024 "
            "scoring drops a case's last; read this case's scores in a report with "
            "--protocol strict"
        ),
        (
            "error [channels-mixed] seen.png: it is in colour, and 4 other images are grey;"
            " export all images in one way"
        ),
    ),
    "csv_picture_with_transparency": (
        (
            "error [unreadable] seen.png: its pixels are of a kind that cannot be read, "
            "such as grey with transparency; get the file again or remove the case"
        ),
        (
            "warning [one-slice] drawn.nii.gz: foreground is on one slice only, and "
            "desam2024 scoring drops a case's last; read this case's scores in a report "
            "with --protocol strict"
        ),
    ),
    "one_name_in_two_formats": (
        (
            "error [case-duplicate] UCL/Case01.nii.gz: case D-UCL_Case01 has "
            "UCL/Case01.nii already; remove one of the two, or give it a name of its own"
        ),
    ),
    "names_that_differ_in_capitals": (
        (
            "error [case-duplicate] UCL/case01.nii.gz: case D-UCL_Case01 has "
            "UCL/Case01.nii.gz already; remove one of the two, or give it a name of its "
            "own"
        ),
    ),
    "maxstyle_name_in_two_formats": (
        (
            "error [case-duplicate] F-HK/patient_1/label_clipped.nii.gz: case "
            "F-HK_patient_1 has F-HK/patient_1/label_clipped.nii already; remove one of "
            "the two, or give it a name of its own"
        ),
    ),
    "nnunet_name_in_two_formats": (
        (
            "error [case-duplicate] imagesTr/prostate_001_0000.nii.gz: case prostate_001 "
            "has imagesTr/prostate_001_0000.nii already; remove one of the two, or give "
            "it a name of its own"
        ),
    ),
    "abdominal_number_twice": (
        (
            "error [case-duplicate] CT/img/img2.nii.gz: case CT_0002 has "
            "CT/img/img0002.nii.gz already; remove one of the two, or give it a name of "
            "its own"
        ),
    ),
    "abdominal_label_of_black_and_white": (
        (
            "error [label-unknown] MR/label_2.nii.gz: it holds the unknown value 255; "
            "this layout knows 0, 1, 2, 3, 4, 63, 126, 189, 252; set it to 0 (layouts "
            "csv, desam, abdominal: or name it with --structures)"
        ),
    ),
    "csv_image_shared": (
        (
            "error [patient-twice] south1: its image has the same voxels as south0; "
            "remove one: a patient in two cases leaks between the splits"
        ),
    ),
    "csv_with_nul_bytes": (
        ("error [csv-encoding] cases.csv: it holds NUL bytes; save it as CSV UTF-8"),
    ),
    "csv_site_with_slash": (
        (
            "error [case-name] south1.nii.gz: site 'so/uth' cannot become part of a file "
            "name everywhere; use letters a to z, digits, dots, dashes, underscores and "
            "spaces, the first a letter or digit"
        ),
        (
            "warning [too-few-cases] south: 1 case, a domain needs at least 2 (one "
            "trains, one validates); add cases; as it is, it can only be a target"
        ),
        (
            "warning [too-few-cases] so/uth: 1 case, a domain needs at least 2 (one "
            "trains, one validates); add cases; as it is, it can only be a target"
        ),
    ),
}
"""Name of the builder -> all lines, in order; several where one fault causes another."""
