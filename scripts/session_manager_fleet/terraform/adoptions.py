"""Adoptions: what targets use as it exists, instead of creating it, so that a destroy leaves it as it was.

Which accounts have a log group or a key already is found by the plan that would create it. The state does not hold what
was found, so it is remembered beside the states: the names of small objects, which one listing reads for all targets.
Without them, the next plan would find the same again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, cast, get_args
from urllib.parse import quote, unquote

from pydantic import Field

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.settings import CloudWatchLogging, EffectiveSettings, TargetSettings
from session_manager_fleet.terraform.backend import StateBackend

Kind = Literal["log_group", "logs_key", "session_key", "public_sharing"]

ADOPT = "adopt"
# Account, region, kind, name and key of an adoption in the name of its object, and the retention of a log group.
_PARTS = (5, 6)
# Root variable that imports the log group, to change it.
_IMPORTS = "adopt_log_group"


@dataclass(frozen=True)
class Adoption:
    """Something that a target uses as it exists, as journals and summaries hold it."""

    kind: Annotated[Kind, Field(description="What is adopted.")]
    name: Annotated[str, Field(description="Name of the log group, alias of the key, or the setting's value.")]
    key_arn: Annotated[str, Field(description="ARN of an adopted key, or of a log group's key; empty for none.")] = ""
    retention_in_days: Annotated[
        int | None, Field(description="Retention of a log group before, 0 for ever; null for the other kinds.")
    ] = None


def read_adoptions(backend: StateBackend) -> dict[str, tuple[Adoption, ...]]:
    """Read the adoptions of all targets by the key of the target; targets without one are missing.

    Raises:
        AccessError: The state bucket cannot be listed.
    """
    found: dict[str, tuple[Adoption, ...]] = {}
    for target_key, adoption, _ in _listed(backend, ""):
        found[target_key] = (*found.get(target_key, ()), adoption)
    return found


def store_adoptions(backend: StateBackend, target_key: str, adoptions: Iterable[Adoption]) -> None:
    """Remember these adoptions of a target, and no others.

    Raises:
        AccessError: The state bucket cannot be listed or written to.
    """
    wanted = {_object_key(backend, target_key, adoption) for adoption in adoptions}
    there = {key for found, _, key in _listed(backend, f"{target_key}/") if found == target_key}
    with translated_errors(f"store {_prefix(backend)}{target_key} in the state bucket {backend.bucket}"):
        s3 = backend.client()
        for key in sorted(wanted - there):
            s3.put_object(Bucket=backend.bucket, Key=key, Body=b"", **backend.encryption)  # type: ignore[arg-type]
        for key in sorted(there - wanted):
            s3.delete_object(Bucket=backend.bucket, Key=key)


def adoptable_kinds(settings: EffectiveSettings) -> tuple[Kind, ...]:
    """Return what may be adopted; blocked sharing always is, because Terraform would open it on destroy."""
    preferences = settings.values.preferences
    logs: tuple[Kind, ...] = ("log_group", "logs_key") if preferences.cloudwatch.existing == ADOPT else ()
    data: tuple[Kind, ...] = ("session_key",) if preferences.session_key.existing == ADOPT else ()
    return (*logs, *data, "public_sharing")


def with_adoptions(
    settings: EffectiveSettings, adoptions: Iterable[Adoption]
) -> tuple[EffectiveSettings, tuple[Adoption, ...]]:
    """Return the settings that use what is adopted, and the adoptions that the settings still ask for."""
    values, used = settings.values, []
    imports: Mapping[str, bool] = {}
    for adoption in adoptions:
        cloudwatch = values.preferences.cloudwatch
        if update := _update(values, adoption):
            used.append(adoption)
            values = values.model_copy(update={"preferences": values.preferences.model_copy(update=update)})
            imports = imports if adoption.kind != "log_group" else _imports(cloudwatch, adoption)
    if not used:
        return settings, ()
    return replace(settings, values=values, foundation={**settings.foundation, **imports}), tuple(used)


def _update(values: TargetSettings, adoption: Adoption) -> Mapping[str, object]:
    """Return the preferences that differ with an adoption; none if the settings do not ask for it."""
    preferences, names = values.preferences, values.names
    cloudwatch, session_key = preferences.cloudwatch, preferences.session_key
    if adoption.kind == "log_group" and cloudwatch.existing == ADOPT and cloudwatch.create_log_group:
        name = names.log_group if cloudwatch.log_group_name is None else cloudwatch.log_group_name
        if name == adoption.name:
            return {"cloudwatch": cloudwatch.model_copy(update=_log_group(cloudwatch, adoption))}
    elif adoption.kind == "logs_key" and cloudwatch.existing == ADOPT and cloudwatch.kms_key_arn is None:
        if names.logs_key_alias == adoption.name:
            return {"cloudwatch": cloudwatch.model_copy(update={"kms_key_arn": adoption.key_arn})}
    elif adoption.kind == "session_key" and session_key.existing == ADOPT and session_key.kms_key_arn is None:
        if names.data_key_alias == adoption.name:
            # Its policy stays as it is, too.
            key = {"kms_key_arn": adoption.key_arn, "organization_id": None}
            return {"session_key": session_key.model_copy(update=key)}
    elif adoption.kind == "public_sharing" and preferences.block_public_sharing:
        return {"block_public_sharing": False}
    return {}


def _changes(cloudwatch: CloudWatchLogging) -> bool:
    return "change" in {cloudwatch.existing_key, cloudwatch.existing_retention}


def _imports(cloudwatch: CloudWatchLogging, adoption: Adoption) -> Mapping[str, bool]:
    """Return the root variable that imports a log group to change it; a group that keeps no key is refused as it is."""
    lacks_key = cloudwatch.encryption_enabled and cloudwatch.existing_key == "keep" and not adoption.key_arn
    return {_IMPORTS: True} if _changes(cloudwatch) and not lacks_key else {}


def _log_group(cloudwatch: CloudWatchLogging, adoption: Adoption) -> Mapping[str, object]:
    """Return what differs from a created log group: what an adopted one keeps while the rest is changed."""
    update: dict[str, object] = {"create_log_group": False}
    if _changes(cloudwatch) and cloudwatch.existing_retention == "keep":
        update["retention_in_days"] = adoption.retention_in_days or 0
    if _changes(cloudwatch) and cloudwatch.existing_key == "keep":
        update["kms_key_arn"] = adoption.key_arn or None
    return update


def _listed(backend: StateBackend, under: str) -> list[tuple[str, Adoption, str]]:
    """Return key of the target, adoption and object key of all adoptions."""
    prefix, found = _prefix(backend), []
    with translated_errors(f"list {prefix} in the state bucket {backend.bucket}"):
        listing = backend.client().get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=backend.bucket, Prefix=prefix + under):
            for entry in page.get("Contents", []):
                parts = entry["Key"].removeprefix(prefix).split("/")
                if len(parts) in _PARTS and parts[2] in get_args(Kind):
                    kind, name, key_arn = cast("Kind", parts[2]), unquote(parts[3]), unquote(parts[4])
                    adoption = Adoption(kind, name, key_arn, int(parts[5]) if parts[5:] else None)
                    found.append(("/".join(parts[:2]), adoption, entry["Key"]))
    return found


def _object_key(backend: StateBackend, target_key: str, adoption: Adoption) -> str:
    name, key_arn = (quote(text, safe="") for text in (adoption.name, adoption.key_arn))
    days = "" if adoption.retention_in_days is None else f"/{adoption.retention_in_days}"
    return f"{_prefix(backend)}{target_key}/{adoption.kind}/{name}/{key_arn}{days}"


def _prefix(backend: StateBackend) -> str:
    return f"{backend.key_prefix}/adopted/"
