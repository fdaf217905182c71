"""From a trial's `dataset` and `encoder` to the stores it reads, made where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
from sweeper.errors import StoreError
from sweeper.pipeline.embed import (
    EmbedProgress,
    ensure_embeddings,
    present_path,
    require_whole_scans,
    wanted_manifest,
)
from sweeper.plan.expand import require_domains
from sweeper.plan.identity import DataFacts
from sweeper.store.dataset.place import dataset_path
from sweeper.store.dataset.store import DatasetStore
from sweeper.store.embeddings.store import EmbeddingStore
from sweeper.store.weights import check_checkpoint, encoder_fingerprint, resolve_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from sweeper.config.trial import EncoderConfig, TrialConfig
    from sweeper.pipeline.display import Display
    from sweeper.store.embeddings.manifest import EmbeddingManifest
    from sweeper.store.workspace import Workspace


class DataSource:
    """What trials read; every store is opened once.

    Args:
        workspace: Where stores lie.
        display: Told what is made.
        makes_embeddings: True to compute embeddings that are missing; False only says what and
            where they would be.

    Attributes:
        missing_bytes: Size of the embeddings that are not computed yet.
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
        self.missing_bytes = 0

    def facts(self, config: TrialConfig) -> DataFacts:
        """What a trial reads, as the plan wants to know it."""
        encoder = config.encoder if config.method.reads_embeddings() else None
        whole_scan = config.evaluation.whole_scan
        key = (config.dataset, encoder, config.method.own_checkpoint(), whole_scan)
        if key not in self._facts:
            self._facts[key] = self._find_facts(config)
        return self._facts[key]

    def _find_facts(self, config: TrialConfig) -> DataFacts:
        dataset = self.dataset(config.dataset)
        require_domains(config, dataset.name, dataset.domains)  # before hours of embedding
        if config.evaluation.whole_scan:
            require_whole_scans(dataset)  # likewise
        fingerprint, place, checkpoint, start, background = None, None, None, None, None
        own = config.method.own_checkpoint()
        if own is not None:
            own = own.expanduser().absolute()
            if not own.is_file():
                raise StoreError(
                    f"method.start is {own}, and there is no such file; give the .pth file of"
                    " MedSAM, or leave start out to begin with the encoder's SAM"
                )
            start = check_checkpoint(own)
        if config.method.reads_embeddings():
            fingerprint, place = self.embeddings(dataset, config.encoder)
            if config.evaluation.whole_scan and dataset.n_stored_slices > dataset.n_slices:
                _, background = self.embeddings(dataset, config.encoder, is_background=True)
            encoder = config.encoder
            checkpoint = resolve_checkpoint(self._workspace, encoder.name, encoder.checkpoint)
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
            embeddings=place,
            checkpoint=None if (own or checkpoint) is None else str(own or checkpoint),
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
        """The dataset of a name or path; the phantom is made on its first use.

        Raises:
            StoreError: There is none, or the path is not a dataset store.
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
                    is_background=is_background,
                )
                path = present_path(self._workspace, manifest)
                self._embeddings[key] = manifest.fingerprint, str(path)
                self.missing_bytes += _missing_bytes(path, manifest)
        return self._embeddings[key]

    def _embedded(self, progress: EmbedProgress) -> None:
        if not self._is_embedding:
            self._is_embedding = True
            self._display.phase("embedding the images, once for all trainings")
        self._display.advance(progress.done, progress.total, "slices embedded")

    def _imported(self, step: str, done: int, total: int) -> None:
        self._display.advance(done, total, step)

    def _phantom_path(self, name: str) -> Path:
        made = self._workspace.datasets / f"{name}.zarr"
        if made.exists():
            return made
        from sweeper.pipeline.data.named import (  # scipy: slow
            ensure_abdominal_phantom,
            ensure_phantom,
        )

        if name == ABDOMINAL_PHANTOM:
            return ensure_abdominal_phantom(self._workspace, self._imported)
        self._display.phase("making the synthetic six-site phantom and importing it")
        return ensure_phantom(self._workspace, self._imported)


def _missing_bytes(path: Path, manifest: EmbeddingManifest) -> int:
    present = len(EmbeddingStore.open(path).commits) if path.exists() else 0
    return (manifest.n_slices - present) * manifest.slice_bytes
