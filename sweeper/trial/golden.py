"""Golden trainings and scores: checks if the current code gives the results of a known version.

`python -m sweeper.trial.golden` trains every method on tiny fixed data and scores fixed masks. It
adds the hashes of the code to `sweeper/plan/code_versions.json`: to the version whose results are
bit-identical, or else to a new version. Bits can be compared only on the same processor type with
the same version of torch, so results are recorded per platform.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from desam_model.encoder.entry import MapShape
from desam_model.encoder.sam_vit_entries import PREPROCESSING
from desam_model.method import SegmentationMethod
from desam_model.scoring.evaluate import evaluate
from desam_model.scoring.metric_table import metrics
from desam_model.training.loader import Loader
from desam_model.training.state import load_weights
from desam_model.types import (
    Decision,
    Embedding,
    Losses,
    Prediction,
    Reads,
    Slice,
    Split,
)
from sweeper.config.trial import EvaluationConfig, TrialConfig
from sweeper.plan.code_version import (
    SCORING,
    VERSIONS_FILE,
    Version,
    code_name,
    read_versions,
    scoring_hash,
    training_hash,
)
from sweeper.plan.job import TrainingJob
from sweeper.store.dataset.store import CaseRecord
from sweeper.store.dataset.writer import DatasetFacts, NewCase, write_dataset
from sweeper.store.embeddings.manifest import EmbeddingManifest
from sweeper.store.embeddings.writer import ChunkWriter, StoreWriter
from sweeper.trial.bits import add_weights, platform_key
from sweeper.trial.run_trial import run_trial
from sweeper.trial.scoring_settings import build_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from desam_model.types import Batch, PredictionSettings

_PX, _GRID, _TAPS, _NECK = 32, 8, 12, 16
_SITES, _PATIENTS, _SLICES = ("A", "B"), 3, 2
_SMALL = {"network": {"width": 4, "stages": 3}}

GOLDEN: tuple[dict[str, Any], ...] = (
    *({"method": {"name": "desam", "ablation": a}} for a in ("pdmm_only", "iou_head")),
    {"method": {"name": "desam", "ablation": "mask_embedding", "loss_profile": "released"}},
    {"method": {"name": "desam", "training_points": "grid"}, "training": {"optimizer": "sgd"}},
    {"method": {"name": "desam", "prompt_mode": "whole_box"}},
    {"method": {"name": "medsam"}},
    {"method": {"name": "medsam", "profile": "official"}, "training": {"batch_size": 2}},
    {"method": {"name": "unet", **_SMALL}},
    {"method": {"name": "unet", **_SMALL, "augmentation": False}},
    {"method": {"name": "upper_bound", "folds": 3, **_SMALL}, "source": "all", "fold": 1},
    *(
        {"method": {"name": name, **_SMALL}}
        for name in ("advnoise", "advbias", "randconv", "mixstyle", "maxstyle", "csdg")
    ),
    *(
        {"method": {"name": name, "profile": "official"}}
        for name in ("unet", "advnoise", "advbias", "randconv", "mixstyle", "maxstyle", "csdg")
    ),
    {"method": {"name": "desam"}, "training": {"precision": "bf16"}},
    {"method": {"name": "randconv", "variant": "image", "supervise_augmented": False, **_SMALL}},
    {"method": {"name": "mixstyle", "probability": 1.0, **_SMALL}},
    {"method": {"name": "maxstyle", "probability": 1.0, **_SMALL}},
)
"""The trainings, two epochs each: every method, and the options that use other code paths."""


_IMAGE_LR = 1e-4


def golden_trials() -> list[TrialConfig]:
    """The trials of all golden trainings."""
    trials = []
    for values in GOLDEN:
        training = {"epochs": 2, "batch_size": 3, **values.get("training", {})}
        base = {"source": "A", "structure": "prostate", "seed": 1}
        trial = TrialConfig.model_validate({**base, **values, "training": training})
        if not trial.method.reads_embeddings() and trial.training.lr is None:
            # a default rate is resolved in the identity, so changing it needs no new version
            trial = TrialConfig.model_validate(
                {**base, **values, "training": {**training, "lr": _IMAGE_LR}}
            )
        trials.append(trial)
    return trials


def golden_weights(trials: Iterable[TrialConfig], folder: Path) -> str:
    """SHA-256 of the selected weights of trainings, on one CPU thread.

    Args:
        trials: Trials from `golden_trials`.
        folder: An empty folder for data and trainings.
    """
    dataset, embeddings = _write_data(folder)
    digest = hashlib.sha256()
    threads = torch.get_num_threads()
    try:
        for number, config in enumerate(trials):
            reads = config.method.reads_embeddings()
            job = TrainingJob(
                train_id=str(number),
                identity={},
                config=config,
                evaluations={},
                dataset=dataset,
                embeddings=embeddings if reads else None,
                folder=str(folder / str(number)),
                threads=1,
                owner="golden",
            )
            run_trial(job, lambda _: Decision.CONTINUE)
            add_weights(digest, load_weights(folder / str(number) / "best.pt"))
    finally:
        torch.set_num_threads(threads)
    return digest.hexdigest()


class _Ragged(SegmentationMethod):
    """Predicts the reference with ragged edges, holes and islands, from the pixels of a slice."""

    reads: ClassVar[frozenset[Reads]] = frozenset({Reads.IMAGE})

    def training_loss(self, batch: Batch, generator: torch.Generator) -> Losses:
        raise AssertionError("it is scored and never trained")

    def validation_loss(self, batch: Batch) -> torch.Tensor:
        raise AssertionError("it is scored and never trained")

    def predict(self, batch: Batch, settings: PredictionSettings) -> Prediction:
        assert batch.image is not None
        mask = batch.image > 0.5
        grid = settings.grid_size
        mask[..., grid, :] ^= True
        return Prediction(mask=mask, predicted_iou=torch.ones(len(mask)))


def golden_scores() -> str:
    """SHA-256 of the scores and the cleaned masks of fixed predictions, two with a blank between.

    The first is of the foreground's protocols and first metrics, the second of all that was added
    since; a version that was recorded before has the first alone (`same_numbers`).
    """
    draw = np.random.default_rng(0)
    slices = [_scored_slice(draw, case, z) for case in range(3) for z in range(4)]
    others = [
        replace(_scored_slice(draw, case, z), reference=torch.zeros(256, 256, dtype=torch.uint8))
        for case in range(3)
        for z in (0, 2, 6)
    ]
    first, added = hashlib.sha256(), hashlib.sha256()
    for settings in ({}, {"min_region_px": 0, "grid_size": 3}, {"iou_threshold": 0.9}):
        config = EvaluationConfig.model_validate(settings)
        batches = partial(Loader, batch_size=5, device=torch.device("cpu"))
        result = evaluate(_Ragged(), slices, build_settings(config), batches, others)
        for score in result.scores:
            # flat, so that the digest depends on the values and not on the structure of the record
            facts = asdict(score)
            values = {k: v for k, v in facts.pop("values").items() if k in _built_in_metrics()}
            is_first = score.protocol in _FIRST_PROTOCOLS
            first_values = {k: v for k, v in values.items() if is_first and k in _FIRST_METRICS}
            later_values = {k: v for k, v in values.items() if k not in first_values}
            for digest, some in ((first, first_values), (added, later_values)):
                if some:
                    text = json.dumps({**facts, **some}, sort_keys=True, default=str)
                    digest.update(text.encode())
        for prediction in result.predictions:
            first.update(np.packbits(prediction.mask).tobytes())
            assert prediction.scan is not None
            added.update(np.packbits(prediction.scan).tobytes())
    return f"{first.hexdigest()} {added.hexdigest()}"


_FIRST_PROTOCOLS = ("desam2024", "strict")
_FIRST_METRICS = ("dice", "hd95_mm", "asd_mm")


def same_numbers(recorded: str, golden: str) -> bool:
    """True if all digests that were recorded are unchanged; later ones may have been added."""
    return golden == recorded or golden.startswith(f"{recorded} ")


def _built_in_metrics() -> set[str]:
    """Names of the built-in metrics; those of plugins are not part of the scoring version."""
    return {n for n, metric in metrics().items() if metric.measure.startswith("desam_model.")}


def _scored_slice(draw: np.random.Generator, case: int, z: int) -> Slice:
    """A disc in 256 x 256 px, and an image of the disc with noise; one case gives an empty mask."""
    rows, columns = np.mgrid[:256, :256]
    y, x, radius = draw.uniform(100, 150), draw.uniform(100, 150), draw.uniform(25, 45)
    reference = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    coarse = draw.random((32, 32)).repeat(8, 0).repeat(8, 1)
    image = np.where(reference, coarse > 0.1, coarse > 0.97) & (case != 2)
    return Slice(
        case=f"case{case}",
        domain="AB"[case % 2],
        structure="prostate",
        z=z,
        is_last_foreground=z == 3,
        spacing_mm=(3.0, 0.6, 0.5 + 0.1 * case),
        reference=torch.from_numpy(reference.astype(np.uint8)),
        image=torch.from_numpy(255 * image.astype(np.uint8))[None],
    )


def _write_data(folder: Path) -> tuple[str, str]:
    """Paths of a dataset and of its embeddings: discs in noise, visible in the embeddings too."""
    # dataset
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:_PX, :_PX]
    cases: list[NewCase] = []
    for site in _SITES:
        for patient in range(_PATIENTS):
            y, x, radius = (draw.uniform(a, b, (_SLICES, 1, 1)) for a, b in _DISC)
            label = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8)
            noise = draw.integers(0, 120, (_SLICES, 1, _PX, _PX), dtype=np.uint8)
            start = len(cases) * _SLICES
            record = _record(f"{site}{patient}", site, patient == _PATIENTS - 1, start)
            cases.append(NewCase(record=record, image=noise + 100 * label[:, None], label=label))
    facts = DatasetFacts(
        name="golden",
        structures=("prostate",),
        is_synthetic=True,
        preprocessing={},
        split_rule="the last patient of a site validates",
        import_key="none",
        skipped={},
    )
    dataset = write_dataset(folder / "golden.zarr", facts, cases)
    # embeddings
    manifest = EmbeddingManifest(
        dataset=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        encoder="vit_tiny",
        encoder_fingerprint="golden",
        precision="float16",
        preprocessing=PREPROCESSING,
        compute="float32",
        block=4,
        codec="none",
        n_slices=len(cases) * _SLICES,
        taps=(MapShape(_TAPS, (_GRID, _GRID)),) * 3,
        neck=MapShape(_NECK, (_GRID, _GRID)),
        input_px=16 * _GRID,
        product_version="0",
        cases=tuple((case.record.case, _SLICES) for case in cases),
    )
    store = folder / "golden.embeddings"
    writer = ChunkWriter(store, manifest)
    labels = np.concatenate([case.label for case in cases])
    with StoreWriter(store, manifest) as store_writer:
        for index in store_writer.missing:
            store_writer.commit([writer.write(index, _embedding(draw, labels[index]))])
    return str(dataset.path), str(store)


_DISC = ((12, 20), (12, 20), (5, 9))
"""Ranges of a disc's centre and radius, px."""


