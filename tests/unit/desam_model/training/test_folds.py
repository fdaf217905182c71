from __future__ import annotations

import pytest

from desam_model.training.folds import folds

CASES = [f"case{i:02d}" for i in range(13)]


@pytest.mark.parametrize("k", [2, 5, 13])
def test_every_case_is_tested_exactly_once_by_a_model_that_did_not_train_on_it(k):
    pairs = folds(CASES, k, seed=0)
    assert sorted(case for _, test in pairs for case in test) == CASES
    for train, test in pairs:
        assert not set(train) & set(test)
        assert sorted((*train, *test)) == CASES


def test_fold_sizes_differ_by_at_most_one():
    sizes = [len(test) for _, test in folds(CASES, 5, seed=0)]
    assert max(sizes) - min(sizes) <= 1


def test_the_given_order_changes_nothing_and_the_seed_does():
    assert folds(CASES[::-1], 5, seed=1) == folds(CASES, 5, seed=1)
    assert folds(CASES, 5, seed=1) != folds(CASES, 5, seed=2)


def test_a_case_that_is_listed_twice_is_refused():
    with pytest.raises(ValueError, match="'a' is listed twice"):
        folds(["a", "b", "a"], 2, seed=0)


@pytest.mark.parametrize("k", [0, 1, 14])
def test_a_number_of_folds_that_does_not_fit_is_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}, expected 2 to 13"):
        folds(CASES, k, seed=0)
