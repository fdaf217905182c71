"""The `report:` key of a search space: which table a bare `sweeper report` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import PROTOCOLS, RELEASED, protocol_choices
from sweeper.config.base import Strict
from sweeper.config.metric import MetricName, metric_choices

Columns = Literal["source", "target", "matrix", "structure"]
Aggregate = Literal["cases", "sites"]
if TYPE_CHECKING:
    ProtocolName: TypeAlias = str
else:
    ProtocolName = Literal[tuple(PROTOCOLS)]


class ReportSpec(Strict):
    """A query over rows; every caption says all of it."""

    title: str = Field(default="", description="First line of the caption.")
    rows: str = Field(
        default="method",
        description="What a row is: method, ablation, grid_size, or any key of a trial such as"
        " training.lr; several with commas.",
    )
    columns: Columns = Field(
        description="The direction; it has no default. source: trained on the column, tested on all"
        " others; target: tested on the column, trained on each other; matrix: source x target;"
        " structure: direction x organ.",
    )
    aggregate: Aggregate = Field(
        default="cases",
        description="cases: all target cases pooled, as released (sources.md S5); sites: mean of"
        " the target sites' means.",
    )
    protocol: ProtocolName = Field(default=RELEASED.name, description=f"{protocol_choices()}.")
    metric: MetricName = Field(default=MAIN.name, description=f"{metric_choices()}.")
    baseline: str | None = Field(
        default=None, description="The row that differences and tests are taken against."
    )
    stars: bool = Field(
        default=True,
        description="With a baseline: stars on cells whose patients differ from the baseline's"
        " (Wilcoxon signed-rank, Holm over all cells of the table).",
    )
    undefined: Literal["nan", "skip"] = Field(
        default="nan",
        description="nan: a cell with an undefined case is undefined; skip: the mean over the"
        " defined cases, marked with their number.",
    )
    select: Literal["none", "validation_loss", "source_dice"] = Field(
        default="none",
        description="With searched values: keep each cell's best training by this source-validation"
        " number. Target scores never select.",
    )
    where: tuple[str, ...] = Field(
        default=(),
        description="Only trainings with these settings, each as KEY=VALUE; the caption says so.",
    )
    published: bool | None = Field(
        default=None,
        description="Add the paper's rows, dimmed and cited, where it has them; by default with"
        " real data, all six source sites and at least the paper's epochs.",
    )
