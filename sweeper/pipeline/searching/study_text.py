"""How searches read on the terminal: what each method may spend, what was spent, what won."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.records import ENDED, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeper.config.sweep import Sweep
    from sweeper.pipeline.searching.records import StudyRecord
    from sweeper.pipeline.searching.studies import OpenStudy


def budget_lines(sweep: Sweep, studies: Sequence[OpenStudy]) -> list[str]:
    """What each method may spend on its search, and whether that is the same for all."""
    lines, budgets = [], {}
    for method, cells in _by_method(studies).items():
        epochs = sum(cell.budget * cell.epochs for cell in cells)
        per_cell = sorted({(cell.budget, cell.epochs) for cell in cells})
        each = ", ".join(f"{n} trainings of up to {epochs} epochs" for n, epochs in per_cell)
        lines.append(f"  {method}: {len(cells)} cells, each {each}: {epochs} epochs")
        budgets[method] = tuple(per_cell)
    unsearched = sorted({trial.method.label() for trial in sweep.trials} - set(budgets))
    lines += [f"  {method}: nothing searched" for method in unsearched]
    is_equal = len(set(budgets.values())) <= 1 and not unsearched
    comparison = "the same for every method" if is_equal else "UNEQUAL between methods"
    return [f"search budget ({comparison}):", *lines]


def _by_method(studies: Iterable[OpenStudy]) -> dict[str, list[OpenStudy]]:
    cells: dict[str, list[OpenStudy]] = {}
    for study in studies:
        cells.setdefault(study.method, []).append(study)
    return cells


def former_lines(left: Sequence[OpenStudy]) -> list[str]:
    """What becomes of searches that a former version left unfinished."""
    names = [study.name for study in left if study.former_path.exists() and study.record() is None]
    if not names:
        return []
    return [
        f"{', '.join(names)}: searched again, because an earlier version did not finish it;"
        " trainings that are proposed again are not trained twice"
    ]


def outcome_lines(studies: Sequence[OpenStudy]) -> list[str]:
    """What was spent and what won, by method and cell."""
    lines = []
    for method, cells in _by_method(studies).items():
        records = [(cell, record) for cell in cells if (record := cell.record()) is not None]
        statuses = [tried.status for _, record in records for tried in record.tried]
        spent = sum(record.epochs_spent for _, record in records)
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in ENDED)
        lines.append(
            f"searched {method}: {len(statuses)} trainings, {counts}; {spent} of"
            f" {sum(cell.budget * cell.epochs for cell in cells)} epochs spent"
        )
        lines += [f"  {cell.name}: {_winner_text(cell, record)}" for cell, record in records]
    return lines


def _winner_text(cell: OpenStudy, record: StudyRecord) -> str:
    if not record.is_finished:
        n_left = sum(tried.status is TrialStatus.STARTED for tried in record.tried)
        return f"not finished ({n_left} trainings have not ended); the same command resumes it"
    won = record.winner
    if won is None:
        return "no training of the search completed"
    params = ", ".join(f"{key} {short(value)}" for key, value in won.params.items())
    scores = ", ".join(
        f"{name} {short(value)}"
        for name, value in zip(cell.study.search.metric, won.objectives or (), strict=True)
    )
    return f"{params} ({scores})"


def short(value: Any) -> str:
    """A value for people: four digits of a fraction."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
