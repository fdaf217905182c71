"""A table says what its encoders were trained on; random weights make it a draft."""

from __future__ import annotations

import pytest
from hand_made import results, run

from desam_model.encoder.registry import encoders
from sweeper.config.report import ReportSpec
from sweeper.report.build import build_table
from sweeper.report.caption import caption
from sweeper.report.query import make_query

VALUES = {
    "A": {"B": (0.6,), "C": (0.5,)},
    "B": {"A": (0.6,), "C": (0.5,)},
    "C": {"A": (0.6,), "B": (0.5,)},
}


def trained(encoder: str, fingerprint: str = "f" * 16, weights: str = "", settings=None):
    """DeSAM on each site, on embeddings of one encoder."""
    tags = {
        "encoder": encoder,
        "encoder_fingerprint": fingerprint,
        "encoder_weights": weights,
    }
    params = {"encoder.name": encoder, **(settings or {})}
    return [
        run("desam", source, values, tags=tags, params=params) for source, values in VALUES.items()
    ]


def made(*runs, rows="method", columns="source"):
    spec = ReportSpec(columns=columns, rows=rows)
    query = make_query(results(*runs), spec)
    table = build_table(query)
    return table, " ".join(caption(query, table.rows))


def test_random_weights_are_called_so_and_make_a_draft():
    table, text = made(*trained("vit_tiny"), rows="encoder")
    assert [row.label for row in table.rows] == ["vit_tiny (random weights)"]
    assert "encoder vit_tiny (random weights);" in text
    assert "random weights in encoder vit_tiny" in table.draft_reasons


def test_medical_pretraining_says_that_targets_may_have_been_seen():
    table, text = made(*trained("lite_medsam"))
    assert "encoder lite_medsam (pretrained on labelled medical images" in text
    assert (
        "targets may have been seen in pretraining: the first release of its teacher MedSAM lists"
        " PROMISE12" in text
    )
    assert not any("random" in reason for reason in table.draft_reasons)


def test_natural_images_say_nothing_of_targets():
    _, text = made(*trained("vit_h"))
    assert "encoder vit_h (pretrained on SA-1B" in text
    assert "may have been seen" not in text


def test_a_file_of_the_users_has_unknown_pretraining():
    _, text = made(*trained("vit_b", weights="medsam_vit_b.pth"))
    assert "encoder vit_b (weights from medsam_vit_b.pth: pretraining unknown);" in text
    _, text = made(*trained("vit_b", weights="sam_vit_b_01ec64.pth"))
    assert "encoder vit_b (pretrained on SA-1B" in text


def test_an_encoder_that_is_not_installed_is_named_without_a_claim():
    _, text = made(*trained("gone"))
    assert "encoder gone (pretraining unknown: it is not installed here)" in text


def test_encoders_in_rows_are_no_mixture_but_two_in_one_row_are():
    both = (*trained("vit_h", "a" * 16), *trained("lite_medsam", "b" * 16))
    table, text = made(*both, rows="encoder")
    assert [row.label for row in table.rows] == ["vit_h", "lite_medsam"]
    assert not any("versions of the encoder" in reason for reason in table.draft_reasons)
    assert "; encoders lite_medsam (" in text
    mixed, _ = made(*both)
    assert any("2 versions of the encoder" in reason for reason in mixed.draft_reasons)


def test_encoders_in_columns_share_a_row_and_are_no_mixture():
    settings = {"encoder.pool": "4", "encoder.precision": "int8"}
    pooled = trained("lite_medsam", "c" * 16, settings=settings)
    table, text = made(*trained("vit_h", "a" * 16), *pooled, columns="encoder")
    (row,) = table.rows
    assert table.columns == ("vit_h", "lite_medsam, pool 4, int8", "Average")
    assert row.cells[0].value == row.cells[1].value == pytest.approx(row.cells[2].value)
    assert "Each column is an encoder (all sources and their targets)." in text
    assert not any("versions of the encoder" in reason for reason in table.draft_reasons)


@pytest.mark.parametrize("entry", encoders().values(), ids=lambda entry: entry.name)
def test_every_encoder_says_where_its_weights_come_from(entry):
    pretraining = entry.pretraining
    assert pretraining.data
    assert pretraining.citation
    assert pretraining.licence
    assert pretraining.is_random == (entry.weights is None)
    assert bool(pretraining.seen) == pretraining.is_medical
