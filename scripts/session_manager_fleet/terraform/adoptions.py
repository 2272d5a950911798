"""Adoptions: what targets use as it exists, instead of creating it, so that a destroy leaves it as it was.

Which accounts have a log group or a key already is found by the plan that would create it. The state does not hold what
was found, so it is remembered beside the states: the names of small objects, which one listing reads for all targets.
Without them, the next plan would find the same again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, cast, get_args
from urllib.parse import quote, unquote

from pydantic import Field

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.settings import EffectiveSettings
from session_manager_fleet.terraform.backend import StateBackend

Kind = Literal["log_group", "logs_key", "session_key", "public_sharing"]

ADOPT = "adopt"
# Account, region, kind, name and key of an adoption in the name of its object.
_PARTS = 5


@dataclass(frozen=True)
class Adoption:
    """Something that a target uses as it exists, as journals and summaries hold it."""

    kind: Annotated[Kind, Field(description="What is adopted.")]
    name: Annotated[str, Field(description="Name of the log group, alias of the key, or the setting's value.")]
    key_arn: Annotated[str, Field(description="ARN of an adopted key; empty for the other kinds.")] = ""


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
    for adoption in adoptions:
        preferences, names = values.preferences, values.names
        cloudwatch, session_key = preferences.cloudwatch, preferences.session_key
        update: dict[str, object] = {}
        if adoption.kind == "log_group" and cloudwatch.existing == ADOPT and cloudwatch.create_log_group:
            name = names.log_group if cloudwatch.log_group_name is None else cloudwatch.log_group_name
            if name == adoption.name:
                update["cloudwatch"] = cloudwatch.model_copy(update={"create_log_group": False})
        elif adoption.kind == "logs_key" and cloudwatch.existing == ADOPT and cloudwatch.kms_key_arn is None:
            if names.logs_key_alias == adoption.name:
                update["cloudwatch"] = cloudwatch.model_copy(update={"kms_key_arn": adoption.key_arn})
        elif adoption.kind == "session_key" and session_key.existing == ADOPT and session_key.kms_key_arn is None:
            if names.data_key_alias == adoption.name:
                # Its policy stays as it is, too.
                key = {"kms_key_arn": adoption.key_arn, "organization_id": None}
                update["session_key"] = session_key.model_copy(update=key)
        elif adoption.kind == "public_sharing" and preferences.block_public_sharing:
            update["block_public_sharing"] = False
        if update:
            used.append(adoption)
            values = values.model_copy(update={"preferences": preferences.model_copy(update=update)})
    return (replace(settings, values=values) if used else settings), tuple(used)


def _listed(backend: StateBackend, under: str) -> list[tuple[str, Adoption, str]]:
    """Return key of the target, adoption and object key of all adoptions."""
    prefix, found = _prefix(backend), []
    with translated_errors(f"list {prefix} in the state bucket {backend.bucket}"):
        listing = backend.client().get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=backend.bucket, Prefix=prefix + under):
            for entry in page.get("Contents", []):
                parts = entry["Key"].removeprefix(prefix).split("/")
                if len(parts) == _PARTS and parts[2] in get_args(Kind):
                    kind, name, key_arn = cast("Kind", parts[2]), unquote(parts[3]), unquote(parts[4])
                    found.append(("/".join(parts[:2]), Adoption(kind, name, key_arn), entry["Key"]))
    return found


def _object_key(backend: StateBackend, target_key: str, adoption: Adoption) -> str:
    name, key_arn = (quote(text, safe="") for text in (adoption.name, adoption.key_arn))
    return f"{_prefix(backend)}{target_key}/{adoption.kind}/{name}/{key_arn}"


def _prefix(backend: StateBackend) -> str:
    return f"{backend.key_prefix}/adopted/"
