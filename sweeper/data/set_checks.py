"""Checks a dataset as a whole: duplicates, small sites, unknown domains, split patients."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from desam_model.types import Split
from sweeper.data.faults import Fault, Severity, relative
from sweeper.data.layouts.registry import layouts
from sweeper.data.layouts.source import SITE_ALIASES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.data.importer import CaseResult
    from sweeper.data.layouts.source import SourceCase, SourceDataset

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]*")
"""Allowed case ids and domains: they become parts of file names."""

FULL_SET: Mapping[str, int] = {
    "A-ISBI": 30,
    "B-ISBI_1.5": 30,
    "C-I2CVB": 19,
    "D-UCL": 13,
    "E-BIDMC": 12,
    "F-HK": 12,
}
"""Number of cases per site of the multi-site prostate dataset, 116 in total (sources.md S2)."""

MIN_SITES_OF_SET = 3
"""A source with at least so many of the six sites is compared with the full dataset."""

MIN_CASES = 2
"""A domain needs one case for training and one for validation."""


def check_source(source: SourceDataset) -> tuple[Fault, ...]:
    """Faults of files and names, duplicate ids, split patients, and domains too small to split."""
    faults = list(source.faults)
    counts = Counter(case.case for case in source.cases)
    for name, count in counts.items():
        if count > 1:
            files = [relative(c.image, source.root) for c in source.cases if c.case == name]
            faults.append(
                Fault(
                    code="case-duplicate",
                    where=files[1],
                    problem=f"case {name} occurs {count} times (also {files[0]})",
                    remedy="give each case its own id",
                    case=name,
                )
            )
    faults += _invalid_names(source)
    faults += _leaking_patients(source)
    faults += _incomplete(source)
    for domain, count in Counter(case.domain for case in source.cases).items():
        if count < MIN_CASES:
            faults.append(
                Fault(
                    code="too-few-cases",
                    where=domain,
                    problem=f"it has {count} case, but a domain needs at least {MIN_CASES} (one for"
                    " training, one for validation)",
                    remedy="add cases, or use it only as a target",
                    severity=Severity.WARNING,
                )
            )
        given = [c.split for c in source.cases if c.domain == domain and c.split is not None]
        is_target_only = set(given) == {Split.TEST}
        for split in (Split.TRAIN, Split.VALIDATION):
            is_given = len(given) == count >= MIN_CASES and not is_target_only
            if is_given and split not in given:
                faults.append(
                    Fault(
                        code="split-one-sided",
                        where=domain,
                        problem=f"none of its {count} cases is in split {split.value}",
                        remedy="correct the split column",
                    )
                )
    if not source.cases and not faults:
        faults.append(
            Fault(
                code="no-cases",
                where=source.root.name,
                problem=f"it contains no case of layout {source.layout}",
                remedy=f"expected {layouts()[source.layout].marker}; name the right folder or"
                " another --layout",
            )
        )
    return tuple(faults)


def _invalid_names(source: SourceDataset) -> list[Fault]:
    """Case ids that are not valid in file names; sites that are not one of the six."""
    faults = [
        Fault(
            code="case-name",
            where=relative(case.image, source.root),
            problem=f"{kind} {name!r} is not valid in file names on all systems",
            remedy="use letters a to z, digits, dots, dashes, underscores and spaces, starting with"
            " a letter or digit",
            case=case.case,
        )
        for case in source.cases
        for kind, name in (("case", case.case), ("site", case.domain))
        if not NAME.fullmatch(name)
    ]
    if layouts()[source.layout].has_prostate_sites and "prostate" in source.structures:
        known = sorted(set(SITE_ALIASES.values()))
        for domain in sorted({case.domain for case in source.cases} - set(known)):
            faults.append(
                Fault(
                    code="site-unknown",
                    where=domain,
                    problem=f"it is not one of the six sites ({', '.join(known)})",
                    remedy="correct the name if it is; otherwise it becomes a separate domain",
                    severity=Severity.WARNING,
                )
            )
    return faults


def _incomplete(source: SourceDataset) -> list[Fault]:
    """A warning if the six-site dataset differs from the one that published tables use."""
    counts = Counter(case.domain for case in source.cases)
    if sum(site in counts for site in FULL_SET) < MIN_SITES_OF_SET:
        return []
    differing = [f"{s} {counts[s]} of {n}" for s, n in FULL_SET.items() if counts[s] != n]
    if not differing:
        return []
    present, expected = sum(counts[site] for site in FULL_SET), sum(FULL_SET.values())
    return [
        Fault(
            code="set-incomplete",
            where=source.root.name,
            problem=f"the full prostate dataset has {expected} cases, but this has {present}:"
            f" {', '.join(differing)}",
            remedy="use the same cases if you compare with published tables",
            severity=Severity.WARNING,
        )
    ]


def _leaking_patients(source: SourceDataset) -> list[Fault]:
    """Patients with scans in two domains, or on both sides of a given split: both leak."""
    faults = []
    first: dict[str, SourceCase] = {}
    for case in source.cases:
        other = first.setdefault(case.patient or f"case {case.case}", case)
        if other.domain != case.domain:
            problem = f"patient {case.patient} is also in {other.domain}, as {other.case}"
            remedy = (
                "remove one: a patient in two domains leaks the target; if they are two people,"
                " give them different ids"
            )
        elif other.split != case.split:
            sides = " and ".join(c.split.value if c.split else "none" for c in (other, case))
            problem = f"patient {case.patient} has the splits {sides}, the first for {other.case}"
            remedy = "give all scans of a patient the same split"
        else:
            continue
        faults.append(
            Fault(
                code="patient-twice",
                where=case.case,
                problem=problem,
                remedy=remedy,
                case=case.case,
            )
        )
    return faults


def check_results(results: Sequence[CaseResult]) -> tuple[Fault, ...]:
    """Scans with the same voxels in two cases; colour among grey; some without an orientation."""
    faults = _mixed_channels(results) + _mixed_orientation(results)
    first: dict[str, CaseResult] = {}
    for result in results:
        if not result.voxel_hash:
            continue
        other = first.setdefault(result.voxel_hash, result)
        if other.case.case != result.case.case:
            across = other.case.domain != result.case.domain
            is_one_patient = result.case.patient == other.case.patient != ""
            leak = "leaks the target" if across else "leaks between the splits"
            faults.append(
                Fault(
                    code="patient-twice",
                    where=result.case.case,
                    problem=f"its image has the same voxels as {other.case.case}"
                    + (f" of {other.case.domain}" if across else ""),
                    remedy="remove one: a scan counts once"
                    if is_one_patient and not across
                    else f"remove one: a patient in two {'domains' if across else 'cases'} {leak}",
                    case=result.case.case,
                )
            )
    return tuple(faults)


def _mixed_channels(results: Sequence[CaseResult]) -> list[Fault]:
    """Grey images among colour images or the reverse; the rarer kind gets the fault."""
    counts = Counter(result.n_channels for result in results if result.n_channels)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    names = {1: "grey", 3: "in colour"}
    return [
        Fault(
            code="channels-mixed",
            where=result.case.image.name,
            problem=f"it is {names.get(result.n_channels, f'of {result.n_channels} channels')}, but"
            f" {counts[usual]} other images are {names.get(usual, f'of {usual} channels')}",
            remedy="export all images in the same way",
            case=result.case.case,
        )
        for result in results
        if result.n_channels not in (0, usual)
    ]


def _mixed_orientation(results: Sequence[CaseResult]) -> list[Fault]:
    """A warning if some volumes state their orientation and others do not."""
    stated = [r.case for r in results if r.states_orientation]
    unstated = [r.case for r in results if r.states_orientation is False]
    if not stated or not unstated:
        return []
    domains = ", ".join(sorted({case.domain for case in unstated}))
    return [
        Fault(
            code="geometry-mixed",
            where=domains,
            problem=f"{len(unstated)} of {len(stated) + len(unstated)} images state no orientation,"
            f" such as {unstated[0].case}; others do, such as {stated[0].case}",
            remedy="compare both on the contact sheet; if the anatomy is turned or flipped, add the"
            " scanner's affine",
            severity=Severity.WARNING,
        )
    ]
