"""The README of a bundle: what it holds, how to check it, and how to make it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeper.pipeline.bundling.archive import SUMS
from sweeper.report.costs import duration_text
from sweeper.report.formats.text import markdown_table
from sweeper.report.words import counted, draft_lines
from sweeper.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.report.table import ReportTable

_FILES = (
    ("tables/", "The tables with their captions, statistics and costs: Markdown, CSV, LaTeX, JSON"),
    ("rows.csv", "Every value: one line per case, protocol and metric of every planned scoring"),
    ("spaces/", "The search spaces, complete, with the table under `report:`"),
    ("trainings/", "Per training: config, identity, machine, SHA-256 of the weights"),
    ("bundle.json", "Fingerprints of data and encoders, versions, git state, draft reasons"),
    ("packages.txt", "Every Python package where the bundle was written"),
    (SUMS, "Checksums of all other files; `sha256sum -c SHA256SUMS`"),
)


def readme(
    about: Mapping[str, Any],
    files: Mapping[str, str],
    built: Sequence[ReportTable],
    records: Mapping[str, Mapping[str, Any]],
) -> str:
    """The README in Markdown.

    Args:
        about: The content of `bundle.json`.
        files: The other files by name.
        built: The tables.
        records: The trainings.
    """
    spaces = sorted(name for name in files if name.startswith("spaces/"))
    seconds = sum(record["seconds"] or 0.0 for record in records.values())
    warnings = dict.fromkeys(line for table in built for line in draft_lines(table))
    parts = [
        f"# Results of {', '.join(about['sweeps'])}",
        f"Written by `sweeper bundle`, version {__version__}."
        f" {counted(len(records), 'training')}, {duration_text(seconds)} of training in all.",
        *(f"**{line}**" for line in warnings),
        markdown_table(("file", "content"), _FILES, ()).strip(),
        "## Check it\n\n" + _block(["sweeper verify THIS.zip --sample 3"]),
        "This repeats three trainings, chosen at random by `--seed`, on the data of your workspace,"
        " and compares all of their values: bit by bit where processor, threads and versions are"
        " those of the record, and elsewhere with a t test on the mean Dice, whose unit is the"
        " spread of seeds. It needs the code of the same version"
        f" (git {', '.join(about['versions'].get('git_commit', ())) or 'unknown'}).",
        "## Make it anew\n\n"
        + _block(
            [
                *(f"sweeper data import FOLDER --name {d['name']}" for d in _imported(about)),
                *(f"sweeper run {space}" for space in spaces),
                f"sweeper report {' '.join(spaces)} --statistics --costs",
            ]
        ),
        _data_text(about),
    ]
    return "\n\n".join(parts) + "\n"


def _block(lines: Sequence[str]) -> str:
    return "\n".join(["```", *dict.fromkeys(lines), "```"])


def _imported(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The datasets that are not made by the program."""
    return [data for data in about["datasets"] if data and not data.get("synthetic")]


def _data_text(about: Mapping[str, Any]) -> str:
    """What data and encoders must be for the same identities."""
    lines = [
        f"- dataset {data['name']}: fingerprint {data['fingerprint']}, domains"
        f" {', '.join(data['domains'])}"
        for data in about["datasets"]
        if data
    ]
    lines += [
        f"- encoder {encoder['encoder']}: weights {encoder['weights']}, embeddings"
        f" {encoder['embeddings']} ({encoder['precision']}, pool {encoder['pool']})"
        for encoder in about["encoders"]
    ]
    versions = [f"{k} {', '.join(values)}" for k, values in about["versions"].items()]
    return "\n".join(
        ["## Data, encoders and versions", "", *dict.fromkeys(lines), "- " + "; ".join(versions)]
    )
