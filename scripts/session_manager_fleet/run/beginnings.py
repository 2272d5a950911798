"""Describe the work of a command, and refuse work that the state of its run does not allow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import sha256_of
from session_manager_fleet.run.journal import Beginning, RunState
from session_manager_fleet.run.results import Status, TargetKey, TargetResult
from session_manager_fleet.settings import Component, Tolerance
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

VERIFY = "verify"
_UNDONE = {Status.CHANGES, Status.NOT_STARTED, Status.UNFINISHED}


def begin_run(
    inventory: Inventory,
    command: str,
    targets: TargetList,
    selection: Selection,
    warnings: Sequence[str] = (),
    exceptions: Sequence[PolicyException] = (),
    components: Sequence[Component] = (),
) -> Beginning:
    """Describe a new run over selected targets."""
    return Beginning(
        command=command,
        organization_id=inventory.settings.organization.id,
        configuration_sha256=sha256_of(inventory.settings.document.path),
        selection=_conditions(selection),
        tolerances={wave.name: wave.max_failures for wave in inventory.settings.waves},
        targets=tuple(TargetKey.of(target) for target in targets.targets),
        skipped=targets.skipped,
        exceptions=tuple(exceptions),
        components=tuple(components),
        warnings=tuple(warnings),
        **_shards(inventory.select(replace(selection, shard=None)).targets, selection.shard),
    )


def continue_run(
    inventory: Inventory, before: Beginning, targets: Sequence[Target], command: str, selection: Selection = EVERYTHING
) -> Beginning:
    """Describe a command that continues the work of an earlier one.

    Wave and shard of the selection narrow the targets, which are all of the run, further.

    Raises:
        InputError: The run belongs to another organization.
    """
    if before.organization_id != inventory.settings.organization.id:
        message = (
            f"This run belongs to {before.organization_id}, but the settings to {inventory.settings.organization.id}."
        )
        raise InputError(message, "RUN")
    shards = {"shard": before.shard, "shards": before.shards}
    return Beginning(
        command=command,
        organization_id=before.organization_id,
        configuration_sha256=sha256_of(inventory.settings.document.path),
        wave=selection.wave or before.wave,
        components=before.components,
        missing_shards=before.missing_shards,
        **(_shards(targets, selection.shard) or shards),
    )


def _conditions(selection: Selection) -> tuple[str, ...]:
    """Return the options of a selection, except for its shard, in one order however they were given."""
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
    """Return the shard of a run and the numbers of the shards that hold targets."""
    if shard is None:
        return {}
    parts = tuple(part.index for part in occupied_shards(targets, shard.count))
    return {"shard": f"{shard.index}/{shard.count}", "shards": parts}


def refuse_verification(state: RunState, run: str = "RUN") -> None:
    """Refuse to continue a run of `verify`.

    Args:
        state: State of the run.
        run: The run, as commands take it.

    Raises:
        InputError: The run planned nothing.
    """
    if state.first.command == VERIFY:
        message = "This run verified targets and planned nothing, so nothing can be applied, resumed or merged."
        raise InputError(message, run, next_command=("report", run))


def refuse_other_configuration(inventory: Inventory, state: RunState) -> None:
    """Refuse to continue a run whose settings have changed: its results would not belong together.

    Raises:
        InputError: organization.yaml differs from that of the last command on the run.
    """
    path = inventory.settings.document.path
    if sha256_of(path) != state.beginning.configuration_sha256:
        message = (
            "The configuration has changed since this run was planned. Plan again; finished targets will show no "
            "changes."
        )
        selection = [word for condition in state.first.selection for word in condition.split(" ", 1)]
        raise InputError(message, str(path), next_command=("plan", *(selection or ["--all"])))


def refuse_missing_shards(state: RunState) -> None:
    """Refuse to apply a merged run without the plans of all shards: its review was incomplete.

    Raises:
        InputError: A shard is missing.
    """
    if missing := state.first.missing_shards:
        message = f"Shard {', '.join(missing)} is missing from this run. Plan it, and merge all shards again."
        raise InputError(message, "RUN")


def refuse_skipped_waves(inventory: Inventory, state: RunState, pending: Sequence[Target], *, reverse: bool) -> None:
    """Refuse to start a wave while an earlier one of the run is unfinished or has failed.

    With `reverse` the last wave comes first, as for destroy.

    Raises:
        InputError: An earlier wave has more failed targets than it tolerates, or targets that are not done; RUN in
            its next command stands for the run.
    """
    worked_on = {target.key for target in pending}
    waves: dict[str, list[TargetResult]] = {}
    for result in reversed(state.results) if reverse else state.results:
        waves.setdefault(result.wave, []).append(result)
    tolerance = {wave.name: wave.max_failures for wave in inventory.settings.waves}
    order = list(waves)
    last = max(order.index(target.wave) for target in pending)
    for name in order[:last]:
        results = waves[name]
        failures = sum(result.status is Status.FAILED for result in results)
        undone = sum(result.status in _UNDONE and result.key not in worked_on for result in results)
        where = f"of {len(results)} targets of the wave {name}, which comes before {order[last]}"
        if tolerance.get(name, Tolerance()).exceeded_by(failures, len(results)):
            message = f"{failures} {where}, failed: resume the run first."
            raise InputError(message, "RUN", next_command=("resume", "RUN"))
        if undone:
            message = f"{undone} {where}, are not done: apply that wave first."
            raise InputError(message, "RUN", next_command=("apply", "RUN", "--wave", name))
