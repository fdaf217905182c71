"""More epochs on a finished training give the bits of a training of that length."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from desam_model.training.extend import extend
from desam_model.training.fit import Schedule, fit
from desam_model.training.state import load_weights

CONSTANT = Schedule(epochs=4, batch_size=4, lr=1e-3, lr_decay="constant")


@pytest.fixture(scope="module")
def train(make_slices):
    return make_slices(2, 2, seed=1)


@pytest.fixture(scope="module")
def validation(make_slices):
    return make_slices(1, 2, seed=2)


@pytest.mark.parametrize(
    "schedule",
    [
        CONSTANT,
        replace(CONSTANT, optimizer="sgd", lr=1e-4),
        replace(CONSTANT, optimizer="adamw", weight_decay=0.1, selection="last"),
        replace(CONSTANT, precision="bf16", selection="training"),
        replace(CONSTANT, lr_decay="poly", constant_epochs=1),  # two epochs have the full rate
    ],
)
def test_the_extended_training_is_bit_identical_to_one_from_the_start(
    small_desam, train, validation, tmp_path, schedule
):
    whole = fit(
        small_desam(), train, validation, schedule, seed=3, checkpoint_dir=tmp_path / "whole"
    )
    shorter = replace(schedule, epochs=2)
    fit(small_desam(), train, validation, shorter, seed=3, checkpoint_dir=tmp_path / "short")
    extend(tmp_path / "short", 2, tmp_path / "long", schedule, seed=3)
    extended = fit(
        small_desam(), train, validation, schedule, seed=3, checkpoint_dir=tmp_path / "long"
    )
    weights, expected = (load_weights(tmp_path / n / "best.pt") for n in ("long", "whole"))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert [replace(e, seconds=0.0) for e in extended.epochs] == [
        replace(e, seconds=0.0) for e in whole.epochs
    ]
    assert extended.selected_epoch == whole.selected_epoch


def test_a_decaying_rate_another_seed_and_a_missing_state_are_refused(
    small_desam, train, validation, tmp_path
):
    shorter = replace(CONSTANT, epochs=2)
    fit(small_desam(), train, validation, shorter, seed=3, checkpoint_dir=tmp_path / "short")
    for schedule, seed, epochs, message in (
        (replace(CONSTANT, lr_decay="poly"), 3, 2, "lr_decay is poly: the first 2 of 4 epochs"),
        (replace(CONSTANT, lr_decay="linear"), 3, 2, "lr_decay is linear"),
        (CONSTANT, 4, 2, "belongs to another training"),
        (replace(CONSTANT, lr=2e-3), 3, 2, "belongs to another training"),
        (CONSTANT, 3, 3, "belongs to another training"),
        (CONSTANT, 3, 4, "not fewer than 4"),
    ):
        with pytest.raises(ValueError, match=message):
            extend(tmp_path / "short", epochs, tmp_path / "long", schedule, seed=seed)
    with pytest.raises(ValueError, match="has no state after 2 epochs"):
        extend(tmp_path / "empty", 2, tmp_path / "long", CONSTANT, seed=3)
    assert not (tmp_path / "long").exists()
