"""The paper's rows: cited, dimmed, never ranked, and only beside tables that they belong to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import results, run

from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.formats.registry import RENDERERS
from sweeper.report.query import make_query
from sweeper.report.table import Origin, ReportTable

SIX = ("A-ISBI", "B-ISBI_1.5", "C-I2CVB", "D-UCL", "E-BIDMC", "F-HK")


def six(method: str, dice: float, *, epochs: int = 50, encoder: str = "vit_h"):
    return [
        run(
            method,
            site,
            {"B": (dice,) * 3},
            params={"training.epochs": str(epochs)},
            tags={"encoder": encoder},
        )
        for site in SIX
    ]


def table(*runs, **spec) -> ReportTable:
    return build_table(make_query(results(*runs), ReportSpec(**{"columns": "source", **spec})))


def paper(made: ReportTable) -> dict[str, list[float | None]]:
    rows = [row for row in made.rows if row.origin is Origin.PUBLISHED]
    return {row.label: [cell.value for cell in row.cells] for row in rows}


def test_published_rows_are_cited_and_never_ranked_starred_or_compared() -> None:
    made = table(*six("unet", 0.1), *six("desam", 0.2), baseline="unet", protocol="strict")
    rows = paper(made)
    assert len(rows) == 11
    assert rows["DeSAM grid points [published]"] == [
        *(82.80, 80.61, 64.77, 83.41, 80.36, 82.17),
        79.02,
    ]
    assert rows["MaxStyle [published]"][-1] == 68.27
    for row in made.rows:
        if row.origin is Origin.PUBLISHED:
            assert all(cell.mark is None and cell.stars == "" for cell in row.cells)
            assert row.delta is None
            assert "protocol differs: protocol desam2024 against strict" in row.note
    assert "arXiv 2306.00499" in RENDERERS["markdown"](made)
    assert any("+10.00" in line for line in RENDERERS["markdown"](made).splitlines())
    hidden = table(*six("unet", 0.1), published=False)
    assert not paper(hidden)


def test_the_same_protocol_encoder_and_epochs_are_no_difference() -> None:
    made = table(*six("desam", 0.2))
    assert all("differs" not in row.note for row in made.rows)


@pytest.mark.parametrize(
    "runs",
    [
        six("desam", 0.2, epochs=2),
        six("desam", 0.2)[:1],
        [replace(r, tags={**r.tags, "synthetic": "true"}) for r in six("desam", 0.2)],
    ],
    ids=["two epochs", "one source", "synthetic"],
)
def test_a_smoke_table_gets_no_published_rows_unless_it_asks(runs) -> None:
    assert not paper(table(*runs))
    asked = table(*runs, published=True)
    assert paper(asked)
    notes = " ".join(row.note for row in asked.rows)
    assert "protocol differs" in notes


def test_the_papers_average_over_six_sites_stands_beside_no_other_average() -> None:
    made = table(*six("desam", 0.2)[:2], published=True)
    assert paper(made)["Baseline [published]"] == [63.73, 61.21, None]
    assert "other source sites" in made.rows[-1].note


def test_another_encoder_is_named_as_a_difference() -> None:
    made = table(*six("desam", 0.2, encoder="vit_b"))
    assert "encoder vit_h against vit_b" in made.rows[-1].note


@pytest.mark.parametrize(
    ("rows", "key", "expected"),
    [
        ("ablation", "method.ablation", [73.85, 75.12, 75.81, 79.02]),
        ("grid_size", "grid_size", [79.02, 79.03]),
    ],
)
def test_the_papers_other_tables_have_an_average_only(rows, key, expected) -> None:
    runs = [replace(r, params={**r.params, key: "9"}) for r in six("desam", 0.2)]
    found = paper(table(*runs, rows=rows))
    assert [values[-1] for values in found.values()] == expected
    assert all(value is None for values in found.values() for value in values[:-1])
