"""Opens the model of a finished training in the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desam_model.training.state import load_weights
from sweeper.config.trial import TrialConfig
from sweeper.errors import DataError, StoreError
from sweeper.factory import build_method
from sweeper.predict.encoding import Encoding
from sweeper.predict.facts import EncoderFacts, ModelFacts
from sweeper.predict.intensities import intensities_of
from sweeper.predict.predictor import Model
from sweeper.store.dataset.inventory import dataset_with
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.trial.cases import choose_cases, sizes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from desam_model.training.state import Weights
    from sweeper.store.dataset.store import CaseRecord
    from sweeper.store.ledger import TrainingFolder
    from sweeper.store.workspace import Workspace


def facts_of(workspace: Workspace, folder: TrainingFolder) -> ModelFacts:
    """What is known of a finished training.

    Args:
        workspace: With the training's dataset and embeddings.
        folder: The training.

    Raises:
        DataError: The training is not finished, or cannot predict without a reference.
        StoreError: Its dataset or its embeddings are not in the workspace any more.
    """
    description = folder.config()
    if description is None or folder.fit() is None or not (folder.path / "best.pt").is_file():
        raise DataError(
            f"training {folder.train_id} is not finished; finish it with `sweeper run`, or choose"
            " another one (see `sweeper status SPACE`)"
        )
    config = TrialConfig.model_validate(description["config"])
    _require_automatic(config)
    identity = description["identity"]
    dataset = _dataset(workspace, config, identity)
    embeddings = None
    if config.method.reads_embeddings():
        embeddings = _embeddings(workspace, identity)
    encoder = None
    if embeddings is not None:
        manifest = embeddings.manifest
        encoder = EncoderFacts(
            name=manifest.encoder,
            fingerprint=manifest.encoder_fingerprint,
            compute=manifest.compute,
            precision=manifest.precision,
            block=manifest.block,
            pool=manifest.pool,
        )
    train = [dataset.case(case) for case in choose_cases(config, dataset).train]
    return ModelFacts(
        train_id=folder.train_id,
        name=config.name(),
        config=_without_paths(config, dataset),
        identity=identity,
        sizes=sizes_of(dataset, embeddings),
        encoder=encoder,
        preprocessing=dataset.preprocessing,
        intensities=intensities_of([_images(dataset, case) for case in train]),
        dataset=dataset.name,
        is_synthetic=dataset.is_synthetic,
        n_cases=len(train),
    )


def open_trained(
    workspace: Workspace,
    folder: TrainingFolder,
    device: torch.device,
    evaluation: Mapping[str, Any] | None = None,
) -> Model:
    """The model of a finished training.

    Args:
        workspace: With the training's dataset and embeddings.
        folder: The training.
        device: Device of the model.
        evaluation: Evaluation settings to change, such as `{"grid_size": 5}`.

    Raises:
        SweeperError: As `facts_of`; a setting is wrong; the encoder's checkpoint is missing.
    """
    facts = with_evaluation(facts_of(workspace, folder), evaluation or {})
    return open_model(facts, load_weights(folder.path / "best.pt"), workspace, device)


def open_model(
    facts: ModelFacts, weights: Weights, workspace: Workspace, device: torch.device
) -> Model:
    """The model with these weights on a device.

    Raises:
        StoreError: The weights do not fit the model.
        WeightsError: The encoder's checkpoint is missing or another one.
    """
    method = build_method(facts.config, facts.sizes, facts.config.seed)
    try:
        method.load_state_dict(weights)
    except RuntimeError as err:
        raise StoreError(
            f"the weights of {facts.train_id} do not fit {facts.name} of this version of sweeper;"
            f" install the version that trained it ({facts.identity.get('code')})"
        ) from err
    encoding = None
    if facts.encoder is not None:
        encoding = Encoding.build(facts.encoder, workspace, device)
    return Model(facts=facts, method=method.to(device).eval(), encoding=encoding)


def _images(dataset: DatasetStore, case: CaseRecord) -> Iterator[NDArray[np.uint8]]:
    """The slices of a case, one at a time."""
    for index in range(case.start, case.start + case.count):
        yield dataset.image(index)


def _require_automatic(config: TrialConfig) -> None:
    """Raise if the method reads its prompt from the reference.

    Raises:
        DataError: It does.
    """
    if getattr(config.method, "prompt", None) == "gt_box":
        raise DataError(
            f"{config.name()} takes its box from the reference, which a new image does not have;"
            " choose a training with prompt whole_box or grid"
        )


def with_evaluation(facts: ModelFacts, evaluation: Mapping[str, Any]) -> ModelFacts:
    """The facts with other evaluation settings.

    Raises:
        DataError: A setting is wrong.
    """
    if not evaluation:
        return facts
    values = facts.config.model_dump(mode="json")
    values["evaluation"] |= evaluation
    try:
        return replace(facts, config=TrialConfig.model_validate(values))
    except ValueError as err:
        settings = " ".join(f"{key}={value}" for key, value in evaluation.items())
        raise DataError(
            f"{settings} is not an evaluation setting; see docs/search-spaces.md ({err})"
        ) from err


def _without_paths(config: TrialConfig, dataset: DatasetStore) -> TrialConfig:
    """The config with the dataset's name and without the paths of checkpoints."""
    values = config.model_dump(mode="json")
    values["dataset"] = dataset.name
    values["encoder"]["checkpoint"] = None
    if config.method.own_checkpoint() is not None:
        values["method"]["start"] = None
    return TrialConfig.model_validate(values)


def _dataset(
    workspace: Workspace, config: TrialConfig, identity: Mapping[str, Any]
) -> DatasetStore:
    """The dataset of the training, by its fingerprint, under whatever name."""
    path = dataset_with(workspace, identity["dataset"], config.dataset)
    if path is not None:
        return DatasetStore.open(path)
    raise StoreError(
        f"the training's dataset {Path(config.dataset).name} (fingerprint {identity['dataset']}) is"
        f" not in {workspace.datasets}; copy it there, or use a folder that `sweeper export` wrote"
    )


def _embeddings(workspace: Workspace, identity: Mapping[str, Any]) -> EmbeddingStore:
    """The embeddings that the training read, of which only the manifest is needed."""
    for path in sorted(workspace.embeddings.glob("*.zarr")):
        store = EmbeddingStore.open(path)
        if store.fingerprint == identity["embedding"]:
            return store
    raise StoreError(
        f"the training's embeddings (fingerprint {identity['embedding']}) are not in"
        f" {workspace.embeddings}, and without them it is unknown how its encoder computed; run"
        " `sweeper embed DATASET`, or use a folder that `sweeper export` wrote"
    )
