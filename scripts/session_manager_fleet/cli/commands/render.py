"""`render`: write the tfvars files of targets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Selection, render as render_files, renderer_of, write_rendered


@selecting
def render(
    context: typer.Context,
    selection: Selection,
    folder: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Folder to write to.")] = Path("accounts"),
    check: Annotated[
        bool, typer.Option("--check", help="Only show differences; exit with 2 if there are any.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="With --all: remove files of targets that no longer exist.")
    ] = False,
    templates: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of templates to use instead of the configured one.")
    ] = None,
) -> int:
    """Render tfvars for every target: FOLDER/<account>/<region>.tfvars."""
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if prune and not selection.whole:
        raise InputError("Stale files can be identified only with --all and no other selection.", "--prune")
    if prune and check:
        raise InputError("Cannot be combined with --check, which removes nothing.", "--prune")
    inventory, selected = load(context.obj, selection, errors, empty_when_whole=True)
    renderer = renderer_of(inventory.settings, templates)
    files = render_files(renderer, inventory.settings, selected.targets, folder, find_stale=selection.whole)
    differing = [file for file in files if file.differs]
    if check:
        for file in differing:
            sys.stdout.writelines(f"{visible(line)}\n" for line in file.diff())
        console.print(f"{len(differing)} of {len(files)} files differ")
        return ExitCode.CHANGES_PENDING if differing else ExitCode.DONE
    write_rendered(files, prune=prune)
    stale = [file.path for file in files if file.stale]
    for path in stale:
        console.print(f"{'Removed' if prune else 'Stale (remove with --prune)'}: {escape(str(path))}")
    written = sum(file.differs and not file.stale for file in files)
    console.print(f"{len(files) - len(stale)} files in {escape(str(folder))}, {written} written")
    return ExitCode.DONE
