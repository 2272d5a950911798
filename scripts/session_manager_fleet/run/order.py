"""Refuse to plan targets that log to a log archive which is not applied yet: their apply would fail halfway.

Nothing else of the foundation is needed first: the deployment role is exempt from the guardrails, and an existing
bucket with an existing key is there without an apply.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from session_manager_fleet.accounts import account_in
from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings import LogArchive
from session_manager_fleet.targets import EVERYTHING, Inventory, Selection, Target
from session_manager_fleet.terraform import LARGEST_STATE_BYTES, StateBackend, StrayState, find_stray_states

_MODULE = "module.log_archive"
# What session logs need of it: by the words of a message, the address of the last resource that makes it usable.
_BUCKET = ("bucket", "aws_s3_bucket_policy.this")
_KEY = ("key", "aws_kms_alias.bucket")


def refuse_before_log_archive(inventory: Inventory, targets: Sequence[Target], selection: Selection) -> None:
    """Refuse targets that need the log archive, unless it is applied or planned with them.

    Args:
        inventory: The organization and its settings.
        targets: Targets of the command.
        selection: Their selection; other shards of it may hold the log archive.

    Raises:
        InputError: The log archive is neither applied nor selected; its next command applies it.
        AccessError: Its state cannot be read.
    """
    for host in _hosts(inventory):
        _refuse_before(inventory, host, targets, selection)


def _refuse_before(inventory: Inventory, host: Target, targets: Sequence[Target], selection: Selection) -> None:
    """Refuse targets that need what one target of the log archive makes.

    Raises:
        InputError: It is neither applied nor selected.
        AccessError: Its state cannot be read.
    """
    if host.key in {target.key for target in targets}:
        return
    dependents = [target for target in targets if _needs_archive(inventory, target, host)]
    whole = inventory.select(replace(selection, shard=None)).targets if selection.shard else ()
    if not dependents or host.key in {target.key for target in whole}:
        return
    missing = _missing(inventory, host)
    if not missing:
        return
    count = len(dependents)
    who = f"{dependents[0].account.id} ({dependents[0].account.name}) logs" if count == 1 else f"{count} targets log"
    message = (
        f"{who} to the log archive in {host.account.id} ({host.account.name}), which is not applied yet: "
        f"its {' and its '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist. "
        f"Apply the wave {host.wave} first."
    )
    raise InputError(message, next_command=("apply", "--wave", host.wave))


def _hosts(inventory: Inventory) -> list[Target]:
    """Return the targets of the log archive: one for each region with a bucket; empty without an archive."""
    if inventory.settings.log_archive is None:
        return []
    variables_of = inventory.settings.foundation.variables_of
    return [
        target
        for target in inventory.select(EVERYTHING).targets
        if "log_archive" in variables_of(target.account, target.region)
    ]


def _settings(inventory: Inventory, host: Target) -> LogArchive | None:
    """Return the settings of the bucket that a target of the log archive makes."""
    archive = inventory.settings.log_archive
    return archive.in_region(host.region) if archive else None


def _needs_archive(inventory: Inventory, target: Target, host: Target) -> bool:
    archive = _settings(inventory, host)
    preferences = inventory.settings.effective(target.account, target.region).values.preferences
    bucket = archive.bucket_in(host.account.id, host.region) if archive else ""
    return preferences.enabled and preferences.s3.enabled and preferences.s3.bucket_name == bucket


def _missing(inventory: Inventory, host: Target) -> list[str]:
    """Return which of the bucket and the key that the log archive creates its state does not hold."""
    archive = _settings(inventory, host)
    created = [
        *([_BUCKET] if archive and archive.existing_bucket_name is None else []),
        *([_KEY] if archive and archive.bucket_key.kms_key_arn is None else []),
    ]
    if not created:
        return []
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    key = backend.state_key(host)
    with translated_errors(f"read {key} in the state bucket {backend.bucket}"):
        s3 = backend.client()
        try:
            content = s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read(LARGEST_STATE_BYTES)
        except s3.exceptions.NoSuchKey:
            content = b"{}"
    held = _held(content, f"s3://{backend.bucket}/{key}")
    return [words for words, address in created if address not in held]


def _held(content: bytes, place: str) -> set[str]:
    """Return type and name of what the module of the log archive has in a state.

    Raises:
        InputError: It is no state.
    """
    try:
        return {
            f"{entry.get('type')}.{entry.get('name')}"
            for entry in json.loads(content).get("resources", [])
            if str(entry.get("module", "")).startswith(_MODULE)
        }
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError("This is no Terraform state. Restore an earlier version of the object.", place) from error


def stray_states(inventory: Inventory) -> list[StrayState]:
    """Return the states with resources that no target of the organization has.

    Raises:
        AccessError: The state bucket cannot be read.
    """
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    return find_stray_states(backend, inventory.select(EVERYTHING).targets)


def strays_of(strays: Sequence[StrayState], targets: Sequence[Target], selection: Selection) -> list[StrayState]:
    """Return the states that concern a selection: those of its accounts, or all of them if it is everything."""
    accounts = {target.account.id for target in targets}
    return [state for state in strays if selection.whole or state.account_id in accounts]


def stray_warning(state: StrayState) -> str:
    """Return the warning of a state that no target has."""
    return (
        f"No target has the state of account {state.account_id} in {state.region} ({state.key}), which holds "
        "resources: `states` shows, destroys or forgets it."
    )


def why_stray(state: StrayState, inventory: Inventory) -> str:
    """Return why no target has a state."""
    account = account_in(inventory.organization, state.account_id)
    if account is None:
        return "the account is not in the organization"
    if account.skip_reason:
        return account.skip_reason
    if state.region not in inventory.regions_of(account):
        return "the settings leave the region out"
    return f"the home region is {inventory.home_region} now"


def refuse_other_home_region(inventory: Inventory, targets: Sequence[Target], strays: Sequence[StrayState]) -> None:
    """Refuse a home region for which an account's state stands under another one: all would be created again.

    Raises:
        InputError: Accounts have resources under another home region; its next command shows them.
    """
    homes = {target.account.id: target.home_region for target in targets}
    moved = [state for state in strays if _had_other_home(state, homes.get(state.account_id))]
    if moved:
        names, first = [state.name for state in moved], moved[0]
        message = (
            f"Account {first.account_id} has resources under another home region than {homes[first.account_id]} "
            f"({first.key}): they would be created again. Set organization.home_region back, or destroy what was made "
            f"under the old one first, for {len({state.account_id for state in moved})} account(s): "
            f"`states destroy {' '.join(names)}` (docs/lifecycle.md)."
        )
        where = inventory.settings.document.where(("organization", "home_region"))
        raise InputError(message, where, next_command=("states", "show", *names))


def _had_other_home(state: StrayState, home: str | None) -> bool:
    """Tell whether a state was made under another home region than an account has; None for no such account."""
    return home is not None and (state.region != home if state.is_home else state.region == home)
