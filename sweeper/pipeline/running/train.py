"""Trains what a source hands out, on a Ray that is started or joined for it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

from sweeper.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeper.config.sweep import ResourcesConfig
    from sweeper.engine.ray_tune import Interrupt, JobSource
    from sweeper.pipeline.display import Display
    from sweeper.pipeline.running.listen import SweepListener
    from sweeper.pipeline.running.sources import TrainingSource
    from sweeper.plan.expand import Training
    from sweeper.records import Placement
    from sweeper.store.workspace import Workspace


def train(
    workspace: Workspace,
    source: TrainingSource,
    trainings: Sequence[Training],
    listener: SweepListener,
    display: Display,
    *,
    resources: ResourcesConfig,
    address: str | None,
    on_lost: Callable[[str], NoReturn] | None,
    continues: Mapping[str, str] | None = None,
) -> int:
    """Run every training of a source; the number of the signal that ended it early, else 0.

    Args:
        workspace: Where everything lies.
        source: Hands out the trainings.
        trainings: These, or as many that are like them: what is placed and counted.
        listener: Told what happens.
        display: Told what is being done.
        resources: What a training gets, as the search space says.
        address: Of the Ray cluster to join; None for this machine.
        on_lost: Called in another thread with the name of a local Ray process that has died; this
            thread may then be blocked forever. None: Ray is not watched.
        continues: Train id -> train id of the finished training of fewer epochs that it continues.

    Raises:
        ResourceError: There is no such cluster, or no room for the trainings on it.
    """
    from sweeper.engine import cluster, driver  # costs 4 s; a finished sweep needs no engine
    from sweeper.engine.preflight import check_machines, smallest_card_bytes
    from sweeper.engine.ray_guard import guarded
    from sweeper.pipeline.running.placement import check_packing, measured_gpu_peak, place
    from sweeper.pipeline.running.retry_loop import RetryLoop

    ledger = Ledger(workspace.trainings)
    display.phase("starting Ray")
    there = cluster.start(address)
    try:
        if address is not None:
            check_machines(workspace.root, _local_stores(trainings))
        placement = place(resources, there, trainings)
        cluster.check_fits(placement)
        peak = measured_gpu_peak(trainings, ledger) if 0 < placement.gpu < 1 else 0.0
        check_packing(placement, peak, smallest_card_bytes(placement.gpu) if peak else 0.0)
        display.begin(len(trainings), placement.max_concurrent)

        def run_jobs(jobs: JobSource, placement: Placement) -> Interrupt:
            return driver.run_jobs(jobs, placement, listener, workspace.logs / "ray")

        def lost(what: str) -> None:
            display.close()
            cluster.abandon()
            if on_lost is not None:
                on_lost(what)

        loop = RetryLoop(
            workspace=workspace,
            ledger=ledger,
            source=source,
            listener=listener,
            display=display,
            placement=placement,
            run_jobs=run_jobs,
            continues=continues or {},
        )
        with guarded(lost) if on_lost is not None and address is None else nullcontext():
            return loop.run()
    finally:
        display.close()
        listener.close()
        cluster.stop()


def _local_stores(trainings: Sequence[Training]) -> list[str]:
    """Paths that every machine must see; stores behind a URI are fetched by each."""
    paths = {
        path
        for training in trainings
        for path in (training.data.path, training.data.embeddings, training.data.background)
    }
    return sorted(path for path in paths if path is not None and "://" not in path)
