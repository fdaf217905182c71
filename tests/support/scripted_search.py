"""A search whose trainings follow scripts: Optuna, the retry loop, Ray and the worker are real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripted import Sweep
from toy_plan import FACTS

from sweeper.config.sweep import check_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.pipeline.searching.source import SearchSource
from sweeper.pipeline.searching.studies import OpenStudy, open_studies
from sweeper.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sweeper.records import Placement
    from sweeper.search.study import Tried
    from sweeper.store.ledger import TrainingFolder

SPACE = """
name: s
trial:
  source: A
  method: {{name: desam}}
  training: {{batch_size: 4, epochs: 3, weight_decay: {{choice: [{numbers}]}}}}
search: {search}
"""


class ScriptedSearch:
    """A search in a folder; its trainings differ in their weight decay: 0, 1, 2, ...

    Args:
        root: The workspace.
        scripts: What each of them does.
        count: How many there are.
        placement: What each gets.
        search: The space's `search:`.
    """

    def __init__(
        self,
        root: Path,
        scripts: Mapping[int, Sequence[Any]],
        count: int,
        placement: Placement,
        search: str,
    ) -> None:
        self.sweep = Sweep(root=root, scripts=scripts, seeds=1, placement=placement)
        numbers = ", ".join(f"{number}.0" for number in range(count))
        text = SPACE.format(numbers=numbers, search=search)
        self._space = check_sweep(parse_yaml(text, Path("s.yaml")))

    def study(self) -> OpenStudy:
        """The search's only study, as it stands."""
        (study,) = open_studies(Workspace(self.sweep.root), self._space, lambda _: FACTS)
        return study

    def tried(self) -> dict[int, Tried]:
        """What was tried, by weight decay."""
        record = self.study().record()
        return {int(t.params["training.weight_decay"]): t for t in record.tried}

    def folder(self, number: int) -> TrainingFolder:
        """Of the training with this weight decay."""
        return self.sweep.ledger.folder(self.tried()[number].train_id)

    def times_ended(self) -> set[int]:
        """How often trainings were trained to their end."""
        ends = (self.sweep.root / "ends.txt").read_text().split()
        return {ends.count(train_id) for train_id in ends}

    def run(self) -> int:
        """Run to the end; the signal that ended it."""
        source = SearchSource([self.study()], self.sweep.ledger)
        return self.sweep.run_source(source)
