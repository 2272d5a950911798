"""`explain`: show the effective settings of an account with their origin."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from session_manager_fleet.accounts import Account, find_account
from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load_inventory, today
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.errors import ExitCode
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.targets import Explanation, PolicyException, explain as explaining


def explain(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account id or name.")],
    region: Annotated[str | None, typer.Argument(metavar="[REGION]", help="One region; default all.")] = None,
    output: FormatOption = "table",
    changed: Annotated[
        bool, typer.Option("--changed", help="Show only values that organization.yaml sets or removes.")
    ] = False,
) -> int:
    """Show the effective settings of an account, and the line of organization.yaml that each comes from."""
    check_format(output, "table", "json")
    inventory = load_inventory(context.obj)
    found = find_account(inventory.organization, account, "ACCOUNT")
    explanations = explaining.explain(inventory, found, region, today())
    if changed:
        explanations = [explanation.changed() for explanation in explanations]
    if output == "json":
        write_json(
            {
                "account_id": found.id,
                "account_name": found.name,
                "account_role": found.role,
                "ou": found.ou,
                "tags": dict(found.tags),
                "skip_reason": found.skip_reason or None,
                "targets": [explanation.as_dict() for explanation in explanations],
            }
        )
    else:
        console = terminal.make_console()
        _print_explanations(console, found, explanations)
        _print_next(console, found, region)
    return ExitCode.DONE


def _print_next(console: Console, account: Account, region: str | None) -> None:
    """Print how to plan the account, or how to list the targets if it has none."""
    if account.skip_reason:
        hints.print_next(console, "to list the targets", hints.command("targets"))
    else:
        words = ["plan", "--account", account.id, *(["--region", region] if region else [])]
        hints.print_next(console, "to plan this", hints.command(*words))


def _print_explanations(console: Console, account: Account, explanations: list[Explanation]) -> None:
    console.print(Text(f"{account.id} {visible(account.name)}, {visible(account.ou)}", style="bold"))
    if account.skip_reason:
        console.print(f"[magenta]This account has no targets: {escape(visible(account.skip_reason))}.[/magenta]")
    for group in explaining.equal_explanations(explanations):
        console.print()
        for explanation in group:
            target = explanation.target
            home = " (home)" if target.is_home else ""
            console.print(f"[cyan]{target.region}{home}[/cyan]: wave {target.wave}, workspace {target.workspace}")
        table = Table()
        for heading in ("Key", "Value", "Layer", "Where"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "Key")
        for value in group[0].values:
            origin = value.layer
            if value.owner:
                origin += f" of {value.owner}"
            if value.unset_by:
                origin += f", unset by {value.unset_by}"
            if value.placed_by:
                origin += f", placed by role {value.placed_by}"
            style = "dim" if value.layer == explaining.BUILT_IN else ""
            shown = visible(json.dumps(value.value, ensure_ascii=False))
            table.add_row(
                Text(visible(value.key)), Text(shown), Text(visible(origin)), Text(visible(value.where)), style=style
            )
        console.print(table)
        for entry in group[0].exceptions:
            console.print(Text(_sentence(entry), style="yellow"))


def _sentence(entry: PolicyException) -> str:
    what = [f"skips {', '.join(entry.skip)}"] if entry.skip else []
    what += [f"sets {', '.join(entry.set)}"] if entry.set else []
    end = f"expired on {entry.expires}" if entry.expired else f"expires on {entry.expires}, in {entry.days_left} days"
    does = " and ".join(what) or "changes nothing"
    return visible(f"{entry.where}: the exception of {entry.owner} {does}; it {end}. Reason: {entry.reason}")
