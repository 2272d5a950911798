"""`states`: list, show, destroy or forget the states that no target has."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from session_manager_fleet.accounts import Account, account_in
from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load_inventory
from session_manager_fleet.cli.output import FormatOption, check_format, write_json
from session_manager_fleet.cli.run_flow import ask_and_apply, plan_and_show, refuse_unattended, say, start
from session_manager_fleet.cli.run_options import Running, applying
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import counted, terminal, visible
from session_manager_fleet.run import DESTROY, KeptTarget, order, prerequisites
from session_manager_fleet.targets import EVERYTHING, Inventory, TargetList
from session_manager_fleet.terraform import (
    StateBackend,
    StrayState,
    delete_state,
    find_stray_states,
    read_resources,
)

_LIST, _SHOW, _DESTROY, _FORGET = "list", "show", "destroy", "forget"


@applying
def states(
    context: typer.Context,
    running: Running,
    action: Annotated[str, typer.Argument(metavar="list|show|destroy|forget", show_default=False)] = _LIST,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="STATE", help="Account and region of a state, as 111122223333/eu-west-1, or its key."),
    ] = None,
    variables: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With destroy: the tfvars of the state; by default those of the last run that applied."
        ),
    ] = None,
    output: FormatOption = "table",
) -> int:
    """List states that no target has: of accounts and regions that have left, or of another home region.

    show: list the resources in them. destroy: destroy these, with the settings that the last run with the target kept.
    forget: delete a state, and leave its resources in AWS.
    """
    check_format(output, "table", "json")
    if action not in {_LIST, _SHOW, _DESTROY, _FORGET}:
        message = f'"{action}" is none of list, show, destroy and forget.'
        raise InputError(message, "ACTION", next_command=("states",))
    if action in {_DESTROY, _FORGET} and not names:
        raise InputError("Name the states, as 111122223333/eu-west-1.", "STATE", next_command=("states",))
    if variables is not None and (action != _DESTROY or len(names or []) != 1):
        raise InputError("Variables belong to `states destroy` of one state.", "--variables")
    inventory = load_inventory(context.obj)
    prerequisites.confirmed_organization(inventory)
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    found = _chosen(find_stray_states(backend, inventory.select(EVERYTHING).targets), names or [])
    console = terminal.make_console()
    if action == _DESTROY:
        return _destroy(inventory, found, variables, running, console)
    if action == _FORGET:
        return _forget(backend, found, running, console)
    if output == "json":
        _write_json(inventory, backend, found, resources=action == _SHOW)
    else:
        _print(inventory, backend, found, console, resources=action == _SHOW)
    return ExitCode.CHANGES_PENDING if found and action == _LIST else ExitCode.DONE


def _chosen(found: Sequence[StrayState], names: Sequence[str]) -> list[StrayState]:
    """Return the states with these names or keys; all without names.

    Raises:
        InputError: No such state is without a target, or several have the name.
    """
    chosen: dict[str, StrayState] = {}
    for name in names:
        matching = [state for state in found if name in {state.name, state.key}]
        if not matching:
            known = ", ".join(state.name for state in found) or "there is none"
            message = f'No state "{name}" without a target holds resources (those that do: {known}).'
            raise InputError(message, "STATE", next_command=("states",))
        if len(matching) > 1:
            message = (
                f"Several states are those of {name}: name one by its key, {' or '.join(s.key for s in matching)}."
            )
            raise InputError(message, "STATE", next_command=("states",))
        chosen[matching[0].key] = matching[0]
    return list(chosen.values()) if names else list(found)


def _write_json(inventory: Inventory, backend: StateBackend, found: Sequence[StrayState], *, resources: bool) -> None:
    entries = [
        {
            **vars(state),
            "reason": order.why_stray(state, inventory),
            **({"held": [vars(held) for held in read_resources(backend, state)]} if resources else {}),
        }
        for state in found
    ]
    write_json({"schema_version": 1, "states": entries})


def _print(
    inventory: Inventory, backend: StateBackend, found: Sequence[StrayState], console: Console, *, resources: bool
) -> None:
    for state in found:
        home = " (home region)" if state.is_home else ""
        reason = order.why_stray(state, inventory)
        line = f"{state.name}{home}: {counted(state.resources, 'resource')}; {reason}. {state.key}"
        console.print(escape(visible(line)), soft_wrap=True, highlight=False)
        for held in read_resources(backend, state) if resources else ():
            console.print(escape(visible(f"  {held.address}  {held.id}")), soft_wrap=True, highlight=False)
    console.print(f"{counted(len(found), 'state')} without a target in s3://{escape(backend.bucket)}")
    if not found:
        hints.print_next(console, "to see what has changed", hints.command("plan", "--all"))
    elif resources:
        names = [state.name for state in found]
        hints.print_next(console, "to destroy what they hold", hints.command("states", _DESTROY, *names))
    else:
        hints.print_next(console, "to see what they hold", hints.command("states", _SHOW))


def _destroy(
    inventory: Inventory, chosen: Sequence[StrayState], variables: Path | None, running: Running, console: Console
) -> int:
    kept = [_kept(inventory, state, variables, running) for state in chosen]
    refuse_unattended(running, destroys=True)
    targets = tuple(each.target for each in sorted(kept, key=lambda each: each.target.is_home))
    for each in kept:
        say(console, escape(visible(f"{each.target.key}: with the settings in {each.source}")), running)
    with start(inventory, DESTROY, TargetList(targets, ()), running, console) as operation:
        for each in kept:
            each.copy_to(operation.run)
        planned = plan_and_show(operation, targets, console, quiet=running.unattended_and_quiet)
        return ask_and_apply(operation, planned, running, console)


def _kept(inventory: Inventory, state: StrayState, variables: Path | None, running: Running) -> KeptTarget:
    """Return a state's target with its variables.

    Raises:
        InputError: Its account cannot be entered any more, or no variables are found.
    """
    account = account_in(inventory.organization, state.account_id)
    if account is not None and account.skip_reason:
        message = (
            f"Nothing can be destroyed in {state.account_id}: {account.skip_reason}. AWS deletes what a closed account "
            "holds after 90 days: forget the state."
        )
        raise InputError(message, "STATE", next_command=("states", _FORGET, state.name))
    account = account or Account(state.account_id, state.account_id)
    if variables is not None:
        return KeptTarget.read(state, account, variables)
    return KeptTarget.find(state, account, running.runs)


def _forget(backend: StateBackend, chosen: Sequence[StrayState], running: Running, console: Console) -> int:
    states_of = counted(len(chosen), "state")
    if not running.yes:
        if not sys.stdin.isatty():
            message = "Cannot ask for confirmation: standard input is not a terminal. Use --yes."
            raise InputError(message, "--yes", next_options=["--yes"])
        total = counted(sum(state.resources for state in chosen), "resource")
        if not typer.confirm(f"Forget {states_of}? Their {total} stay in AWS, and Terraform does not know them."):
            console.print("Nothing was forgotten.")
            return ExitCode.CHANGES_PENDING
    for state in chosen:
        earlier = delete_state(backend, state)
        kept = "; the bucket keeps it as an earlier version" if earlier else ""
        console.print(escape(f"{state.name}: forgotten, {state.key} was deleted{kept}"), soft_wrap=True)
    hints.print_next(console, "to see what is left", hints.command("states"))
    return ExitCode.DONE
