"""Ray's own memory monitor on clusters that we did not start: a killed trial must stay one trial.

Tune knows `RayActorError` and `RayTaskError` only; what the monitor raises is neither, and ends
the whole sweep (engine.md 1.5). On a Ray that we start the monitor is off and our guard does its
work; on a cluster of somebody else's it cannot be switched off, so Tune is taught here.
"""

from __future__ import annotations

import inspect
from typing import Any

_NEEDLE = "Caught unexpected exception"


def harden() -> bool:
    """Make Tune treat a process that Ray's monitor ended as a lost one.

    Returns:
        False where Tune's code is not the one this was written for; nothing is changed then.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import ActorDiedError, OutOfMemoryError

    original = getattr(RayActorManager, "_actor_task_failed", None)
    if original is None:
        return False
    if getattr(original, "is_hardened", False):
        return True
    parameters = list(inspect.signature(original).parameters)
    if parameters != ["self", "tracked_actor_task", "exception"]:
        return False
    if _NEEDLE not in inspect.getsource(original):
        return False

    def actor_task_failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            died = ActorDiedError()
            died.error_msg = f"OutOfMemoryError: {exception}"
            exception = died
        original(self, tracked_actor_task, exception)

    actor_task_failed.is_hardened = True  # type: ignore[attr-defined]
    RayActorManager._actor_task_failed = actor_task_failed
    return True
