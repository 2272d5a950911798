"""`targets`: list the selected targets."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from session_manager_fleet.cli import hints
from session_manager_fleet.cli.options import load, selecting
from session_manager_fleet.cli.output import check_format, write_json, write_text
from session_manager_fleet.errors import ExitCode, InputError
from session_manager_fleet.reports import counted, csv_table, terminal
from session_manager_fleet.targets import Selection, Target, occupied_shards

# GitHub runs at most 256 jobs of one matrix (workflow syntax, jobs.<job_id>.strategy.matrix).
MATRIX_LIMIT = 256
MATRIX_SHARDS = 20

_COLUMNS = ("account_id", "account_name", "account_role", "ou", "region", "home", "wave", "workspace")


@selecting
def targets(
    context: typer.Context,
    selection: Selection,
    output: Annotated[
        str, typer.Option("--format", metavar="table|json|csv|github-matrix", help="Output format.")
    ] = "table",
    shards: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Shards of the github-matrix, 1 to {MATRIX_LIMIT}; default {MATRIX_SHARDS}."),
    ] = None,
) -> int:
    """List targets in the order in which they are applied; all of them without a selection."""
    check_format(output, "table", "json", "csv", "github-matrix")
    if shards is not None and (output != "github-matrix" or not 1 <= shards <= MATRIX_LIMIT):
        raise InputError(f"Use a number from 1 to {MATRIX_LIMIT}, with --format github-matrix.", "--shards")
    if output == "github-matrix" and selection.shard is not None:
        raise InputError("Cannot be combined with --format github-matrix: its jobs are the shards.", "--shard")
    console, errors = terminal.make_console(), terminal.make_console(stderr=True)
    if not selection.given:
        selection = replace(selection, everything=True)
    _, selected = load(context.obj, selection, errors)
    if output == "json":
        listed = [{**_row(target), "tags": dict(target.account.tags)} for target in selected.targets]
        skipped = [asdict(entry) for entry in selected.skipped]
        write_json({"targets": listed, "skipped": skipped})
    elif output == "csv":
        rows = ({**_row(target), "home": json.dumps(target.is_home)} for target in selected.targets)
        write_text(csv_table(_COLUMNS, ([row[column] for column in _COLUMNS] for row in rows)))
    elif output == "github-matrix":
        write_json({"include": _matrix(selected.targets, shards or MATRIX_SHARDS)}, indent=None)
    else:
        terminal.print_targets(console, selected.targets)
        console.print(counted(len(selected.targets), "target"))
        hints.print_next(console, "to plan them", hints.on_same_targets("plan"))
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
    """Return the jobs of a matrix: the value of `--shard`, a name without a slash, and the number of targets."""
    return [
        {"shard": f"{shard.index}/{count}", "name": f"shard-{shard.index}-of-{count}", "targets": held}
        for shard, held in occupied_shards(targets, count).items()
    ]
