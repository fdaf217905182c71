from __future__ import annotations

import pytest

from sweeper.records import FailureReason, Placement
from sweeper.trial.remedy import Remedy, apply, next_remedy

HALF_GPU = Placement(
    cpu=2, gpu=0.5, memory_bytes=4_000, max_concurrent=4, shares_processes=False, hang_s=600.0
)
WHOLE_GPU = Placement(
    cpu=2, gpu=1.0, memory_bytes=8_000, max_concurrent=2, shares_processes=False, hang_s=600.0
)


def remedies(reason: FailureReason, placement: Placement, batch: int) -> list[tuple[int, int]]:
    """Every remedy tried until none is left, as (halvings, parts)."""
    found, remedy = [], next_remedy(reason, Remedy(), placement, batch)
    while remedy is not None:
        found.append((remedy.halvings, remedy.accumulate))
        remedy = next_remedy(reason, remedy, placement, batch)
    return found


def test_concurrency_is_lowered_before_gradients_are_accumulated() -> None:
    assert remedies(FailureReason.CUDA_OOM, HALF_GPU, 8) == [(1, 1), (1, 2), (1, 4), (1, 8)]
    assert remedies(FailureReason.CUDA_OOM, WHOLE_GPU, 6) == [(0, 2), (0, 4), (0, 6)]
    assert remedies(FailureReason.HOST_OOM, HALF_GPU, 2) == [(1, 1), (2, 1), (2, 2)]


@pytest.mark.parametrize("reason", sorted(set(FailureReason) - {"cuda_oom", "host_oom"}))
def test_only_want_of_memory_has_a_remedy(reason: FailureReason) -> None:
    assert next_remedy(reason, Remedy(), HALF_GPU, 8) is None


def test_fewer_trainings_side_by_side_each_get_more() -> None:
    alone = apply(Remedy(halvings=1, reasons=("cuda_oom",)), HALF_GPU)
    assert (alone.gpu, alone.max_concurrent, alone.memory_bytes) == (1.0, 2, 8_000)
    assert apply(Remedy(), HALF_GPU) == HALF_GPU


def test_a_remedy_survives_its_record_and_says_what_it_does() -> None:
    remedy = Remedy(halvings=1, accumulate=4, reasons=("cuda_oom", "cuda_oom"))
    assert Remedy.of(remedy.values()) == remedy
    assert remedy.text(8) == (
        "after cuda_oom, cuda_oom: trainings side by side divided by 2;"
        " gradients accumulated over 4 parts of a batch of 8"
    )
    assert not Remedy.of(None)
