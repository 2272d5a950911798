"""`doctor`: check what the rollout needs, on this machine and in the accounts."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import RUNS, RunsOption, Source, load_inventory, selecting
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.errors import ExitCode, FleetError, InputError
from session_manager_fleet.reports import counted, terminal, visible, visible_lines
from session_manager_fleet.run import prerequisites, signals
from session_manager_fleet.targets import EVERYTHING, Inventory, Selection, Target
from session_manager_fleet.terraform import StateBackend, find_stored
from session_manager_fleet.verify import AccountCheck, Verdict, check_accounts

_STYLES = {Verdict.FINDING: "yellow", Verdict.NOT_CHECKED: "bold red"}
# Accounts that a row names; the rest is counted, and all are in the JSON.
_NAMED = 3


@selecting
def doctor(
    context: typer.Context, selection: Selection, output: FormatOption = "table", runs: RunsOption = RUNS
) -> int:
    """Check what plan and apply need: Terraform, credentials, the state bucket, and every selected account."""
    check_format(output, "table", "json")
    outcomes = prerequisites.examine(prerequisites.of_machine(os.environ, runs.resolve()))
    accounts: list[AccountCheck] = []
    invalid: FleetError | None = None
    stop = threading.Event()
    try:
        inventory = load_inventory(context.obj)
        targets = inventory.select(selection if selection.given else EVERYTHING).targets
    except FleetError as error:
        outcomes.append(prerequisites.Outcome("organization", error=error))
        invalid = error
    else:
        outcomes.append(
            prerequisites.Outcome(
                "organization", f"{inventory.settings.organization.id}, {counted(len(targets), 'target')} selected"
            )
        )
        outcomes += prerequisites.examine(prerequisites.of_organization(inventory, targets))
        if not any(outcome.error and outcome.name == "credentials" for outcome in outcomes):
            with signals.handled_signals(lambda *_: stop.set()):
                accounts = check_accounts(inventory, targets, stop, _stored(inventory, targets))
            if stop.is_set():
                raise KeyboardInterrupt
    code, console = _exit_code(outcomes, accounts, invalid), terminal.make_console()
    if output == "json":
        write_json({"schema_version": 1, "checks": _rows(outcomes, accounts)})
    else:
        _print(console, outcomes, accounts)
        _print_next(console, context.obj, code)
    return code


def _stored(inventory: Inventory, targets: Sequence[Target]) -> frozenset[str] | None:
    """Return the keys of the targets with a state; None if the states cannot be read, which has a check of its own."""
    try:
        return find_stored(StateBackend.find(inventory.settings.organization, inventory.home_region), targets)
    except InputError:
        # There is no state bucket yet.
        return frozenset()
    except FleetError:
        return None


def _exit_code(
    outcomes: Sequence[prerequisites.Outcome], accounts: Sequence[AccountCheck], invalid: FleetError | None
) -> ExitCode:
    """Return the exit code: invalid input, then what could not be checked, then findings."""
    if isinstance(invalid, InputError):
        return ExitCode.INVALID_INPUT
    verdicts = {one.check.verdict for one in accounts}
    if invalid or Verdict.NOT_CHECKED in verdicts:
        return ExitCode.TARGET_FAILED
    missing = Verdict.FINDING in verdicts or any(outcome.error for outcome in outcomes)
    return ExitCode.CHANGES_PENDING if missing else ExitCode.DONE


def _rows(outcomes: Sequence[prerequisites.Outcome], accounts: Sequence[AccountCheck]) -> list[dict[str, Any]]:
    here = [
        {
            "account_id": None,
            "account_name": None,
            "region": None,
            "name": outcome.name,
            "verdict": (Verdict.FINDING if outcome.error else Verdict.OK).value,
            "message": str(outcome.error or outcome.found),
            "fix": None,
        }
        for outcome in outcomes
    ]
    there = [
        {
            "account_id": one.account.id,
            "account_name": one.account.name,
            "region": one.region or None,
            "name": one.check.name,
            "verdict": one.check.verdict.value,
            "message": one.check.message,
            "fix": one.check.fix or None,
        }
        for one in accounts
    ]
    return here + there


def _print_next(console: Console, source: Source, code: ExitCode) -> None:
    """Print how to write the missing file, how to check again, or how to plan."""
    if not source.config.exists():
        hints.print_next(console, "to write the file", hints.command("init"))
    elif code != ExitCode.DONE:
        hints.print_next(console, "once this is corrected", hints.again())
    else:
        hints.print_next(console, "to plan", hints.on_same_targets("plan"))


def _print(console: Console, outcomes: Sequence[prerequisites.Outcome], accounts: Sequence[AccountCheck]) -> None:
    """Print one row for each prerequisite of this machine, and one for each group of equal findings in accounts."""
    table = Table("check", "where", "found, and what to do", show_lines=True)
    for outcome in outcomes:
        verdict = Verdict.FINDING if outcome.error else Verdict.OK
        table.add_row(
            _named(outcome.name, verdict), "here", Text("\n".join(visible_lines(str(outcome.error or outcome.found))))
        )
    groups: dict[tuple[str, Verdict, str, str], list[AccountCheck]] = {}
    for one in accounts:
        check = one.check
        shown = (check.message, check.fix) if check.verdict is not Verdict.OK else ("", "")
        groups.setdefault((check.name, check.verdict, *shown), []).append(one)
    for (name, verdict, message, fix), members in sorted(
        groups.items(), key=lambda group: group[0][1] is not Verdict.OK
    ):
        text = Text("\n".join(visible(part) for part in (message, fix) if part) or "ok")
        table.add_row(_named(name, verdict), _places(members), text)
    console.print(table)
    missing = sum(outcome.error is not None for outcome in outcomes)
    counts = {verdict: sum(one.check.verdict is verdict for one in accounts) for verdict in Verdict}
    findings, well = counts[Verdict.FINDING] + missing, counts[Verdict.OK] + len(outcomes) - missing
    console.print(f"{counted(findings, 'finding')}, {counts[Verdict.NOT_CHECKED]} not checked, {well} ok")


def _named(name: str, verdict: Verdict) -> Text:
    words = f"{name.replace('_', ' ')}\n{verdict.value.replace('_', ' ')}"
    return Text(words, style=_STYLES.get(verdict, ""))


def _places(members: Sequence[AccountCheck]) -> Text:
    accounts = list(dict.fromkeys((one.account.id, one.account.name) for one in members))
    named = [f"{account_id} {visible(name)}" for account_id, name in accounts[:_NAMED]]
    rest = len(accounts) - len(named)
    return Text("\n".join([*named, *([f"and {rest} more"] if rest else [])]))
