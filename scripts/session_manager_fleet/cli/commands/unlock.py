"""`unlock`: show stale state locks."""

import datetime

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import counted, terminal, visible
from session_manager_fleet.run import prerequisites
from session_manager_fleet.targets import Selection
from session_manager_fleet.terraform import StateBackend, read_locks, release_commands


@selecting
def unlock(context: typer.Context, selection: Selection) -> int:
    """Show who holds state locks, since when, and the commands that release them; releases nothing itself."""
    console = terminal.make_console()
    inventory, selected = load(context.obj, selection, console)
    prerequisites.confirmed_organization(inventory)
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    locks = read_locks(backend, selected.targets)
    if not locks:
        console.print(f"No state is locked ({counted(len(selected.targets), 'target')} checked).")
        hints.print_next(console, "to plan these targets", hints.on_same_targets("plan"))
        return ExitCode.DONE
    now = datetime.datetime.now(datetime.UTC)
    for lock in locks:
        account = lock.target.account
        _print(console, f"\n[bold]{escape(account.id)} {escape(visible(account.name))} {lock.target.region}[/bold]")
        _print(
            console,
            f"locked by {escape(visible(lock.who))} for {lock.age(now)}, since {lock.since:%Y-%m-%d %H:%M:%S} UTC "
            f"({escape(visible(lock.operation))})",
        )
        if not lock.lock_id:
            _print(console, "The lock cannot be read; inspect the lock object in the state bucket.")
            continue
        if not lock.is_terraforms:
            _print(
                console,
                f"The lock id {escape(visible(lock.lock_id))} was not written by Terraform; "
                "inspect the lock object in the state bucket.",
            )
            continue
        for command in release_commands(lock, backend):
            _print(console, f"  {escape(command)}")
    _print(
        console,
        "\nA lock protects a state that is being written. Release it only if its holder has ended: check the run or "
        "the job on that machine first. Then run its commands in the folder of the root module.",
    )
    hints.print_next(console, "once the locks are released", hints.on_same_targets("plan"))
    return ExitCode.DONE


def _print(console: Console, text: str) -> None:
    # Not wrapped, so that commands can be copied.
    console.print(text, soft_wrap=True, highlight=False)
