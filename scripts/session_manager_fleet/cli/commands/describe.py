"""Commands that tell what organization.yaml says: of a target, of its exceptions, and of its own format."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from session_manager_fleet.accounts import Account, find_account
from session_manager_fleet.cli.options import load_context, today
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import terminal, visible
from session_manager_fleet.run import summary
from session_manager_fleet.settings import settings_schema
from session_manager_fleet.targets import Explanation, PolicyException, Selection, register
from session_manager_fleet.targets import explain as explaining

FormatOption = Annotated[str, typer.Option("--format", metavar="table|json", help="How to print it.")]


def explain(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Id or name.")],
    region: Annotated[str | None, typer.Argument(metavar="[REGION]", help="Else all regions.")] = None,
    output: FormatOption = "table",
) -> int:
    """Show every effective value of an account, and which line of organization.yaml it comes from."""
    _check_format(output)
    loaded = load_context(context.obj)
    found = find_account(loaded.organization, account, "ACCOUNT")
    explanations = explaining.explain(loaded, found, region, today())
    if output == "json":
        _write_json(
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
        _print_explanations(terminal.make_console(), found, explanations)
    return ExitCode.DONE


def _print_explanations(console: Console, account: Account, explanations: list[Explanation]) -> None:
    console.print(Text(f"{account.id} {visible(account.name)}, {visible(account.ou)}", style="bold"))
    if account.skip_reason:
        console.print(f"[magenta]No target is made of it: {escape(visible(account.skip_reason))}.[/magenta]")
    for group in explaining.equal_explanations(explanations):
        console.print()
        for explanation in group:
            target = explanation.target
            home = " (home)" if target.is_home else ""
            console.print(f"[cyan]{target.region}{home}[/cyan]: wave {target.wave}, workspace {target.workspace}")
        table = Table()
        for heading in ("Key", "Value", "From", "Where"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "Key")
        for value in group[0].values:
            origin = value.layer
            if value.owner:
                origin += f" of {value.owner}"
            if value.unset_by:
                origin += f", since {value.unset_by} unset it"
            if value.placed_by:
                origin += f", placed by role {value.placed_by}"
            style = "dim" if value.layer == explaining.BUILT_IN else ""
            shown = visible(json.dumps(value.value, ensure_ascii=False))
            table.add_row(Text(visible(value.key)), Text(shown), Text(visible(origin)), Text(value.where), style=style)
        console.print(table)
        for entry in group[0].exceptions:
            console.print(Text(_sentence(entry), style="yellow"))


def _sentence(entry: PolicyException) -> str:
    what = [f"skips {', '.join(entry.skip)}"] if entry.skip else []
    what += [f"sets {', '.join(entry.set)}"] if entry.set else []
    end = f"expired on {entry.expires}" if entry.expired else f"expires on {entry.expires}, in {entry.days_left} days"
    does = " and ".join(what) or "changes nothing"
    return visible(f"{entry.where}: the exception of {entry.owner} {does}; it {end}. Reason: {entry.reason}")


def exceptions(context: typer.Context, output: FormatOption = "table") -> int:
    """List the exception register: who wants what, for which targets, and how many days are left."""
    _check_format(output)
    loaded = load_context(context.obj)
    entries = register(loaded.settings, loaded.select(Selection(everything=True)).targets, today())
    if output == "json":
        _write_json({"exceptions": [entry.as_dict() for entry in entries]})
        return ExitCode.DONE
    console = terminal.make_console()
    table = Table("Days left", "Expires", "Owner", "Skips", "Sets", "Targets", "Reason", "Where")
    for column in table.columns[3:]:
        column.overflow = "fold"
    for entry in entries:
        days_left = Text(str(entry.days_left), style="bold red" if entry.expired else "")
        table.add_row(
            days_left,
            entry.expires.isoformat(),
            Text(visible(entry.owner)),
            ", ".join(entry.skip),
            Text(visible(", ".join(entry.set))),
            str(len(entry.targets)),
            Text(visible(entry.reason)),
            Text(entry.where),
        )
    console.print(table)
    for entry in entries:
        console.print(Text(f"{entry.where}: {', '.join(entry.targets) or 'applies to no target'}", style="dim"))
    console.print(f"{len(entries)} exceptions, {sum(entry.expired for entry in entries)} expired")
    return ExitCode.DONE


def schema(
    of: Annotated[str, typer.Option(metavar="organization|summary", help="Of which file.")] = "organization",
) -> int:
    """Print the JSON Schema of organization.yaml, for editors, or of a run's summary.json."""
    schemas = {"organization": settings_schema, "summary": summary.schema}
    if of not in schemas:
        raise InputError(f'There is no schema of "{of}"; use {" or ".join(schemas)}.', "--of")
    _write_json(schemas[of]())
    return ExitCode.DONE


def _check_format(output: str) -> None:
    if output not in {"table", "json"}:
        raise InputError(f'Unknown format "{output}"; use table or json.', "--format")


def _write_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
