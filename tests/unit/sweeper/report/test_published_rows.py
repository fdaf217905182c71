"""Published rows appear only where the paper has the same table, with their differences."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.published_rows import published_rows
from sweeper.report.query import make_query
from sweeper.report.table import Origin

SITES = ("A-ISBI", "B-ISBI_1.5", "C-I2CVB", "D-UCL", "E-BIDMC", "F-HK")


def query(*, epochs: str = "50", encoder: str = "vit_h", synthetic: bool = False, **spec):
    targets = dict.fromkeys(SITES, (0.5,))
    runs = [
        run("desam", site, targets, params={"training.epochs": epochs}, tags={"encoder": encoder})
        for site in SITES
    ]
    made = results(*runs)
    (sweep,) = made.sweeps
    plan = {**sweep.plan, "dataset": {"domains": list(SITES), "synthetic": synthetic}}
    tracked = replace(made, sweeps=(replace(sweep, plan=plan),))
    return make_query(tracked, ReportSpec(**{"columns": "source", **spec}))


def test_the_same_table_gets_the_papers_rows_with_values_and_citation() -> None:
    rows = {row.label: row for row in published_rows(query(), SITES)}
    baseline = rows["Baseline [published]"]
    assert [cell.value for cell in baseline.cells] == [
        63.73, 61.21, 27.41, 34.36, 44.10, 61.70, 48.75,
    ]  # fmt: skip
    assert baseline.origin is Origin.PUBLISHED
    assert "MICCAI 2024" in baseline.note
    assert "protocol differs" not in baseline.note


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": "target"},
        {"metric": "hd95_mm"},
        {"published": False},
        {"synthetic": True},
        {"epochs": "49"},
        {"rows": "seed"},
    ],
    ids=str,
)
def test_another_table_gets_no_published_rows(changes: dict[str, object]) -> None:
    assert published_rows(query(**changes), SITES) == []


def test_a_single_column_keeps_its_value_but_not_the_papers_average() -> None:
    assert published_rows(query(), SITES[:1]) == []  # not by default
    rows = published_rows(query(published=True), SITES[:1])
    desam = next(row for row in rows if row.label.startswith("DeSAM grid points"))
    assert [cell.value for cell in desam.cells] == [82.80, None]
    assert "other source sites" in desam.note


def test_every_difference_of_the_protocol_is_in_the_note() -> None:
    asked = query(
        published=True,
        epochs="20",
        encoder="vit_b",
        synthetic=True,
        protocol="strict",
        aggregate="sites",
    )
    note = published_rows(asked, SITES)[0].note
    for difference in (
        "protocol desam2024 against strict",
        "aggregate cases against sites",
        "epochs 50 against 20",
        "encoder vit_h against vit_b",
        "other data (this table's is synthetic)",
    ):
        assert difference in note
