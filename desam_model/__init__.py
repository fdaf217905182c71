"""DeSAM and the methods it is compared with: pure PyTorch, no sweep machinery.

Public names are imported on first use, so that importing `desam_model.types` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["DeSAM", "Embedding", "Prompt", "load_reference_checkpoint", "save_reference_checkpoint"]

_MODULES = {
    "DeSAM": "desam_model.desam.desam",
    "Embedding": "desam_model.types",
    "Prompt": "desam_model.types",
    "load_reference_checkpoint": "desam_model.desam.checkpoint",
    "save_reference_checkpoint": "desam_model.desam.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'desam_model' has no attribute {name!r}; it has {__all__}")
    return getattr(importlib.import_module(_MODULES[name]), name)
