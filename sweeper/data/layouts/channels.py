"""Selects the channel of images with several: nnU-Net's files `_0000`, `_0001`, or 4-D files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.data.faults import Fault, Severity
from sweeper.data.volume import stem_of
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.data.layouts.source import SourceCase, SourceDataset

CHANNEL = "_0000"
"""nnU-Net's suffix of the first image channel."""

LEFT_OUT = "channels-left-out"


def select_channel(source: SourceDataset, chosen: str) -> SourceDataset:
    """The source with the chosen channel of every image.

    Args:
        source: What a layout read.
        chosen: Number of the channel, or its name in `dataset.json`.

    Raises:
        DataError: The source states its channels, and this is not one of them.
    """
    names = [name.lower() for name in source.channels]
    if chosen.lower() in names:
        number = names.index(chosen.lower())
    elif chosen.isdecimal() and (not names or int(chosen) < len(names)):
        number = int(chosen)
    else:
        known = ", ".join(f"{n} ({name})" for n, name in enumerate(source.channels))
        raise DataError(
            f"--channel is {chosen!r}, expected one of {known}"
            if known
            else f"--channel is {chosen!r}, expected a number, because the source names no channels"
        )
    return replace(
        source,
        cases=tuple(_with_channel(case, number) for case in source.cases),
        faults=tuple(fault for fault in source.faults if fault.code != LEFT_OUT),
    )


def channels_left_out(where: str, names: Sequence[str]) -> Fault:
    """A warning: images have several channels, and only the first is read."""
    shown = ", ".join(names)
    return Fault(
        code=LEFT_OUT,
        where=where,
        problem=f"its images have {len(names)} channels ({shown}), of which only the first is read",
        remedy="choose another with --channel",
        severity=Severity.WARNING,
    )


def _with_channel(case: SourceCase, number: int) -> SourceCase:
    stem = stem_of(case.image)
    if not stem.endswith(CHANNEL):
        return replace(case, channel=number)
    name = f"{stem.removesuffix(CHANNEL)}_{number:04d}{case.image.name[len(stem) :]}"
    return replace(case, image=case.image.with_name(name))
