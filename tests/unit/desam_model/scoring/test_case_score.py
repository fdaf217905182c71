"""Scores and predictions are records: complete, named and unchangeable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from desam_model.scoring.case_score import CasePrediction, CaseScore

FACTS = {
    "case": "a1",
    "domain": "A",
    "structure": "prostate",
    "protocol": "strict",
    "n_slices": 3,
}


def test_a_score_cannot_be_changed_after_it_was_made():
    score = CaseScore(**FACTS, values={"dice": 0.5})
    with pytest.raises(FrozenInstanceError):
        score.n_slices = 4


@pytest.mark.parametrize("name", [*FACTS, "values"])
def test_a_score_without_one_of_its_facts_is_refused(name):
    facts = FACTS | {"values": {"dice": 0.5}}
    del facts[name]
    with pytest.raises(TypeError, match=name):
        CaseScore(**facts)


def test_a_prediction_keeps_the_masks_it_was_given():
    mask = np.eye(4, dtype=bool)[None]
    prediction = CasePrediction(case="a1", domain="A", mask=mask)
    assert prediction.mask is mask
    with pytest.raises(FrozenInstanceError):
        prediction.mask = ~mask
