"""`sweeper data`: proposes tables for, imports, checks, shows and exports datasets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.options.global_options import command_line
from sweeper.cli.options.registered import Registered, layouts
from sweeper.cli.terminal.data_text import (
    ProgressBar,
    print_faults,
    print_headers,
    print_splits,
    print_summary,
)
from sweeper.errors import DataError
from sweeper.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeper.store.workspace import Workspace


@click.group()
def data() -> None:
    """Import, check, show and export datasets."""


def _source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of both `import` and `check`."""
    for option in (
        click.option(
            "--layout", type=Registered(layouts, "auto"), default="auto", show_default=True
        ),
        click.option(
            "--structures",
            metavar="1=NAME,2=NAME",
            help="Names of the label values, for layouts that define others; values with the"
            " same name are one structure.",
        ),
        click.option(
            "--modality",
            type=click.Choice(["CT", "MR"], case_sensitive=False),
            help="Modality of all images, if the source does not state it. In CT, 0 is not black.",
        ),
        click.option(
            "--channel",
            metavar="NUMBER|NAME",
            help="Channel of images with several (4-D files, _0000 and _0001), or more than one"
            " with commas. Default: the first that dataset.json names.",
        ),
        click.option(
            "--processes",
            type=click.IntRange(1),
            help="Number of processes. Default: one per core.",
        ),
    ):
        command = option(command)
    return command


@data.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the dataset. Default: that of the folder or file.")
@_source_options
@click.option("--skip-bad", is_flag=True, help="Skip the cases that have errors.")
@click.option("--replace", is_flag=True, help="Replace the dataset with this name.")
@click.option(
    "--label-resize",
    type=click.Choice(["nearest", "released", "linear"]),
    help="released: the label erosion of DeSAM's release. Default: nearest (abdominal: linear).",
)
@click.option(
    "--split",
    type=click.Choice(["desam", "seeded"]),
    default="desam",
    show_default=True,
    help="desam: the first 90 % of the cases of each site are for training; seeded: random 90 %.",
)
@click.option("--split-seed", type=int, default=0, show_default=True)
@click.option(
    "--salt", help="Store salted case ids and no file names; the salt itself is not stored."
)
@click.pass_obj
def import_command(workspace: Path, /, source: Path, name: str | None, **chosen: Any) -> None:
    """Import SOURCE, a folder with a supported layout or a CSV file, as a dataset."""
    from sweeper.data.faults import FaultyDataError
    from sweeper.pipeline.data.importing import import_dataset
    from sweeper.pipeline.data.options import ImportOptions
    from sweeper.store.workspace import Workspace

    # check the options
    name = source.absolute().name.split(".")[0] if name is None else name
    _check_name(name)
    if chosen["salt"] is not None and not chosen["salt"].strip():
        raise DataError("--salt is empty; use a secret text, and store it in a safe place")
    structures = _structures(chosen.pop("structures"))
    options = ImportOptions(structures=structures, **chosen)
    # import the dataset
    target = Workspace.open(workspace).datasets / f"{name}.zarr"
    try:
        with ProgressBar() as progress:
            report = import_dataset(source, target, options, progress)
    except FaultyDataError as err:
        print_faults(err.faults, groups_warnings=True)
        raise
    # print what was imported
    print_faults(report.faults, groups_warnings=True)
    print_headers(report.headers, is_salted=bool(options.salt))
    store = report.store
    if report.is_unchanged:
        click.echo(f"{store.name} was imported before, and nothing has changed: {store.path}")
    else:
        resumed = f" ({report.n_resumed} prepared earlier)" if report.n_resumed else ""
        click.echo(
            f"{store.name}: {counted(len(store.cases), 'case')}{resumed},"
            f" {counted(store.n_slices, 'slice')}, {counted(len(store.domains), 'domain')},"
            f" fingerprint {store.fingerprint}: {store.path}"
        )
    print_splits(store)
    click.echo(f"next: {command_line('data', 'show', store.name)}")


@data.command()
@click.argument("source")
@_source_options
@click.pass_obj
def check(workspace: Path, /, source: str, structures: str | None, **chosen: Any) -> None:
    """Report all faults of SOURCE: a folder or CSV file to import, or a dataset."""
    from sweeper.data.faults import FaultyDataError, errors
    from sweeper.pipeline.data.importing import check_dataset
    from sweeper.pipeline.data.options import ImportOptions
    from sweeper.store.dataset.place import find_dataset, looks_like_a_path
    from sweeper.store.workspace import Workspace

    # an imported dataset
    store_path = find_dataset(Workspace.for_reading(workspace), source)
    if store_path is not None:
        _check_store(store_path)
        return
    # a folder or a CSV file
    folder = Path(source).expanduser()
    if not folder.exists() and not looks_like_a_path(source):
        raise DataError(
            f"{source} is neither a folder, nor a CSV file, nor a dataset of workspace {workspace};"
            f" list the datasets with {command_line('data', 'show')}"
        )
    options = ImportOptions(structures=_structures(structures), **chosen)
    with ProgressBar() as progress:
        dataset, faults, headers = check_dataset(folder, options, progress)
    print_faults(faults)
    print_headers(headers, is_salted=False)
    # summary, with the number of errors
    found_errors = errors(faults)
    n_bad = len({fault.case for fault in found_errors if fault.case})
    in_cases = f" in {counted(n_bad, 'case')}" if n_bad else ""
    summary = (
        f"{source}: layout {dataset.layout}, {counted(len(dataset.cases), 'case')},"
        f" {counted(len(found_errors), 'error')}{in_cases},"
        f" {counted(len(faults) - len(found_errors), 'warning')}"
    )
    if found_errors:
        raise FaultyDataError(f"{summary}; fix the errors listed above", faults)
    click.echo(summary)