def _record(case: str, site: str, validates: bool, start: int) -> CaseRecord:
    return CaseRecord(
        case=case,
        domain=site,
        split=Split.VALIDATION if validates else Split.TRAIN,
        start=start,
        count=_SLICES,
        z=tuple(range(_SLICES)),
        spacing_mm=(3.0, 1.0, 1.0),
        foreground={"prostate": (True,) * _SLICES},
        volume_ml={"prostate": 1.0},
        matrix=(_PX, _PX),
        n_source_slices=_SLICES,
        source_spacing_mm=(3.0, 1.0, 1.0),
        image_file="",
        label_file="",
        source_hash=case,
        content_hash="",
        has_geometry=True,
    )


def _embedding(draw: np.random.Generator, label: np.ndarray) -> Embedding:
    side = _PX // _GRID
    small = label.reshape(_GRID, side, _GRID, side).mean((1, 3))
    maps = [
        torch.from_numpy(
            (
                draw.normal(0, 0.5, (channels, _GRID, _GRID))
                + small * np.linspace(-2, 2, channels)[:, None, None]
            ).astype(np.float32)
        )
        for channels in (_TAPS, _TAPS, _TAPS, _NECK)
    ]
    return Embedding(taps=tuple(maps[:3]), neck=maps[3])


def enter(
    name: str,
    versions: dict[str, Version],
    code_hash: str,
    where: str,
    result: Callable[[], str],
    *,
    is_new: bool = False,
) -> tuple[str, bool]:
    """Add a hash to the version whose golden result is bit-identical, or else to a new version.

    Args:
        name: Name of the code.
        versions: Its versions, oldest first; changed in place.
        code_hash: Hash of the current code.
        where: The platform, `platform_key()`.
        result: Computes the golden result of the current code.
        is_new: True to create a new version if the results cannot be compared.

    Returns:
        A line that says what was done, and True if the current code is now known.
    """
    # the hash is known
    owner = next((v for v, known in versions.items() if code_hash in known["hashes"]), None)
    if owner is not None:
        return _compare_known(owner, versions[owner], code_hash, where, result())
    # no result of this platform to compare with
    comparable = [v for v, known in versions.items() if where in known["golden"]]
    newest = next(reversed(versions), None)
    if newest is not None and newest not in comparable and not is_new:
        known_on = "; or ".join(versions[newest]["golden"])
        return (
            f"{name}: code {code_hash} cannot be compared with {newest} here: its golden results"
            f" were recorded on {known_on}; this is {where}. Run the command there; or run it here,"
            f" first at a commit whose code is known as {newest}, then at this one; or use"
            " --new-version, which makes earlier trainings stale",
            False,
        )
    # the same result as a known version
    golden = result()
    for version in reversed(comparable):
        if same_numbers(versions[version]["golden"][where], golden):
            versions[version]["hashes"].append(code_hash)
            versions[version]["golden"][where] = golden
            return f"{name}: code {code_hash} gives the same numbers as {version}", True
    # a new version
    added = f"{name}-{len(versions) + 1}"
    versions[added] = Version(hashes=[code_hash], golden={where: golden})
    if newest is None:
        return f"{name}: {added} is code {code_hash}", True
    if newest not in comparable:
        return f"{name}: {added} is code {code_hash}, not compared with {newest}", True
    previous = versions[newest]["golden"][where]
    return (
        f"{name}: code {code_hash} gives other numbers than {newest} (golden {previous[:12]} ->"
        f" {golden[:12]}): it is {added}, and results of {newest} are stale",
        True,
    )


