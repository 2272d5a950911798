"""`render`: write the tfvars files of targets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.cli.output import write_text
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import counted, terminal, visible
from session_manager_fleet.run import prerequisites
from session_manager_fleet.settings import EffectiveSettings
from session_manager_fleet.targets import (
    Inventory,
    Selection,
    Target,
    render as render_files,
    renderer_of,
    write_rendered,
)
from session_manager_fleet.terraform import StateBackend, read_retry_tokens, with_retry_token


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
    """Render tfvars for every target, as plan does: FOLDER/<account>/<region>.tfvars."""
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if prune and not selection.whole:
        raise InputError("Stale files can be identified only with --all and no other selection.", "--prune")
    if prune and check:
        raise InputError("Cannot be combined with --check, which removes nothing.", "--prune")
    inventory, selected = load(context.obj, selection, errors, empty_when_whole=True)
    renderer = renderer_of(inventory.settings, templates)
    retry_tokens = _retry_tokens(inventory, errors) if selected.targets else {}

    def settings_of(target: Target) -> EffectiveSettings:
        effective = inventory.settings.effective(target.account, target.region)
        return with_retry_token(effective, retry_tokens.get(target.key, 0))

    roles = inventory.settings.organization.roles
    files = render_files(renderer, settings_of, roles, selected.targets, folder, find_stale=selection.whole)
    differing = [file for file in files if file.differs]
    if check:
        for file in differing:
            write_text("".join(f"{visible(line)}\n" for line in file.diff()))
        console.print(
            f"{len(differing)} of {counted(len(files), 'file')} {'differs' if len(differing) == 1 else 'differ'}"
        )
        if differing:
            hints.print_next(console, "to write them", hints.again(without="--check"))
        else:
            hints.print_next(console, "to plan these targets", hints.on_same_targets("plan"))
        return ExitCode.CHANGES_PENDING if differing else ExitCode.DONE
    write_rendered(files, prune=prune)
    stale = [file.path for file in files if file.stale]
    for path in stale:
        console.print(f"{'Removed' if prune else 'Stale (remove with --prune)'}: {escape(str(path))}")
    written = sum(file.differs and not file.stale for file in files)
    console.print(f"{counted(len(files) - len(stale), 'file')} in {escape(str(folder))}, {written} written")
    hints.print_next(console, "to plan these targets", hints.on_same_targets("plan"))
    return ExitCode.DONE


def _retry_tokens(inventory: Inventory, errors: Console) -> Mapping[str, int]:
    """Return the retry tokens that `plan` adds to `preferences.revision`; none, with a warning, without access."""
    try:
        prerequisites.confirmed_organization(inventory)
        backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
        return read_retry_tokens(backend)
    except FleetError as error:
        message = f"Retry tokens of failed updates are not rendered, unlike in plan: {error}"
        errors.print(f"[yellow]Warning:[/yellow] {escape(visible(message))}", soft_wrap=True)
        return {}
