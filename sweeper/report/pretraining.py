"""What a table says about the pretraining of its encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.report.encoder_names import is_random, with_pretraining

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeper.report.entries import Entry
    from sweeper.report.query import Query


def encoder_words(query: Query) -> str:
    """The encoders of a table with their pretraining, as a clause of the caption."""
    tags = [entry.run.tags for entry in query.entries if entry.run is not None]
    used = {(t["encoder"], t.get("encoder_weights", "")) for t in tags if t.get("encoder")}
    parts = [with_pretraining(name, weights) for name, weights in sorted(used)]
    return f"encoder{'s' if len(parts) > 1 else ''} {'; '.join(parts) or 'none'}"


def random_weights(query: Query) -> list[str]:
    """The draft reason that an encoder has random weights; empty if none has."""
    used = {entry.run.tags.get("encoder", "") for entry in query.entries if entry.run is not None}
    names = sorted(name for name in used if is_random(name))
    return [f"random weights in encoder {', '.join(names)}"] if names else []


def encoder_of_row(entry: Entry, rows: Iterable[str]) -> str:
    """The encoder settings that distinguish the rows; with these, encoders differ on purpose."""
    return " ".join(entry.values.get(key, "") for key in rows if key.startswith("encoder."))
