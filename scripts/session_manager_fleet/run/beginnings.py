"""Describe what a command sets out to do, and refuse what its run does not allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import sha256_of
from session_manager_fleet.run.journal import Beginning, RunState, TargetKey
from session_manager_fleet.run.results import Status, TargetResult
from session_manager_fleet.run.summary import SkippedEntry
from session_manager_fleet.settings import Tolerance
from session_manager_fleet.targets import (
    EVERYTHING,
    Inventory,
    PolicyException,
    Selection,
    Shard,
    Target,
    TargetList,
    occupied_shards,
)

_UNDONE = {Status.CHANGES, Status.NOT_STARTED, Status.UNFINISHED}


def begin_run(
    context: Inventory,
    command: str,
    targets: TargetList,
    selection: Selection,
    warnings: Sequence[str] = (),
    exceptions: Sequence[PolicyException] = (),
) -> Beginning:
    """Describe a new run over selected targets."""
    return Beginning(
        command=command,
        organization_id=context.settings.organization.id,
        configuration_sha256=sha256_of(context.settings.document.path),
        selection=_conditions(selection),
        tolerances={wave.name: wave.max_failures.value for wave in context.settings.waves},
        targets=tuple(TargetKey.of(target) for target in targets.targets),
        skipped=tuple(SkippedEntry(**entry.as_dict()) for entry in targets.skipped),
        exceptions=tuple(exceptions),
        warnings=tuple(warnings),
        **_shards(context.select(replace(selection, shard=None)).targets, selection.shard),
    )


def go_on(
    context: Inventory, before: Beginning, targets: Sequence[Target], command: str, selection: Selection = EVERYTHING
) -> Beginning:
    """Describe a command that works on what an earlier one left.

    Args:
        context: The organization and its settings.
        before: What the earlier one set out to do.
        targets: All targets of the run.
        command: What the command does.
        selection: Its wave and its shard narrow what is worked on further.

    Raises:
        InputError: The run was made for another organization.
    """
    if before.organization_id != context.settings.organization.id:
        message = (
            f"This run is about {before.organization_id}, the settings are about {context.settings.organization.id}."
        )
        raise InputError(message, "RUN")
    shards = {"shard": before.shard, "shards": before.shards}
    return Beginning(
        command=command,
        organization_id=before.organization_id,
        configuration_sha256=sha256_of(context.settings.document.path),
        wave=selection.wave or before.wave,
        missing_shards=before.missing_shards,
        **(_shards(targets, selection.shard) or shards),
    )


def _conditions(selection: Selection) -> tuple[str, ...]:
    """Return what narrows a selection, but for its shard, in one order however it was written."""
    include = selection.include
    given = {
        "account": include.accounts,
        "ou": include.ous,
        "tag": [f"{key}={value}" for key, value in include.tags.items()],
        "region": include.regions,
        "exclude": selection.exclude,
        "wave": [selection.wave] if selection.wave else [],
    }
    return tuple(f"--{option} {value}" for option, values in given.items() for value in sorted(set(values)))


def _shards(targets: Sequence[Target], shard: Shard | None) -> dict[str, Any]:
    """Return which part of the targets a run has, and which parts there are."""
    if shard is None:
        return {}
    parts = tuple(part.index for part in occupied_shards(targets, shard.count))
    return {"shard": f"{shard.index}/{shard.count}", "shards": parts}


def refuse_other_configuration(context: Inventory, state: RunState) -> None:
    """Refuse to go on with a run whose settings have changed: its parts would not belong together.

    Raises:
        InputError: organization.yaml is not what the last command on the run worked with.
    """
    path = context.settings.document.path
    if sha256_of(path) != state.beginning.configuration_sha256:
        raise InputError(
            "It is not what the last command on this run worked with: plan anew, what is done already is found so.",
            str(path),
        )


def refuse_missing_shards(state: RunState) -> None:
    """Refuse to apply a merged run that does not hold all plans that were meant: its review was not whole.

    Raises:
        InputError: A shard is missing.
    """
    if missing := state.first.missing_shards:
        message = f"Shard {', '.join(missing)} is missing from this run: make it, and merge all shards again."
        raise InputError(message, "RUN")


def refuse_skipped_waves(context: Inventory, state: RunState, pending: Sequence[Target], *, reverse: bool) -> None:
    """Refuse to go on to a wave before those that it follows, whichever command was to work on them.

    Args:
        context: The organization and its settings, which say what each wave tolerates.
        state: Where the run stands.
        pending: What the command works on.
        reverse: The last wave of the run comes first.

    Raises:
        InputError: More targets of an earlier wave have failed than it tolerates, or some are not done.
    """
    worked_on = {target.key for target in pending}
    waves: dict[str, list[TargetResult]] = {}
    for result in reversed(state.results) if reverse else state.results:
        waves.setdefault(result.target.wave, []).append(result)
    tolerance = {wave.name: wave.max_failures for wave in context.settings.waves}
    order = list(waves)
    last = max(order.index(target.wave) for target in pending)
    for name in order[:last]:
        results = waves[name]
        failures = sum(result.status is Status.FAILED for result in results)
        undone = sum(result.status in _UNDONE and result.target.key not in worked_on for result in results)
        where = f"of {len(results)} targets of the wave {name}, which comes before {order[last]}"
        if tolerance.get(name, Tolerance()).exceeded_by(failures, len(results)):
            raise InputError(f"{failures} {where}, failed: `resume` the run first.", "RUN")
        if undone:
            raise InputError(f"{undone} {where}, are not done: `apply` that wave, or `resume` the run first.", "RUN")
