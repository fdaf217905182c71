"""What `source:` may say: one domain, several, all of them, or an axis over the dataset's domains.

Several domains are one text, `A+B`, in configs, identities, tables and MLflow, so that a single
source is what it always was. No domain has a plus sign in its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALL = "all"
"""Training on every domain, which only a cross-validated upper bound can be tested with."""

_PLUS = "+"


def joined(domains: Sequence[str]) -> str:
    """The text of a source: `A+B` for the domains A and B."""
    return _PLUS.join(domains)


def domains_in(source: str, domains: Sequence[str] = ()) -> tuple[str, ...]:
    """The domains that a source trains on.

    Args:
        source: A resolved source, such as `A`, `A+B` or `all`.
        domains: The dataset's domains, which `all` stands for; without them `all` names none.
    """
    return tuple(domains) if source == ALL else tuple(source.split(_PLUS))


@dataclass(frozen=True, slots=True)
class SourceAxis:
    """An axis over the dataset's domains, written `{grid: NAME}`.

    Attributes:
        name: Its name in a search space.
        words: What is trained on, before "the 3 domains of ...".
        sources: The sources of a dataset with the given domains.
    """

    name: str
    words: str
    sources: Callable[[tuple[str, ...]], tuple[str, ...]]

    @property
    def text(self) -> str:
        """What a trial's `source` is until the dataset is known."""
        return f"{{grid: {self.name}}}"


def _all_but_each(domains: tuple[str, ...]) -> tuple[str, ...]:
    if len(domains) == 1:
        return domains  # the plan refuses it, as it has no target
    return tuple(joined([d for d in domains if d != left_out]) for left_out in domains)


AXES: Mapping[str, SourceAxis] = {
    axis.name: axis
    for axis in (
        SourceAxis("sites", "each of", lambda domains: domains),
        SourceAxis("leave_one_out", "all but one of", _all_but_each),
    )
}


def axis_of(source: str) -> SourceAxis | None:
    """The axis that a trial's source stands for, if it does."""
    return next((axis for axis in AXES.values() if axis.text == source), None)


def _one_text(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    if not value or not all(isinstance(domain, str) for domain in value):
        raise ValueError(f"is {list(value)!r}, expected the names of one or more domains")
    repeated = sorted({domain for domain in value if value.count(domain) > 1})
    if repeated:
        raise ValueError(f"names {repeated[0]} twice; remove one")
    if len(value) > 1 and ALL in value:
        raise ValueError(f"names {ALL} beside other domains; name the domains alone")
    return joined(value)


Source = Annotated[
    str,
    BeforeValidator(_one_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
"""A trial's source; a list in YAML."""
