"""Sweeps for DeSAM and its comparison methods in single-source domain generalization.

The Python API is `run`, `open_sweep`, `load_model` and `verify` (docs/python.md). It is imported
when it is used, because torch takes seconds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sweeper.version import __version__

if TYPE_CHECKING:
    from sweeper.api import Model, Segmentation, Sweep, Table, load_model, open_sweep, run, verify

__all__ = [
    "Model",
    "Segmentation",
    "Sweep",
    "Table",
    "__version__",
    "load_model",
    "open_sweep",
    "run",
    "verify",
]


# Dependencies read these when they are imported; none of them may report usage (SECURITY.md).
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["DO_NOT_TRACK"] = "true"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sweeper import api

        return getattr(api, name)
    raise AttributeError(f"module 'sweeper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
