"""Opens the stores that a trial reads, and creates them if they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.errors import StoreError
from sweeper.pipeline.data.store_needs import StoreNeed, store_need
from sweeper.pipeline.embed import (
    EmbedProgress,
    ensure_embeddings,
    existing_path,
    require_encoder_inputs,
    require_whole_scans,
    wanted_manifest,
)
from sweeper.plan.expand import require_domains
from sweeper.plan.identity import DataFacts
from sweeper.store.dataset.place import dataset_path
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.weights import check_checkpoint, encoder_fingerprint, resolve_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.config.trial import EncoderConfig, TrialConfig
    from sweeper.pipeline.display import Display
    from sweeper.store.workspace import Workspace


class DataSource:
    """The stores that trials read; each store is opened only once.

    Args:
        workspace: The workspace with the stores.
        display: Shows what is created.
        makes_embeddings: True to compute missing embeddings; False to determine only their
            fingerprint and path.

    Attributes:
        needs: The embedding stores that the trials read, if these are not made: what is missing.
    """

    def __init__(
        self, workspace: Workspace, display: Display, *, makes_embeddings: bool = True
    ) -> None:
        self._workspace, self._display = workspace, display
        self._makes_embeddings = makes_embeddings
        self._datasets: dict[str, DatasetStore] = {}
        self._facts: dict[tuple[str, EncoderConfig | None, Path | None, bool], DataFacts] = {}
        self._embeddings: dict[tuple[str, str, bool], tuple[str, str]] = {}
        self._is_embedding = False
        self.needs: list[StoreNeed] = []

    def facts(self, config: TrialConfig) -> DataFacts:
        """Facts about the data of a trial, for the plan."""
        encoder = config.encoder if config.method.reads_embeddings() else None
        whole_scan = config.evaluation.whole_scan
        key = (config.dataset, encoder, config.method.own_checkpoint(), whole_scan)
        if key not in self._facts:
            self._facts[key] = self._find_facts(config)
        return self._facts[key]

    def _find_facts(self, config: TrialConfig) -> DataFacts:
        # dataset, checked before hours of embedding
        dataset = self.dataset(config.dataset)
        require_domains(config, dataset.name, dataset.domains)
        if config.evaluation.whole_scan:
            require_whole_scans(dataset)
        # checkpoint of the method, if it has one
        fingerprint, embeddings, checkpoint, start, background = None, None, None, None, None
        method_checkpoint = config.method.own_checkpoint()
        if method_checkpoint is not None:
            method_checkpoint = method_checkpoint.expanduser().absolute()
            if not method_checkpoint.is_file():
                raise StoreError(
                    f"method.start is {method_checkpoint}, which does not exist; set it to the .pth"
                    " file of MedSAM, or remove it to start from the encoder's SAM"
                )
            start = check_checkpoint(method_checkpoint)
        # embeddings and checkpoint of the encoder
        if config.method.reads_embeddings():
            require_encoder_inputs(dataset)
            fingerprint, embeddings = self.embeddings(dataset, config.encoder)
            if config.evaluation.whole_scan and dataset.n_stored_slices > dataset.n_slices:
                _, background = self.embeddings(dataset, config.encoder, is_background=True)
            encoder = config.encoder
            checkpoint = resolve_checkpoint(self._workspace, encoder.name, encoder.checkpoint)
        initial_weights = method_checkpoint or checkpoint
        return DataFacts(
            name=dataset.name,
            path=str(dataset.path),
            fingerprint=dataset.fingerprint,
            is_synthetic=dataset.is_synthetic,
            domains=dataset.domains,
            structures=dataset.structures,
            cases={d: tuple(c.case for c in dataset.cases_of(d)) for d in dataset.domains},
            slices={d: sum(len(c.shown) for c in dataset.cases_of(d)) for d in dataset.domains},
            embedding_fingerprint=fingerprint,
            embeddings=embeddings,
            checkpoint=None if initial_weights is None else str(initial_weights),
            start=start,
            scan_slices=(
                {d: sum(c.count for c in dataset.cases_of(d)) for d in dataset.domains}
                if dataset.keeps_all_slices
                else {}
            ),
            scan_fingerprint=dataset.scan_fingerprint,
            background=background,
        )

    def dataset(self, name: str) -> DatasetStore:
        """The dataset with this name or path; a phantom is created on first use.

        Raises:
            StoreError: It does not exist, or the path is not a dataset store.
        """
        if name not in self._datasets:
            is_phantom = name in (PHANTOM, ABDOMINAL_PHANTOM)
            path = self._phantom_path(name) if is_phantom else dataset_path(self._workspace, name)
            self._datasets[name] = DatasetStore.open(path)
        return self._datasets[name]

    def embeddings(
        self, dataset: DatasetStore, encoder: EncoderConfig, *, is_background: bool = False
    ) -> tuple[str, str]:
        """Fingerprint and path of a dataset's embeddings, or of those of the rest of its scans."""
        key = (dataset.fingerprint, encoder.model_dump_json(), is_background)
        if key not in self._embeddings:
            if self._makes_embeddings:
                store = ensure_embeddings(
                    self._workspace,
                    dataset,
                    encoder.name,
                    checkpoint=encoder.checkpoint,
                    precision=encoder.precision,
                    pool=encoder.pool,
                    progress=self._embedded,
                    say=self._display.say,
                    is_background=is_background,
                )
                self._embeddings[key] = store.fingerprint, str(store.path)
            else:
                weights = resolve_checkpoint(self._workspace, encoder.name, encoder.checkpoint)
                manifest = wanted_manifest(
                    dataset,
                    encoder.name,
                    encoder_fingerprint(encoder.name, weights),
                    encoder.precision,
                    pool=encoder.pool,
                    is_background=is_background,
                )
                path = existing_path(self._workspace, manifest)
                self._embeddings[key] = manifest.fingerprint, str(path)
                self.needs.append(store_need(path, manifest))
        return self._embeddings[key]

    def _embedded(self, progress: EmbedProgress) -> None:
        if not self._is_embedding:
            self._is_embedding = True
            self._display.phase("embedding the images, once for all trainings")
        self._display.advance(progress.done, progress.total, "slices embedded")

    def _imported(self, step: str, done: int, total: int) -> None:
        self._display.advance(done, total, step)

    def _phantom_path(self, name: str) -> Path:
        path = self._workspace.datasets / f"{name}.zarr"
        if path.exists():
            return path
        from sweeper.pipeline.data.named import (  # scipy: slow
            ensure_abdominal_phantom,
            ensure_phantom,
        )

        if name == ABDOMINAL_PHANTOM:
            return ensure_abdominal_phantom(self._workspace, self._imported)
        self._display.phase("creating the synthetic six-site phantom and importing it")
        return ensure_phantom(self._workspace, self._imported)
