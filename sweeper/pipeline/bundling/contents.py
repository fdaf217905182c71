"""What a bundle holds of each training and of its surroundings: text and numbers, no path."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desam_model.training.state import load_weights
from sweeper.store.dataset.place import looks_like_a_path
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.ledger import Ledger
from sweeper.trial.bits import weights_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.query import Query
    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace

TRAININGS = "trainings"
_PLACES = ("dataset", "checkpoint", "start")
"""Keys of a search space whose values may be paths of this machine."""
_VERSIONS = ("sweeper_version", "python", "git_commit", "code_version", "device")


def trainings_of(workspace: Workspace, query: Query) -> dict[str, dict[str, Any]]:
    """Train id -> the record of each finished training that the sweeps plan.

    The cases that it trained on are not among it; those that it was scored on are in the rows.
    """
    planned: dict[str, list[str]] = {}
    for sweep in query.results.sweeps:
        for cell in sweep.plan["cells"]:
            planned.setdefault(cell["train_id"], []).append(cell["eval_id"])
    ledger = Ledger(workspace.trainings)
    return {
        train_id: _record(folder, eval_ids)
        for train_id, eval_ids in sorted(planned.items())
        if (folder := ledger.folder(train_id)).fit() is not None
    }


def _record(folder: TrainingFolder, eval_ids: Sequence[str]) -> dict[str, Any]:
    description, fit = folder.config() or {}, folder.fit() or {}
    weights = folder.path / "best.pt"
    scored = {eval_id: folder.evaluation(eval_id) for eval_id in dict.fromkeys(eval_ids)}
    return {
        "train_id": folder.train_id,
        "name": description["name"],
        "config": without_paths(description["config"]),
        "identity": description["identity"],
        "evaluations": {
            eval_id: {key: values.get(key) for key in ("settings", "target", "machine")}
            for eval_id, values in scored.items()
            if values is not None
        },
        "machines": folder.machines(),
        "weights_sha256": weights_digest(load_weights(weights)) if weights.is_file() else None,
        **{key: fit.get(key) for key in ("device", "seconds", "selected_epoch", "remedy")},
    }


def without_paths(values: Any, key: str = "") -> Any:
    """A search space or a config in which datasets and checkpoints have their names only."""
    if isinstance(values, dict):
        # a searched value, such as {grid: [...]}, stands below its key
        return {k: without_paths(v, k if k in _PLACES else key) for k, v in values.items()}
    if isinstance(values, list):
        return [without_paths(value, key) for value in values]
    if key in _PLACES and isinstance(values, str) and looks_like_a_path(values):
        name = Path(values).name
        return name.removesuffix(".zarr") if key == "dataset" else name
    return values


def spaces_of(query: Query) -> dict[str, dict[str, Any]]:
    """Sweep -> its search space, with the table of the query as its `report:`.

    A sweep that was run before its space was recorded, and one of imported masks, have none.
    """
    report = query.spec.model_dump(mode="json", exclude_defaults=True)
    return {
        sweep.name: {**without_paths(sweep.plan["space"]), "report": report}
        for sweep in query.results.sweeps
        if sweep.plan.get("space")
    }


def surroundings(workspace: Workspace, query: Query) -> dict[str, Any]:
    """Data, encoders, versions and git state; several values where the trainings differ."""
    seen: dict[str, set[str]] = {}
    for entry in query.planned:
        for key, value in (entry.run.tags if entry.run is not None else {}).items():
            if value and (key in _VERSIONS or key.startswith("version.")):
                seen.setdefault(key, set()).add(value)
    return {
        "sweeps": [sweep.name for sweep in query.results.sweeps],
        "protocol": query.spec.protocol,
        "datasets": [dict(sweep.plan.get("dataset") or {}) for sweep in query.results.sweeps],
        "encoders": _encoders(workspace, query),
        "versions": {key: sorted(values) for key, values in sorted(seen.items())},
    }


def _encoders(workspace: Workspace, query: Query) -> list[dict[str, Any]]:
    """The embeddings that trainings read, with the hash of the encoder's weights."""
    wanted = {
        entry.run.tags.get("encoder_fingerprint")
        for entry in query.planned
        if entry.run is not None
    }
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(workspace.embeddings.glob("*.zarr")):
        store = EmbeddingStore.open(path)
        if store.fingerprint in wanted:
            manifest = store.manifest
            found[store.fingerprint] = {
                "embeddings": store.fingerprint,
                "encoder": manifest.encoder,
                "weights": manifest.encoder_fingerprint,
                "precision": manifest.precision,
                "pool": manifest.pool,
                "compute": manifest.compute,
            }
    return [found[fingerprint] for fingerprint in sorted(found)]


def packages() -> str:
    """Every package of this environment as `name==version`, one per line."""
    named = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(named.items()))


def json_text(values: Mapping[str, Any]) -> str:
    """JSON for people: indented, in the order given."""
    return json.dumps(values, indent=1) + "\n"
