"""One case: its part, its facts and hashes, and what a second import reuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import fault_sources as sources
import numpy as np
import pytest

from sweeper.data.importer import CaseJob, hash_files, load_part, process_case
from sweeper.data.layouts.registry import read_source
from sweeper.data.layouts.source import values_of
from sweeper.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def job(tmp_path: Path) -> CaseJob:
    root = sources.saml(tmp_path / "src")
    source = read_source(root)
    parts = tmp_path / "parts"
    parts.mkdir()
    return CaseJob(
        case=source.cases[0],
        root=root,
        structures=values_of(source.structures, source.regions),
        settings=Preprocessing(image_size_px=64),
        parts=parts,
    )


def test_a_part_has_all_slices_and_the_facts_of_the_volume(job: CaseJob) -> None:
    result = process_case(job)
    assert result.is_good
    assert not result.is_resumed
    assert result.part is not None
    assert result.facts is not None
    image, label = load_part(result.part)
    assert (image.shape, image.dtype) == ((4, 1, 64, 64), np.uint8)
    assert (label.shape, label.dtype) == ((4, 64, 64), np.uint8)
    facts = result.facts
    assert facts.z == (0, 1, 2, 3)
    assert (facts.n_source_slices, facts.matrix) == (4, (20, 24))
    assert facts.source_spacing_mm == (3.0, 1.0, 1.0)
    assert facts.spacing_mm == (3.0, 20 / 64, 24 / 64)
    assert facts.foreground == {"prostate": (False, True, True, True)}  # the first has no label
    labelled = int((sources.label_array() > 0).sum())
    assert facts.volume_ml == {"prostate": pytest.approx(labelled * 3.0 / 1000)}


def test_a_second_import_reuses_the_part_and_gives_the_same_result(job: CaseJob) -> None:
    first = process_case(job)
    second = process_case(job)
    assert second.is_resumed
    assert replace(second, is_resumed=False) == first


def test_a_damaged_part_is_prepared_again(job: CaseJob) -> None:
    first = process_case(job)
    assert first.part is not None
    content = load_part(first.part)
    first.part.write_bytes(first.part.read_bytes()[:200])
    again = process_case(job)
    assert not again.is_resumed
    assert again.part == first.part
    assert all(np.array_equal(a, b) for a, b in zip(content, load_part(again.part), strict=True))


@pytest.mark.parametrize("change", ["settings", "case", "label"])
def test_another_setting_id_or_file_gets_another_part(job: CaseJob, change: str) -> None:
    first = process_case(job)
    if change == "settings":
        job = replace(job, settings=Preprocessing(image_size_px=32))
    elif change == "case":
        job = replace(job, case=replace(job.case, case="other"))
    else:
        sources.write(job.case.label, sources.label_array() * 2)
    other = process_case(job)
    assert not other.is_resumed
    assert other.part != first.part


def test_a_case_with_an_error_has_no_part_and_says_why(job: CaseJob) -> None:
    sources.write(job.case.label, sources.label_array() * 0)
    result = process_case(job)
    assert not result.is_good
    assert [fault.code for fault in result.faults] == ["label-empty"]
    assert (result.part, result.facts) == (None, None)
    assert job.parts is not None
    assert list(job.parts.iterdir()) == []


def test_a_check_writes_nothing(job: CaseJob) -> None:
    result = process_case(replace(job, parts=None))
    assert result.is_good
    assert result.part is None


def test_hashes_tell_equal_scans_in_other_files_and_unreadable_files(
    job: CaseJob, tmp_path: Path
) -> None:
    first = process_case(job)
    copy = tmp_path / "copy.nii"  # not compressed, and float instead of int16
    sources.write(copy, sources.image_array(0).astype(np.float32))
    moved = replace(job, case=replace(job.case, image=copy))
    other = process_case(moved)
    assert other.source_hash != first.source_hash
    assert other.voxel_hash == first.voxel_hash
    assert hash_files(replace(job.case, image=tmp_path / "missing.nii")) == ""
