"""Selects the cases for training, validation and scoring, and reads their slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from desam_model.training.folds import folds, training_share
from desam_model.training.loader import Loader
from desam_model.types import Reads, Split
from sweeper.config.sources import domains_in
from sweeper.errors import DataError
from sweeper.factory import Sizes
from sweeper.store.dataset.views import background_view, slice_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from desam_model.types import Batch, Slice
    from sweeper.config.trial import TrialConfig
    from sweeper.store.dataset.store import DatasetStore
    from sweeper.store.embeddings.store import EmbeddingStore


@dataclass(frozen=True, slots=True)
class Cases:
    """Ids of the cases for training, for validation, and for scoring."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    scored: tuple[str, ...]


def sizes_of(dataset: DatasetStore, embeddings: EmbeddingStore | None) -> Sizes:
    """The sizes of the opened stores; without embeddings, their sizes are 0."""
    if embeddings is None:
        return Sizes(image_channels=dataset.image_channels)
    return Sizes(
        image_channels=dataset.image_channels,
        taps=embeddings.taps,
        neck=embeddings.neck,
        input_px=embeddings.input_px,
    )


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads slices of given cases, with the fields that the method reads.

    Attributes:
        dataset: The images and references.
        embeddings: Embeddings of slices that show a structure; None if the method reads none.
        structure: The structure that is segmented.
        reads: What the method reads.
        background: Embeddings of the other slices; None unless whole scans are read.
    """

    dataset: DatasetStore
    embeddings: EmbeddingStore | None
    structure: str
    reads: frozenset[Reads]
    background: EmbeddingStore | None = None

    def __call__(self, cases: Sequence[str]) -> Sequence[Slice]:
        """The slices of the cases, in their order."""
        return slice_view(
            self.dataset,
            cases,
            structure=self.structure,
            reads=self.reads,
            embeddings=self.embeddings if Reads.EMBEDDING in self.reads else None,
        )

    def others(self, cases: Sequence[str]) -> Sequence[Slice]:
        """The slices of the same scans that do not show the structure; `z` counts all slices."""
        return background_view(
            self.dataset,
            cases,
            structure=self.structure,
            reads=self.reads,
            embeddings=self.embeddings,
            background=self.background,
        )


def observed_batches(
    on_batch: Callable[[], None],
    view: Sequence[Slice],
    *,
    batch_size: int,
    device: torch.device,
) -> Iterator[Batch]:
    """The batches of a view, in order; `on_batch` is called before each."""
    for batch in Loader(view, batch_size=batch_size, device=device):
        on_batch()
        yield batch


def choose_cases(config: TrialConfig, dataset: DatasetStore) -> Cases:
    """Training and validation cases of each source domain; scored are its test cases and targets.

    Targets are all cases of the other domains, or the fold; cases of split `test` are in no fold.
    """
    sources = domains_in(config.source, dataset.domains)
    if config.fold is not None:
        return _fold_cases(config, dataset, sources)
    train = [c.case for d in sources for c in dataset.cases_of(d, Split.TRAIN)]
    validation = [c.case for d in sources for c in dataset.cases_of(d, Split.VALIDATION)]
    tested = [] if config.target else [c for d in sources for c in dataset.cases_of(d, Split.TEST)]
    targets = (config.target,) if config.target else dataset.domains
    scored = [c.case for d in targets if d not in sources for c in dataset.cases_of(d)]
    return Cases(tuple(train), tuple(validation), (*validation, *(c.case for c in tested), *scored))


def _fold_cases(config: TrialConfig, dataset: DatasetStore, sources: Sequence[str]) -> Cases:
    """Cross-validation by patient: the fold is scored; of the rest, the last 10 % validate.

    Raises:
        DataError: The method has no folds, or a domain has too few patients for them.
    """
    train: list[str] = []
    validation: list[str] = []
    held_out: list[str] = []
    n_folds = getattr(config.method, "folds", None)
    if n_folds is None or config.fold is None:
        raise DataError(
            f"{config.name()} has fold {config.fold}, but its method has no folds; remove it"
        )
    for domain in sources:
        scans: dict[str, list[str]] = {}
        for record in dataset.cases_of(domain):
            if record.split is Split.TEST:
                continue
            scans.setdefault(record.patient, []).append(record.case)
        n_least = max(n_folds, 3)  # one is scored, one validates, one trains
        if len(scans) < n_least:
            raise DataError(
                f"{domain} has {len(scans)} patients, and {n_folds} folds need {n_least}; set"
                " method.folds lower, or leave the domain out"
            )
        rest, test = folds(list(scans), n_folds, seed=0)[config.fold]
        n_train = training_share(len(rest))
        train += [case for patient in rest[:n_train] for case in scans[patient]]
        validation += [case for patient in rest[n_train:] for case in scans[patient]]
        held_out += [case for patient in test for case in scans[patient]]
    return Cases(tuple(train), tuple(validation), tuple(held_out))
