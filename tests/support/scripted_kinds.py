"""A planned training of a given batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toy_plan import plan_of

if TYPE_CHECKING:
    from sweeper.plan.expand import Training


def training(batch_size: int) -> Training:
    """On a dataset that is nowhere."""
    space = (
        "name: t\ntrial:\n  source: A\n  method: {name: desam}\n"
        f"  training: {{batch_size: {batch_size}}}\n"
    )
    return plan_of(space).trainings[0]
