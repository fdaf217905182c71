"""Records of a training's epochs as they come, so that a search can ask for them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.store.ledger import TrainingFolder

EPOCHS_FILE = "epochs.jsonl"
"""One line an epoch; of a training that goes on from another's weights, its own epochs only."""


def known_epochs(folder: TrainingFolder) -> list[dict[str, Any]]:
    """Records of the epochs that a training has: of its fit, or of the stretches so far."""
    fit = folder.fit()
    if fit is not None:
        return [dict(record) for record in fit["epochs"]]
    records: dict[int, dict[str, Any]] = {}
    try:
        lines = (folder.path / EPOCHS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the process was killed while it wrote this
            continue
        records[record["epoch"]] = record
    return [records[epoch] for epoch in sorted(records)]
