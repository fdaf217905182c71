"""What a person may choose of an import, and the keys that tell one import from another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.data.preprocessing import profile
from sweeper.data.privacy import salted
from sweeper.data.volume import files_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.data.layouts.source import SourceDataset
    from sweeper.data.preprocessing import LabelResize, Preprocessing
    from sweeper.data.splits import SplitRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What a person may choose of an import.

    Attributes:
        layout: Name of the layout, or `auto`.
        skip_bad: Go on without the cases that have errors.
        replace: Replace a store of that name made from other files or with other options.
        label_resize: Instead of the profile's own.
        split: Rule that tells training from validation cases.
        split_seed: Of the seeded rule.
        structures: Label value -> name, for the layouts that leave it open.
        salt: With one, the store keeps salted ids and no file names.
        processes: Processes at work; None for one a core.
        is_synthetic: The data is a phantom.
    """

    layout: str = "auto"
    skip_bad: bool = False
    replace: bool = False
    label_resize: LabelResize | None = None
    split: SplitRule = "desam"
    split_seed: int = 0
    structures: Mapping[int, str] | None = None
    salt: str | None = None
    processes: int | None = None
    is_synthetic: bool = False

    def settings(self, found: SourceDataset) -> dict[str, Preprocessing]:
        """Domain -> how its volumes are prepared."""
        domains = sorted({case.domain for case in found.cases})
        return {
            domain: profile(found.profiles.get(domain, "desam"), label_resize=self.label_resize)
            for domain in domains
        }

    def split_words(self) -> str:
        """The split rule as the store and the terminal say it."""
        if self.split == "seeded":
            return (
                f"seeded: 90 % of the cases of each domain train, drawn with seed {self.split_seed}"
            )
        return (
            "desam: the first 90 % of the cases of each domain, in the order of the source, train"
        )


def import_key(found: SourceDataset, options: ImportOptions) -> str:
    """Hash of names, sizes and times of all files, and of what changes the store; reads no file."""
    files = []
    for case in found.cases:
        for path in (*files_of(case.image), *files_of(case.label)):
            stat = path.stat() if path.exists() else None
            where = path.relative_to(found.root) if path.is_relative_to(found.root) else path
            files.append([str(where), stat and stat.st_size, stat and stat.st_mtime_ns])
    return _digest([_choices(found, options), files])


def content_key(found: SourceDataset, options: ImportOptions, hashes: Sequence[str]) -> str:
    """The same with the contents of all files in the place of their names, sizes and times.

    Args:
        found: The source.
        options: Of the import.
        hashes: `hash_files` of each of its cases.
    """
    return _digest([_choices(found, options), list(hashes)])


def _choices(found: SourceDataset, options: ImportOptions) -> list[Any]:
    chosen = {
        name: getattr(options, name) for name in ("skip_bad", "split", "split_seed", "is_synthetic")
    }
    cases = [
        [c.case, c.domain, c.patient, c.split and c.split.value, sorted(c.label_map.items())]
        for c in found.cases
    ]
    settings = {d: s.as_mapping() for d, s in options.settings(found).items()}
    salt = options.salt and salted("import", options.salt)
    return [cases, chosen, settings, found.structures, salt]


def _digest(plain: list[Any]) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