def _compare_known(
    version: str, known: Version, code_hash: str, where: str, golden: str
) -> tuple[str, bool]:
    recorded = known["golden"].setdefault(where, golden)
    if same_numbers(recorded, golden):
        known["golden"][where] = golden
        return f"{version}: code {code_hash} is known, golden {golden[:12]}", True
    return (
        f"{version}: code {code_hash} is known, but its golden result is {golden[:12]} here and"
        f" {recorded[:12]} in the record: something outside the hashed code changes the results,"
        " such as another package",
        False,
    )


def golden_results(names: Sequence[str] = ()) -> dict[str, tuple[str, Callable[[], str]]]:
    """Hash and golden result of each versioned code; the result is computed when it is called."""
    by_module: dict[str, list[TrialConfig]] = {}
    for trial in golden_trials():
        by_module.setdefault(trial.method.module(), []).append(trial)
    pieces: dict[str, tuple[str, Callable[[], str]]] = {
        code_name(module): (training_hash(module), partial(_in_a_folder, trials))
        for module, trials in by_module.items()
    }
    pieces[SCORING] = scoring_hash(), golden_scores
    return {name: piece for name, piece in pieces.items() if not names or name in names}


def _in_a_folder(trials: Sequence[TrialConfig]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return golden_weights(trials, Path(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and record all current code; returns 1 if some of it is not known afterwards."""
    parser = argparse.ArgumentParser(prog="python -m sweeper.trial.golden", description=__doc__)
    parser.add_argument(
        "--new-version",
        action="store_true",
        help="create a new version if the results cannot be compared on this machine",
    )
    options = parser.parse_args(arguments)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    versions, where = read_versions(), platform_key()
    is_known = True
    for name, (code_hash, result) in golden_results().items():
        known = versions.setdefault(name, {})
        line, is_recorded = enter(name, known, code_hash, where, result, is_new=options.new_version)
        is_known &= is_recorded
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    VERSIONS_FILE.write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")
    return 0 if is_known else 1


if __name__ == "__main__":
    sys.exit(main())