@data.command()
@click.argument("name", required=False)
@click.option("--sheet", type=click.Path(path_type=Path), help="File of the contact sheet.")
@click.pass_obj
def show(workspace: Path, name: str | None, sheet: Path | None) -> None:
    """Show dataset NAME (cases, splits, volumes, intensities, contact sheet), or list all."""
    from sweeper.pipeline.data.named import open_dataset
    from sweeper.pipeline.data.showing import summarise, write_sheet
    from sweeper.store.workspace import Workspace

    opened = Workspace.for_reading(workspace)
    if name is None:
        _list(opened)
        return
    with ProgressBar() as progress:
        store = open_dataset(opened, name, progress)
    synthetic = "; SYNTHETIC data, no patients" if store.is_synthetic else ""
    click.echo(
        f"{store.name}: {len(store.cases)} cases, {store.n_slices} slices of"
        f" {store.image_size_px} px, {', '.join(store.structures)}{synthetic}"
    )
    resize = ", ".join(sorted({str(s["label_resize"]) for s in store.preprocessing.values()}))
    click.echo(f"fingerprint {store.fingerprint}; label resize: {resize}")
    stated = ", ".join(f"{d} {store.modalities.get(d, 'not stated')}" for d in store.domains)
    blackened = [d for d, s in store.preprocessing.items() if s["keep_zero_background"]]
    click.echo(f"modality: {stated}; value 0 stays black in: {', '.join(blackened) or 'none'}")
    click.echo(
        f"whole scans: {counted(store.n_stored_slices, 'slice')}, for protocol volume"
        if store.keeps_all_slices
        else "whole scans: not kept by the version that imported it; for protocol volume import"
        " again with --replace"
    )
    print_summary(summarise(store))
    print_splits(store)
    for case, reason in store.skipped.items():
        click.echo(f"skipped {case}: {reason}")
    sheet = sheet or opened.reports / f"{store.name}-contact-sheet.png"
    try:
        write_sheet(store, sheet)
    except OSError as err:
        reason = f"{sheet} cannot be written ({err.strerror}); choose a file with --sheet"
        click.echo(f"no contact sheet: {reason}", err=True)
    else:
        click.echo(f"contact sheet: {sheet}")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), help="File. Default: print it.")
@click.option("--images", default="", metavar="TEXT", help="Part of the path of every image.")
@click.option("--labels", default="", metavar="TEXT", help="Part of the path of every label.")
def table(folder: Path, target: Path | None, images: str, labels: str) -> None:
    """Propose a CSV of the cases in FOLDER, to check, edit and import."""
    from sweeper.data.table import propose_table, write_table

    if target is not None and target.exists():
        raise DataError(f"{target} exists already; remove it, or choose another file with --to")
    proposal = propose_table(folder, images=images, labels=labels)
    for remark in proposal.remarks:
        click.echo(f"note: {remark}", err=True)
    if target is None:
        write_table(proposal, sys.stdout)
        return
    try:
        with target.open("w", newline="", encoding="utf-8") as file:
            write_table(proposal, file, target.absolute().parent)
    except OSError as err:
        raise DataError(
            f"{target} cannot be written ({err.strerror}); choose another file with --to"
        ) from err
    sites = sorted({row.site for row in proposal.rows})
    click.echo(
        f"{target}: {counted(len(proposal.rows), 'case')}, {counted(len(sites), 'site')}"
        f" ({', '.join(sites)}); check it before you import it"
    )
    structures = ",".join(f"{value}=NAME" for value in proposal.values)
    names = [] if set(proposal.values) <= {1, 255} else ["--structures", structures]
    click.echo(f"next: {command_line('data', 'import', str(target), '--name', 'NAME', *names)}")


@data.command("list")
@click.pass_obj
def list_command(workspace: Path, /) -> None:
    """List the datasets with their sizes, and how many trainings used each."""
    from sweeper.store.workspace import Workspace

    _list(Workspace.for_reading(workspace))


