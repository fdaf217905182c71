"""An ensemble averages probabilities, not masks, and its members must fit each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_cases import OnlyPredicts

from desam_model.types import Prediction, Reads
from sweeper.config.trial import TrialConfig
from sweeper.errors import DataError
from sweeper.factory import Sizes
from sweeper.predict.facts import ModelFacts
from sweeper.predict.intensities import Intensities
from sweeper.predict.predictor import Model, Predictor

CONFIG = TrialConfig.model_validate(
    {
        "source": "A",
        "structure": "prostate",
        "method": {"name": "unet"},
        "evaluation": {"min_region_px": 0},
    }
)
FACTS = ModelFacts(
    train_id="0" * 12,
    name="model",
    config=CONFIG,
    identity={},
    sizes=Sizes(image_channels=1),
    encoder=None,
    preprocessing={"A": {"image_size_px": 4}, "B": {"image_size_px": 8}},
    intensities=Intensities(mean=(1.0,) * 256, limit=1.0),
    dataset="d",
    is_synthetic=True,
    n_cases=1,
)
PIXELS = np.zeros((11, 1, 4, 4), np.uint8)


class Constant(OnlyPredicts):
    """The same probability in every pixel; remembers how many slices it got at once."""

    reads = frozenset({Reads.IMAGE})

    def __init__(self, probability, iou=float("nan"), *, has_probability=True):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.probability, self.iou, self.has_probability = probability, iou, has_probability
        self.batches = []

    def predict(self, batch, settings):
        self.batches.append(len(batch))
        probability = torch.full((len(batch), 1, 4, 4), self.probability)
        return Prediction(
            mask=probability > 0.5,
            predicted_iou=torch.full((len(batch),), self.iou),
            probability=probability if self.has_probability else None,
        )


def model(*arguments, facts=FACTS, **options):
    return Model(facts=facts, method=Constant(*arguments, **options).eval(), encoding=None)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [((0.9, 0.2), True), ((0.6, 0.1), False), ((0.6, 0.6, 0.1), False), ((0.9, 0.9, 0.1), True)],
)
def test_the_mean_of_the_probabilities_decides(probabilities, expected):
    got = Predictor([model(p) for p in probabilities]).predict(PIXELS)
    assert got.mask.shape == (11, 4, 4)
    assert (got.mask == expected).all()


def test_a_member_without_probabilities_counts_with_its_mask():
    members = [model(0.9, has_probability=False), model(0.1)]
    assert Predictor(members).predict(PIXELS).mask.all()  # (1 + 0.1) / 2


def test_the_predicted_iou_is_the_mean_of_the_members_that_have_one():
    got = Predictor([model(0.9, 0.5), model(0.9, 0.7), model(0.9)]).predict(PIXELS)
    assert np.allclose(got.predicted_iou, 0.6)
    assert np.isnan(Predictor([model(0.9)]).predict(PIXELS).predicted_iou).all()


def test_only_a_block_of_slices_is_predicted_at_once_and_progress_is_told():
    told, one = [], model(0.9)
    Predictor([one]).predict(PIXELS, lambda *progress: told.append(progress))
    assert one.method.batches == [8, 3]
    assert told == [(8, 11), (11, 11)]


def test_members_for_different_tasks_are_refused():
    other = CONFIG.model_copy(update={"structure": "bladder"})
    with pytest.raises(DataError, match="model segments prostate, and model bladder"):
        Predictor([model(0.9), model(0.9, facts=replace(FACTS, config=other))])


def test_members_that_prepare_images_differently_are_refused():
    prepared = replace(FACTS, preprocessing={"A": {"image_size_px": 5}})
    predictor = Predictor([model(0.9), model(0.9, facts=prepared)])
    with pytest.raises(DataError, match="prepare images differently"):
        predictor.settings_for(None)


def test_a_model_of_all_domains_needs_to_be_told_whose_images_these_are():
    of_all = replace(FACTS, config=CONFIG.model_copy(update={"source": "all"}))
    assert FACTS.settings_for(None).image_size_px == 4
    assert of_all.settings_for("B").image_size_px == 8
    with pytest.raises(DataError, match="with --domain: A, B"):
        of_all.settings_for(None)


def test_facts_come_back_from_their_text():
    assert ModelFacts.from_json(FACTS.to_json()) == FACTS
