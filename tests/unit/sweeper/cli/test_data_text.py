"""What `sweeper data` prints about progress, faults, privacy and a dataset."""

from __future__ import annotations

import pytest
from fake_dataset import write_small_dataset

from sweeper.cli.terminal.data_text import (
    ProgressBar,
    print_faults,
    print_headers,
    print_splits,
    print_summary,
)
from sweeper.data.faults import Fault, Severity
from sweeper.pipeline.data.showing import summarise


def fault(where, severity=Severity.WARNING):
    return Fault(
        severity=severity, code="odd", case=None, where=where, problem="it is odd", remedy="look"
    )


def test_progress_without_a_terminal_is_at_most_a_line_per_quarter(capsys):
    with ProgressBar() as progress:
        for done in range(101):
            progress("check", done, 100)
    assert capsys.readouterr().err.splitlines() == [
        f"check: {done}/100" for done in (0, 25, 50, 75, 100)
    ]


def test_equal_warnings_of_an_import_are_one_line_and_errors_are_not(capsys):
    warnings = [fault("a"), fault("b"), fault("c")]
    print_faults(warnings, groups_warnings=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert "a and 2 more (list all: sweeper data check)" in line
    print_faults(warnings)
    assert len(capsys.readouterr().err.splitlines()) == 3
    print_faults([fault("a", Severity.ERROR), fault("b", Severity.ERROR)], groups_warnings=True)
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(("is_salted", "lines"), [(False, 3), (True, 2)])
def test_equal_header_texts_are_one_line_and_the_remedy_is_named(capsys, is_salted, lines):
    print_headers(["a: Doe", "b: Doe", "c: Roe"], is_salted=is_salted)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == lines
    assert printed[0] == "privacy: a and 1 more: Doe may identify a person"
    assert ("--salt TEXT" in printed[-1]) is not is_salted


def test_nothing_is_printed_without_headers(capsys):
    print_headers([], is_salted=False)
    assert capsys.readouterr().err == ""


def test_splits_and_summary_of_a_dataset(tmp_path, capsys):
    store = write_small_dataset(tmp_path / "small.zarr")
    print_splits(store)
    assert capsys.readouterr().out.splitlines() == [
        "split by none",
        "  A-ISBI: 1 train; validation: case-2",
    ]
    print_summary(summarise(store))
    printed = capsys.readouterr().out
    assert "A-ISBI" in printed
    assert "256x256" in printed
    assert "3x0.5x0.5" in printed
