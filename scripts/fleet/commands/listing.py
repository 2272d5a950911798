"""Commands that read and render what organization.yaml says: nothing is planned here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fleet import operations
from fleet.errors import ExitCode, InputError
from fleet.options import load, selecting
from fleet.reports import terminal
from fleet.targets import Selection


@selecting
def targets(
    context: typer.Context,
    selection: Selection,
    output: Annotated[str, typer.Option("--format", metavar="table|json", help="How to print them.")] = "table",
) -> int:
    """List the targets, in the order of work."""
    if output not in {"table", "json"}:
        raise InputError(f'Unknown format "{output}"; use table or json.', "--format")
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    _, selected = load(context.obj, selection, errors)
    if output == "json":
        listed = [
            {
                "account_id": target.account.id,
                "account_name": target.account.name,
                "ou": target.account.ou,
                "tags": dict(target.account.tags),
                "region": target.region,
                "home": target.is_home,
                "wave": target.wave,
                "workspace": target.workspace,
            }
            for target in selected.targets
        ]
        skipped = [
            {"account_id": entry.account.id, "account_name": entry.account.name, "reason": entry.reason}
            for entry in selected.skipped
        ]
        sys.stdout.write(json.dumps({"targets": listed, "skipped": skipped}, indent=2) + "\n")
    else:
        terminal.print_targets(console, selected.targets)
        console.print(f"{len(selected.targets)} targets")
    return ExitCode.DONE


@selecting
def render(
    context: typer.Context,
    selection: Selection,
    folder: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Where to write.")] = Path("accounts"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; show what differs, exit 2 if so.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="With --all: remove files of targets that are gone.")] = False,
) -> int:
    """Render tfvars for every target: FOLDER/<account>/<region>.tfvars."""
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if prune and not selection.whole:
        raise InputError("What is stale can be told only with --all, and nothing else.", "--prune")
    loaded, selected = load(context.obj, selection, errors)
    files = operations.render(loaded, selected, folder, find_stale=selection.whole)
    differing = [file for file in files if file.differs]
    if check:
        for file in differing:
            sys.stdout.write(file.diff())
        console.print(f"{len(differing)} of {len(files)} files differ")
        return ExitCode.CHANGES_PENDING if differing else ExitCode.DONE
    operations.write_rendered(files, prune=prune)
    stale = [file.path for file in files if file.stale]
    for path in stale:
        console.print(f"{'Removed' if prune else 'Stale, remove with --prune'}: {escape(str(path))}")
    written = sum(file.differs and not file.stale for file in files)
    console.print(f"{len(files) - len(stale)} files in {escape(str(folder))}, {written} written")
    return ExitCode.DONE
