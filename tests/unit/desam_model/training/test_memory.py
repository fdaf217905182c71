"""What a training leaves in its process."""

from __future__ import annotations

import threading

import pytest

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
