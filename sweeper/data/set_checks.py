"""What is wrong with a dataset as a whole: duplicates, sites too small, domains unknown."""

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
"""What ids and domains may look like: they become parts of file names."""

FULL_SET: Mapping[str, int] = {
    "A-ISBI": 30,
    "B-ISBI_1.5": 30,
    "C-I2CVB": 19,
    "D-UCL": 13,
    "E-BIDMC": 12,
    "F-HK": 12,
}
"""Cases of each site of the multi-site prostate set, 116 in all (sources.md S2)."""

MIN_SITES_OF_SET = 3
"""A source with as many of the six sites is meant to be that set, and is told what it lacks."""

MIN_CASES = 2
"""A domain needs one case to train and one to validate."""


def check_source(found: SourceDataset) -> tuple[Fault, ...]:
    """The layout's own faults, duplicate ids, and domains too small to split."""
    faults = list(found.faults)
    counts = Counter(case.case for case in found.cases)
    for name, count in counts.items():
        if count > 1:
            files = [relative(c.image, found.root) for c in found.cases if c.case == name]
            faults.append(
                Fault(
                    code="case-duplicate",
                    where=files[1],
                    problem=f"case {name} stands {count} times (also {files[0]})",
                    remedy="give each case its own id",
                    case=name,
                )
            )
    faults += _names(found)
    faults += _patients(found)
    faults += _incomplete(found)
    for domain, count in Counter(case.domain for case in found.cases).items():
        if count < MIN_CASES:
            faults.append(
                Fault(
                    code="too-few-cases",
                    where=domain,
                    problem=f"{count} case, a domain needs at least {MIN_CASES} (one trains, one"
                    " validates)",
                    remedy="add cases; as it is, it can only be a target",
                    severity=Severity.WARNING,
                )
            )
        given = [c.split for c in found.cases if c.domain == domain and c.split is not None]
        for split in Split:
            if len(given) == count >= MIN_CASES and split not in given:
                faults.append(
                    Fault(
                        code="split-one-sided",
                        where=domain,
                        problem=f"none of its {count} cases is in split {split.value}",
                        remedy="mend the split column",
                    )
                )
    if not found.cases and not faults:
        faults.append(
            Fault(
                code="no-cases",
                where=found.root.name,
                problem=f"layout {found.layout} finds no case in it",
                remedy=f"it is told by {layouts()[found.layout].marker}; name the right folder or"
                " another --layout",
            )
        )
    return tuple(faults)


def _names(found: SourceDataset) -> list[Fault]:
    """Case ids that cannot name a file; sites that are none of the six."""
    faults = [
        Fault(
            code="case-name",
            where=relative(case.image, found.root),
            problem=f"{kind} {name!r} cannot become part of a file name everywhere",
            remedy="use letters a to z, digits, dots, dashes, underscores and spaces, the first a"
            " letter or digit",
            case=case.case,
        )
        for case in found.cases
        for kind, name in (("case", case.case), ("site", case.domain))
        if not NAME.fullmatch(name)
    ]
    if layouts()[found.layout].has_prostate_sites:
        known = sorted(set(SITE_ALIASES.values()))
        for domain in sorted({case.domain for case in found.cases} - set(known)):
            faults.append(
                Fault(
                    code="site-unknown",
                    where=domain,
                    problem=f"it is none of the six sites ({', '.join(known)})",
                    remedy="mend the name if it is one of them; else it is a domain of its own",
                    severity=Severity.WARNING,
                )
            )
    return faults


def _incomplete(found: SourceDataset) -> list[Fault]:
    """A warning if the six-site set has not the cases that published tables rest on."""
    counts = Counter(case.domain for case in found.cases)
    if sum(site in counts for site in FULL_SET) < MIN_SITES_OF_SET:
        return []
    other = [f"{s} {counts[s]} of {n}" for s, n in FULL_SET.items() if counts[s] != n]
    if not other:
        return []
    have, wanted = sum(counts[site] for site in FULL_SET), sum(FULL_SET.values())
    differing = ", ".join(other)
    return [
        Fault(
            code="set-incomplete",
            where=found.root.name,
            problem=f"the full prostate set has {wanted} cases, this one {have}: {differing}",
            remedy="add or remove cases for a table that compares with published ones",
            severity=Severity.WARNING,
        )
    ]


def _patients(found: SourceDataset) -> list[Fault]:
    """Scans of one patient that would leak: in two domains, or on both sides of a given split."""
    faults = []
    first: dict[str, SourceCase] = {}
    for case in found.cases:
        other = first.setdefault(case.patient or f"case {case.case}", case)
        if other.domain != case.domain:
            problem = f"patient {case.patient} is in {other.domain} too, as {other.case}"
            remedy = (
                "remove one: a patient in two domains leaks the target; if they are two people,"
                " give each an id of their own"
            )
        elif other.split != case.split:
            sides = " and ".join(c.split.value if c.split else "none" for c in (other, case))
            problem = f"patient {case.patient} has the splits {sides}, the first as {other.case}"
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
    """The same scan under two cases, found by its voxels; colour and grey mixed."""
    faults = _mixed_channels(results)
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
    """Grey among colour images or the reverse: the fewer of them are at fault."""
    counts = Counter(result.n_channels for result in results if result.n_channels)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    names = {1: "grey", 3: "in colour"}
    return [
        Fault(
            code="channels-mixed",
            where=result.case.image.name,
            problem=f"it is {names.get(result.n_channels, f'of {result.n_channels} channels')}, and"
            f" {counts[usual]} other images are {names.get(usual, f'of {usual} channels')}",
            remedy="export all images in one way",
            case=result.case.case,
        )
        for result in results
        if result.n_channels not in (0, usual)
    ]
