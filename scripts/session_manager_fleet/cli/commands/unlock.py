"""Commands for what a run has left behind."""

from __future__ import annotations

import datetime

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Selection
from session_manager_fleet.terraform import StateBackend, read_locks, release_commands


@selecting
def unlock(context: typer.Context, selection: Selection) -> int:
    """Show who holds locks of states and since when, and how to release one; nothing is released here."""
    console = terminal.make_console()
    loaded, selected = load(context.obj, selection, console)
    backend = StateBackend.find(loaded.settings.organization, loaded.home_region)
    locks = read_locks(backend, selected.targets)
    if not locks:
        console.print(f"No state of these {len(selected.targets)} targets is locked.")
        return ExitCode.DONE
    now = datetime.datetime.now(datetime.UTC)
    for lock in locks:
        account = lock.target.account
        _tell(console, f"\n[bold]{escape(account.id)} {escape(visible(account.name))} {lock.target.region}[/bold]")
        _tell(
            console,
            f"locked by {escape(visible(lock.who))} for {lock.age(now)}, since {lock.since:%Y-%m-%d %H:%M:%S} UTC "
            f"({escape(visible(lock.operation))})",
        )
        if not lock.lock_id:
            _tell(console, "The lock cannot be read: look at the object in the state bucket.")
            continue
        if not lock.is_terraforms:
            _tell(
                console,
                f"Its id is none that terraform makes ({escape(visible(lock.lock_id))}): "
                "look at the object in the state bucket.",
            )
            continue
        for command in release_commands(lock, backend):
            _tell(console, f"  {escape(command)}")
    _tell(
        console,
        "\nA lock protects a state that is being written. Release one only when you know that its holder is gone: "
        "look at the run or the job on that machine first. Then run its two commands in the folder of the root module.",
    )
    return ExitCode.DONE


def _tell(console: Console, text: str) -> None:
    # Commands are to be copied as they are.
    console.print(text, soft_wrap=True, highlight=False)
