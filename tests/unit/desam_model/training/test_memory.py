"""What a training leaves in its process."""

from __future__ import annotations

import threading

import pytest
import torch

from desam_model.training.memory import PeakMemory
from desam_model.training.process_memory import anonymous_bytes, return_free_memory


def test_what_the_allocator_keeps_of_a_thread_that_has_ended_is_given_back() -> None:
    kept: list[bytes] = []

    def work() -> None:
        blocks = [b"x" * 60_000 for _ in range(2_000)]
        kept.append(blocks[-1])  # what lives on, at the end of the arena, holds all before it

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    held = anonymous_bytes()
    return_free_memory()
    if held == 0:
        pytest.skip("this system does not say what a process holds")
    assert held - anonymous_bytes() > 90_000_000


def test_the_peak_on_a_cpu_is_the_highest_sample(monkeypatch) -> None:
    readings = iter([3, 7, 5])
    monkeypatch.setattr("desam_model.training.memory.anonymous_bytes", lambda: next(readings))
    memory = PeakMemory(torch.device("cpu"))
    assert memory.bytes() == 0
    peaks = []
    for _ in range(3):
        memory.sample()
        peaks.append(memory.bytes())
    assert peaks == [3, 7, 7]


def test_a_sample_sees_memory_that_is_in_use() -> None:
    if anonymous_bytes() == 0:
        pytest.skip("this system does not report the memory of a process")
    memory = PeakMemory(torch.device("cpu"))
    memory.sample()
    before = memory.bytes()
    block = bytearray(b"x") * 100_000_000
    memory.sample()
    assert memory.bytes() - before > 0.9 * len(block)