@data.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(workspace: Path, /, name: str, yes: bool) -> None:
    """Remove dataset NAME; results of its trainings are kept, and so are its embeddings."""
    from sweeper.store.dataset.inventory import remove_dataset, summarise_datasets
    from sweeper.store.workspace import Workspace

    opened = Workspace.open(workspace)
    for summary in summarise_datasets(opened):
        if summary.name == name and not yes:
            click.echo(
                f"{name}: {summary.size_bytes / 1e6:.1f} MB, used by"
                f" {counted(len(summary.trainings), 'training')}, whose results are kept; to resume"
                " or score one again, import the dataset again"
            )
            if not click.confirm(f"remove dataset {name}?"):
                return
    removed = remove_dataset(opened, name)
    click.echo(f"removed {name}: {removed.size_bytes / 1e6:.1f} MB freed")
    click.echo(f"its embeddings: {command_line('embeddings', 'list')}")


@data.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--name", required=True, help="Name of the new dataset.")
@click.pass_obj
def merge(workspace: Path, /, names: tuple[str, ...], name: str) -> None:
    """Merge the datasets NAMES into a new one, such as hospitals that came one at a time."""
    from sweeper.pipeline.data.joining import merge_datasets
    from sweeper.store.workspace import Workspace

    _check_name(name)
    with ProgressBar() as progress:
        store, is_new = merge_datasets(Workspace.open(workspace), names, name, progress)
    if is_new:
        click.echo(
            f"{name}: {counted(len(store.cases), 'case')}, {counted(store.n_slices, 'slice')},"
            f" {counted(len(store.domains), 'domain')}, fingerprint {store.fingerprint}:"
            f" {store.path}"
        )
    else:
        click.echo(f"{name} was merged before, and nothing has changed: {store.path}")
    print_splits(store)
    click.echo(f"next: {command_line('data', 'show', name)}")


@data.command()
@click.argument("name")
@click.option("--layout", type=click.Choice(["desam"]), default="desam", show_default=True)
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--structure", help="The structure to export, if the dataset has several.")
@click.option(
    "--source", type=click.Path(path_type=Path), help="Folder of the volumes, if it was moved."
)
@click.pass_obj
def export(
    workspace: Path,
    name: str,
    layout: str,
    folder: Path,
    structure: str | None,
    source: Path | None,
) -> None:
    """Write the volumes and the CSV of dataset NAME in the format of DeSAM's released code."""
    from sweeper.pipeline.data.exporting import export_dataset
    from sweeper.pipeline.data.named import open_dataset
    from sweeper.store.workspace import Workspace

    store = open_dataset(Workspace.open(workspace), name)
    with ProgressBar() as progress:
        written, remarks = export_dataset(
            store,
            folder,
            structure=structure,
            source=source,
            progress=lambda done, total: progress("export", done, total),
        )
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(f"{len(written)} cases and prostate_patientid.csv: {folder / 'raw_data'} ({layout})")


def _check_name(name: str) -> None:
    from sweeper.config.trial import ABDOMINAL_PHANTOM, PHANTOM
    from sweeper.data.set_checks import NAME

    if not NAME.fullmatch(name) or " " in name:
        raise DataError(
            f"dataset name is {name!r}; use only letters, digits, dots, dashes and underscores"
            " (--name)"
        )
    if name in (PHANTOM, ABDOMINAL_PHANTOM):
        raise DataError(
            f"dataset name {name} is reserved for the synthetic data; choose another with --name"
            " NAME"
        )


def _structures(text: str | None) -> dict[int, str] | None:
    """`1=liver,2=spleen` as a mapping."""
    if text is None:
        return None
    structures: dict[int, str] = {}
    for part in text.split(","):
        value, _, name = part.partition("=")
        if not value.strip().isdecimal() or int(value) == 0 or not name.strip():
            raise DataError(f"--structures is {text!r}, expected 1=NAME or 1=NAME,2=NAME")
        if int(value) in structures:
            raise DataError(f"--structures is {text!r}; use each value only once")
        structures[int(value)] = name.strip()
    return structures


def _check_store(path: Path) -> None:
    from sweeper.errors import StoreError
    from sweeper.store.dataset.store import DatasetStore

    store = DatasetStore.open(path)
    damaged = store.damaged_cases()
    if damaged:
        raise StoreError(
            f"dataset store {path}: {len(damaged)} of {len(store.cases)} cases differ from what was"
            f" written ({', '.join(damaged[:5])}); import it again with --replace"
        )
    click.echo(f"{path}: {len(store.cases)} cases, {store.n_slices} slices, all intact")


def _list(workspace: Workspace) -> None:
    from sweeper.store.dataset.inventory import summarise_datasets

    summaries = summarise_datasets(workspace)
    for summary in summaries:
        store = summary.store
        if store is None:
            click.echo(f"{summary.name}  {summary.problem}", err=True)
            continue
        mark = "  synthetic" if store.is_synthetic else ""
        click.echo(
            f"{summary.name}  {len(store.cases)} cases  {store.n_slices} slices"
            f"  {', '.join(store.domains)}  {store.fingerprint}  {summary.size_bytes / 1e6:.1f} MB"
            f"  {counted(len(summary.trainings), 'training')}{mark}"
        )
    if not summaries:
        example = command_line("data", "import", "SOURCE", "--name", "NAME")
        click.echo(f"no dataset yet; import one with `{example}`")
