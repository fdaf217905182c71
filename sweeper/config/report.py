"""The `report:` key of a search space: the table that a plain `sweeper report` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from desam_model.scoring.metric_table import MAIN
from desam_model.scoring.protocol_table import PROTOCOLS, RELEASED, protocol_choices
from sweeper.config.base import Strict
from sweeper.config.metric import MetricName, metric_choices

Columns = Literal["source", "target", "matrix", "structure", "by_structure", "encoder"]
Aggregate = Literal["cases", "sites"]
Undefined = Literal["nan", "skip", "worst"]
if TYPE_CHECKING:
    ProtocolName: TypeAlias = str
else:
    ProtocolName = Literal[tuple(PROTOCOLS)]


class ReportSpec(Strict):
    """A query over scores; the table's caption states all of it."""

    title: str = Field(default="", description="First line of the caption.")
    rows: str = Field(
        default="method",
        description="The key that distinguishes rows: method, ablation, grid_size, encoder, pool,"
        " or any key of a trial such as training.lr; separate several keys with commas.",
    )
    columns: Columns = Field(
        description="The direction; it has no default. source: trained on the column, tested on all"
        " others; target: tested on the column, trained on each of the others; matrix: source x"
        " target; structure: direction x organ; by_structure: the organ, over all directions;"
        " encoder: the encoder with precision and pooling, over all directions.",
    )
    aggregate: Aggregate = Field(
        default="cases",
        description="cases: all target cases pooled, as released (sources.md S5); sites: mean of"
        " the target sites' means.",
    )
    protocol: ProtocolName = Field(default=RELEASED.name, description=f"{protocol_choices()}.")
    metric: MetricName = Field(default=MAIN.name, description=f"{metric_choices()}.")
    digits: Literal[1, 2] | None = Field(
        default=None, description="Decimals of printed values; by default those of the metric."
    )
    names: dict[str, str] = Field(
        default_factory=dict,
        description="Printed names of rows and columns by their own names, such as `{full: DeSAM,"
        " A-ISBI: RUNMC, Overall: Mean}`.",
    )
    baseline: str | None = Field(
        default=None, description="The row that the others are compared with."
    )
    stars: bool = Field(
        default=True,
        description="With a baseline: stars on cells that differ from the baseline's,"
        " over seeds and patients (Holm over all cells of the table; three seeds at least).",
    )
    undefined: Undefined = Field(
        default="nan",
        description="nan: a cell with an undefined case is undefined; skip: the mean over the"
        " defined cases, marked with their number; worst: a distance of an empty prediction counts"
        " as the diagonal of the scan, other undefined cases as with nan.",
    )
    select: Literal["none", "validation_loss", "source_dice"] = Field(
        default="none",
        description="With searched values: keep each cell's best training by this source-validation"
        " number. Target scores never select.",
    )
    unequal: tuple[Literal["epochs", "steps", "search"], ...] = Field(
        default=(),
        description="Budgets that differ between rows on purpose; the table names the difference,"
        " and `--final` refuses one that is not declared here.",
    )
    where: tuple[str, ...] = Field(
        default=(),
        description="Only trainings with these settings, as KEY=VALUE; the caption lists them.",
    )
    published: bool | None = Field(
        default=None,
        description="Add the paper's rows, dimmed and cited, where they exist; by default only with"
        " real data, all six source sites and at least the paper's number of epochs.",
    )
