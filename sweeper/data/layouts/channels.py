"""Selects channels of images with several: nnU-Net's files `_0000`, `_0001`, or 4-D files."""

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


def select_channels(source: SourceDataset, chosen: str) -> SourceDataset:
    """The source with the chosen channels of every image, in the order of the choice.

    Args:
        source: What a layout read.
        chosen: Number of a channel, or its name in `dataset.json`; several with commas.

    Raises:
        DataError: The source states its channels, and this is not one of them.
    """
    numbers = [_number(source, name.strip()) for name in chosen.split(",")]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"--channel is {chosen!r}; name each channel once")
    return replace(
        source,
        cases=tuple(_with_channels(case, numbers) for case in source.cases),
        faults=tuple(fault for fault in source.faults if fault.code != LEFT_OUT),
    )


def _number(source: SourceDataset, chosen: str) -> int:
    names = [name.lower() for name in source.channels]
    if chosen.lower() in names:
        return names.index(chosen.lower())
    if chosen.isdecimal() and (not names or int(chosen) < len(names)):
        return int(chosen)
    known = ", ".join(f"{n} ({name})" for n, name in enumerate(source.channels))
    raise DataError(
        f"--channel is {chosen!r}, expected one of {known}"
        if known
        else f"--channel is {chosen!r}, expected a number, because the source names no channels"
    )


def channels_left_out(where: str, names: Sequence[str]) -> Fault:
    """A warning: images have several channels, and only the first is read."""
    shown = ", ".join(names)
    return Fault(
        code=LEFT_OUT,
        where=where,
        problem=f"its images have {len(names)} channels ({shown}), of which only the first is read",
        remedy="choose another with --channel, or several with commas",
        severity=Severity.WARNING,
    )


def _with_channels(case: SourceCase, numbers: Sequence[int]) -> SourceCase:
    stem = stem_of(case.image)
    if not stem.endswith(CHANNEL):
        return replace(case, channels=tuple(numbers))
    case_name, suffix = stem.removesuffix(CHANNEL), case.image.name[len(stem) :]
    image, *more = (case.image.with_name(f"{case_name}_{n:04d}{suffix}") for n in numbers)
    return replace(case, image=image, more_images=tuple(more))
