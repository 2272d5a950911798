"""Commands that list and render what organization.yaml means: nothing is planned here."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from session_manager_fleet.accounts import save
from session_manager_fleet.cli.options import load, load_context, selecting
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Selection, Target, occupied_shards, renderer_of, write_rendered
from session_manager_fleet.targets import render as render_files

# GitHub runs at most 256 jobs of one matrix (workflow syntax, jobs.<job_id>.strategy.matrix).
MATRIX_LIMIT = 256
MATRIX_SHARDS = 20

_COLUMNS = ("account_id", "account_name", "account_role", "ou", "region", "home", "wave", "workspace")


def discover(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Keep the result for --read-from, as JSON.")
    ] = None,
    tags: Annotated[bool, typer.Option("--tags", help="Ask for account tags even if no matcher needs them.")] = False,
) -> int:
    """List all accounts of the organization, or save them for work without AWS."""
    console = terminal.make_console()
    organization = load_context(context.obj, with_tags=tags).organization
    if output is not None:
        save(organization, output)
        console.print(f"{len(organization.accounts)} accounts saved in {escape(str(output))}")
        return ExitCode.DONE
    table = Table("Account", "Name", "Organizational unit", "Role", "Skipped because")
    for account in organization.accounts:
        shown = (Text(visible(text)) for text in (account.name, account.ou, account.role, account.skip_reason))
        table.add_row(account.id, *shown)
    console.print(table)
    console.print(f"{len(organization.accounts)} accounts")
    return ExitCode.DONE


@selecting
def targets(
    context: typer.Context,
    selection: Selection,
    output: Annotated[
        str, typer.Option("--format", metavar="table|json|csv|github-matrix", help="How to print them.")
    ] = "table",
    shards: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Shards of the github-matrix, at most {MATRIX_LIMIT}; else {MATRIX_SHARDS}."),
    ] = None,
) -> int:
    """List the targets, in the order of work."""
    if output not in {"table", "json", "csv", "github-matrix"}:
        raise InputError(f'Unknown format "{output}"; use table, json, csv or github-matrix.', "--format")
    if shards is not None and (output != "github-matrix" or not 1 <= shards <= MATRIX_LIMIT):
        raise InputError(f"This is for --format github-matrix only, and from 1 to {MATRIX_LIMIT}.", "--shards")
    if output == "github-matrix" and selection.shard is not None:
        raise InputError("The matrix is made of shards; leave --shard to its jobs.", "--shard")
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    _, selected = load(context.obj, selection, errors)
    if output == "json":
        listed = [{**_row(target), "tags": dict(target.account.tags)} for target in selected.targets]
        skipped = [asdict(entry) for entry in selected.skipped]
        _write_json({"targets": listed, "skipped": skipped})
    elif output == "csv":
        writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**_row(target), "home": json.dumps(target.is_home)} for target in selected.targets)
    elif output == "github-matrix":
        _write_json({"include": _matrix(selected.targets, shards or MATRIX_SHARDS)}, indent=None)
    else:
        terminal.print_targets(console, selected.targets)
        console.print(f"{len(selected.targets)} targets")
    return ExitCode.DONE


def _row(target: Target) -> dict[str, Any]:
    account = target.account
    values = (
        account.id,
        account.name,
        account.role,
        account.ou,
        target.region,
        target.is_home,
        target.wave,
        target.workspace,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _matrix(targets: Sequence[Target], count: int) -> list[dict[str, Any]]:
    """Return the jobs of a matrix: the value of `--shard`, a name without a slash, and how many targets there are."""
    return [
        {"shard": f"{shard.index}/{count}", "name": f"shard-{shard.index}-of-{count}", "targets": held}
        for shard, held in occupied_shards(targets, count).items()
    ]


def _write_json(value: Mapping[str, Any], *, indent: int | None = 2) -> None:
    sys.stdout.write(json.dumps(value, indent=indent) + "\n")


@selecting
def render(
    context: typer.Context,
    selection: Selection,
    folder: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Where to write.")] = Path("accounts"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; show what differs, exit 2 if so.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="With --all: remove files of targets that are gone.")] = False,
    templates: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Templates in place of those that the settings name.")
    ] = None,
) -> int:
    """Render tfvars for every target: FOLDER/<account>/<region>.tfvars."""
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if prune and not selection.whole:
        raise InputError("What is stale can be told only with --all, and nothing else.", "--prune")
    if prune and check:
        raise InputError("A check removes nothing; leave one of both away.", "--prune")
    loaded, selected = load(context.obj, selection, errors, empty_when_whole=True)
    renderer = renderer_of(loaded.settings, templates)
    files = render_files(renderer, loaded.settings, selected.targets, folder, find_stale=selection.whole)
    differing = [file for file in files if file.differs]
    if check:
        for file in differing:
            sys.stdout.writelines(f"{visible(line)}\n" for line in file.diff())
        console.print(f"{len(differing)} of {len(files)} files differ")
        return ExitCode.CHANGES_PENDING if differing else ExitCode.DONE
    write_rendered(files, prune=prune)
    stale = [file.path for file in files if file.stale]
    for path in stale:
        console.print(f"{'Removed' if prune else 'Stale, remove with --prune'}: {escape(str(path))}")
    written = sum(file.differs and not file.stale for file in files)
    console.print(f"{len(files) - len(stale)} files in {escape(str(folder))}, {written} written")
    return ExitCode.DONE
