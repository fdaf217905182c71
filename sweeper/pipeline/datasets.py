"""From a trial's `dataset` and `encoder` to the stores it reads, made where they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError
from sweeper.pipeline.data import ensure_phantom
from sweeper.pipeline.embed import EmbedProgress, ensure_embeddings
from sweeper.plan.identity import DataFacts
from sweeper.store.dataset_store import DatasetStore

PHANTOM = "phantom"
"""Name of the synthetic dataset that stands in where no dataset is named."""

if TYPE_CHECKING:
    from sweeper.config.trial import EncoderConfig, TrialConfig
    from sweeper.pipeline.display import Display
    from sweeper.store.embedding_store import EmbeddingStore
    from sweeper.store.workspace import Workspace


class DataSource:
    """What trials read; every store is opened once, and made when it is missing."""

    def __init__(self, workspace: Workspace, display: Display) -> None:
        self._workspace, self._display = workspace, display
        self._datasets: dict[str, DatasetStore] = {}
        self._embeddings: dict[tuple[str, str], EmbeddingStore] = {}

    def facts(self, config: TrialConfig) -> DataFacts:
        """What a trial reads, as the plan wants to know it."""
        dataset = self.dataset(config.dataset)
        embeddings = (
            self.embeddings(dataset, config.encoder) if config.method.reads_embeddings() else None
        )
        return DataFacts(
            name=dataset.name,
            path=str(dataset.path),
            fingerprint=dataset.fingerprint,
            is_synthetic=dataset.is_synthetic,
            domains=dataset.domains,
            structures=dataset.structures,
            cases={d: tuple(c.case for c in dataset.cases_of(d)) for d in dataset.domains},
            slices={d: sum(c.count for c in dataset.cases_of(d)) for d in dataset.domains},
            embedding_fingerprint=None if embeddings is None else embeddings.fingerprint,
            embeddings=None if embeddings is None else str(embeddings.path),
            checkpoint=None
            if config.encoder.checkpoint is None
            else str(config.encoder.checkpoint),
        )

    def dataset(self, name: str) -> DatasetStore:
        """The dataset of a name or path; the phantom is made on its first use.

        Raises:
            StoreError: There is none, or the path is not a dataset store.
        """
        if name not in self._datasets:
            self._datasets[name] = DatasetStore.open(self._dataset_path(name))
        return self._datasets[name]

    def embeddings(self, dataset: DatasetStore, encoder: EncoderConfig) -> EmbeddingStore:
        """A dataset's embeddings, computed where they are missing."""
        key = (dataset.fingerprint, encoder.model_dump_json())
        if key not in self._embeddings:
            self._embeddings[key] = ensure_embeddings(
                self._workspace,
                dataset,
                encoder.name,
                checkpoint=encoder.checkpoint,
                precision=encoder.precision,
                progress=self._embedded,
                say=self._display.say,
            )
        return self._embeddings[key]

    def _embedded(self, progress: EmbedProgress) -> None:
        self._display.advance(progress.done, progress.total, "slices embedded")

    def _imported(self, step: str, done: int, total: int) -> None:
        self._display.advance(done, total, step)

    def _dataset_path(self, name: str) -> Path:
        if name == PHANTOM:
            return ensure_phantom(self._workspace, self._imported)
        path = Path(name)
        if path.exists():
            return path.absolute()
        imported = self._workspace.datasets / f"{name}.zarr"
        if imported.exists():
            return imported
        known = sorted(p.stem for p in self._workspace.datasets.glob("*.zarr"))
        raise StoreError(
            f"dataset {name!r} is neither a path nor imported here; imported are"
            f" {', '.join(known) or 'none'}. Import one: sweeper data import FOLDER --name NAME"
        )
