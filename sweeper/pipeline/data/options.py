"""Options of an import, and the keys that identify an import."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeper.data.preprocessing import profile
from sweeper.data.privacy import salted
from sweeper.data.volume import files_of
from sweeper.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.data.layouts.source import SourceCase, SourceDataset
    from sweeper.data.preprocessing import LabelResize, Preprocessing
    from sweeper.data.splits import SplitRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Options of an import.

    Attributes:
        layout: Name of the layout, or `auto`.
        skip_bad: True to skip the cases that have errors.
        replace: True to replace a store of the same name with other files or options.
        label_resize: Label resizing; None for that of the profile.
        split: Rule that assigns cases to training or validation.
        split_seed: Seed of the `seeded` rule.
        structures: Names by label value, instead of the layout's.
        modality: `CT` or `MR` for all domains; None for what the source states.
        channel: Number or name of the channel of images with several, or more than one with commas;
            None for the layout's choice.
        salt: If given, the store has salted ids and no file names.
        processes: Number of processes; None for one per core.
        is_synthetic: True if the data is a phantom.
    """

    layout: str = "auto"
    skip_bad: bool = False
    replace: bool = False
    label_resize: LabelResize | None = None
    split: SplitRule = "desam"
    split_seed: int = 0
    structures: Mapping[int, str] | None = None
    modality: str | None = None
    channel: str | None = None
    salt: str | None = None
    processes: int | None = None
    is_synthetic: bool = False

    def settings(self, source: SourceDataset) -> dict[str, Preprocessing]:
        """Preprocessing by domain."""
        modalities = self.modalities(source)
        chosen = {
            domain: source.profiles.get(domain, "desam_ct" if modality == "CT" else "desam")
            for domain, modality in modalities.items()
        }
        has_several = self.channel is not None and "," in self.channel
        return {
            domain: replace(
                profile(name, label_resize=self.label_resize), scales_each_channel=has_several
            )
            for domain, name in chosen.items()
        }

    def modalities(self, source: SourceDataset) -> dict[str, str]:
        """Modality by domain, `CT` or `MR`; empty if neither the source nor the user states it.

        Raises:
            DataError: The user states another modality than the source.
        """
        modalities = {}
        for domain in sorted({case.domain for case in source.cases}):
            stated = source.modalities.get(domain, "")
            if stated and self.modality and stated != self.modality:
                raise DataError(
                    f"{domain} is {stated} in the source, but --modality is {self.modality}; remove"
                    " the option, or correct the source"
                )
            modalities[domain] = stated or self.modality or ""
        return modalities

    def label_values(self) -> dict[str, tuple[int, ...]]:
        """Structure -> its values in the labels, where the user named them."""
        named = self.structures or {}
        return {
            name: tuple(value for value in sorted(named) if named[value] == name)
            for name in named.values()
        }

    def split_words(self, cases: Sequence[SourceCase]) -> str:
        """The rule that split these cases in words, for the store and the terminal."""
        given = [case for case in cases if case.split is not None]
        if len(given) == len(cases):
            return "the source: its split column decides for all cases"
        if given:
            return (
                f"the source for {len(given)} of {len(cases)} cases; for the others by"
                f" {self._rule_words()}"
            )
        return self._rule_words()

    def _rule_words(self) -> str:
        if self.split == "seeded":
            return (
                f"seeded: 90 % of the cases of each domain train, drawn with seed {self.split_seed}"
            )
        return (
            "desam: the first 90 % of the cases of each domain, in the order of the source, train"
        )


def import_key(source: SourceDataset, options: ImportOptions) -> str:
    """Hash of names, sizes and times of all files, and of the options; opens no file."""
    files = []
    for case in source.cases:
        for path in (file for part in case.files for file in files_of(part)):
            stat = path.stat() if path.exists() else None
            name = path.relative_to(source.root) if path.is_relative_to(source.root) else path
            files.append([str(name), stat and stat.st_size, stat and stat.st_mtime_ns])
    return _digest([_choices(source, options), files])


def content_key(source: SourceDataset, options: ImportOptions, hashes: Sequence[str]) -> str:
    """Hash of the contents of all files, and of the options.

    Args:
        source: The source dataset.
        options: Options of the import.
        hashes: `hash_files` of each of its cases.
    """
    return _digest([_choices(source, options), list(hashes)])


def _choices(source: SourceDataset, options: ImportOptions) -> list[Any]:
    chosen = {
        name: getattr(options, name) for name in ("skip_bad", "split", "split_seed", "is_synthetic")
    }
    cases = [
        [
            c.case,
            c.domain,
            c.patient,
            c.split and c.split.value,
            sorted(c.label_map.items()),
            *([list(c.ignored)] if c.ignored else []),
            *c.channels,
        ]
        for c in source.cases
    ]
    settings = {d: s.as_mapping() for d, s in options.settings(source).items()}
    salt = options.salt and salted("import", options.salt)
    # a store from before patients were recorded is re-created if the source has patients
    version = ["patients kept"] if any(c.patient for c in source.cases) else []
    regions = [sorted(source.regions.items())] if source.regions else []
    return [cases, chosen, settings, source.structures, salt, *version, *regions]


def _digest(plain: list[Any]) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
