"""Settings of the foundation, which exists once in the organization: the log archive and the guardrails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from session_manager_fleet.settings.types import (
    BucketName,
    Conflict,
    KeyAlias,
    KeyPrefix,
    KmsKeyArn,
    PolicyTarget,
    Region,
    RoleArn,
    RoleArnPattern,
    StrictModel,
    refuse,
)

# S3 can move objects only down this list (S3 user guide, "Transitioning objects").
StorageClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
_STORAGE_CLASSES: tuple[StorageClass, ...] = get_args(StorageClass)
_DAYS_BEFORE_INFREQUENT_ACCESS = _DAYS_IN_INFREQUENT_ACCESS = 30

# Reserved by S3 (S3 user guide, "Bucket naming rules").
_RESERVED_BUCKET_NAME = re.compile(r"^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$")


class Transition(StrictModel):
    """A move of logs to another storage class."""

    days: int = Field(ge=0, le=36_500)
    """Age of the logs that are moved."""
    storage_class: StorageClass
    """Class that they are moved to."""

    @model_validator(mode="after")
    def _old_enough(self) -> Self:
        if self.storage_class.endswith("_IA") and self.days < _DAYS_BEFORE_INFREQUENT_ACCESS:
            raise ValueError(f"transitions to {self.storage_class} need at least {_DAYS_BEFORE_INFREQUENT_ACCESS} days")
        return self


class LogRetention(StrictModel):
    """How long logs stay in the bucket."""

    days: int = Field(365, ge=0, le=36_500)
    """Days from the upload after which logs are deleted; 0 is never."""
    noncurrent_days: int = Field(90, ge=0, le=36_500)
    """Days after which overwritten and deleted versions are removed; 0 is never."""
    transitions: list[Transition] = Field([])
    """Moves to other storage classes, ordered by days."""

    @model_validator(mode="after")
    def _downwards(self) -> Self:
        for first, second in pairwise(self.transitions):
            if first.days >= second.days:
                raise ValueError("transitions must be ordered by days")
            if _STORAGE_CLASSES.index(first.storage_class) >= _STORAGE_CLASSES.index(second.storage_class):
                raise ValueError(f"S3 cannot move logs from {first.storage_class} to {second.storage_class}")
            if (first.storage_class, second.storage_class) == ("ONEZONE_IA", "GLACIER_IR"):
                raise ValueError("S3 cannot move logs from ONEZONE_IA to GLACIER_IR")
            if first.storage_class.endswith("_IA") and second.days - first.days < _DAYS_IN_INFREQUENT_ACCESS:
                raise ValueError(
                    f"logs must stay in {first.storage_class} for at least {_DAYS_IN_INFREQUENT_ACCESS} days before "
                    f"they are moved to {second.storage_class}"
                )
        if self.days and any(transition.days >= self.days for transition in self.transitions):
            raise ValueError(f"transitions must come before the deletion after {self.days} days")
        return self


class ObjectLock(StrictModel):
    """Object Lock: for how long logs cannot be deleted."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    """With COMPLIANCE, not even the root user can delete."""
    days: int = Field(ge=1, le=36_500)
    """Days from the upload."""


class AccessLogging(StrictModel):
    """Server access logs of the bucket."""

    bucket_name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Bucket that stores them, in the same account and region."""
    key_prefix: str = "session-manager-logs/"
    """Prefix of their object keys."""


class BucketKey(StrictModel):
    """KMS key that encrypts the bucket."""

    kms_key_arn: KmsKeyArn | None = None
    """An existing key; its policy needs the statements in the outputs of modules/log_archive."""
    alias: KeyAlias = "alias/session-manager/log-archive"
    """Alias of the key that is created without kms_key_arn."""


class OrganizationSessionKey(StrictModel):
    """KMS key that the whole organization may use to encrypt session data."""

    mode: Literal["none", "separate", "shared"] = "none"
    """No key, a separate key, or the key of the bucket."""
    alias: KeyAlias = "alias/session-manager/organization-data"
    """Alias of a separate key."""


class RegionalBucket(StrictModel):
    """Settings that the bucket of a further region has of its own; all else is as in the home region."""

    bucket_name: BucketName | None = None
    """Name of the bucket to create; by default session-manager-logs-<account>-<region>."""
    existing_bucket_name: BucketName | None = None
    """An existing bucket of the region, which is not changed."""
    kms_key_arn: KmsKeyArn | None = None
    """An existing key of the region that encrypts the bucket; by default a key is created."""
    access_logging: AccessLogging | None = None


def _by_region(value: object) -> object:
    """Read a list of regions as regions with nothing of their own."""
    return {region: {} for region in value} if isinstance(value, list) and all(map(_is_text, value)) else value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _or_list(schema: dict[str, Any]) -> None:
    """Let the JSON Schema accept a list of regions, too."""
    rule = {key: schema.pop(key) for key in ("type", "additionalProperties", "propertyNames") if key in schema}
    schema["anyOf"] = [rule, {"type": "array", "items": {"type": "string"}}]


class LogArchive(StrictModel):
    """Bucket for the session logs of all accounts, in the log-archive account and the home region."""

    bucket_name: BucketName | None = None
    """Name of the bucket to create; by default session-manager-logs-<account>-<region>."""
    existing_bucket_name: BucketName | None = None
    """An existing bucket, which is not changed."""
    key_prefix: KeyPrefix = "sessionmanager"
    """Prefix of all object keys, without a slash at either end."""
    bucket_key: BucketKey = BucketKey()
    session_key: OrganizationSessionKey = OrganizationSessionKey()
    reader_role_arns: list[RoleArn] = Field([])
    """The only roles that may read logs."""
    retention: LogRetention = LogRetention()
    object_lock: ObjectLock | None = None
    access_logging: AccessLogging | None = None
    regions: Annotated[dict[Region, RegionalBucket], BeforeValidator(_by_region)] = Field(
        {}, json_schema_extra=_or_list
    )
    """Further regions with a bucket of their own, to which the nodes of the region log; a list, or a mapping."""

    @field_validator("bucket_name")
    @classmethod
    def _not_reserved(cls, name: str | None) -> str | None:
        if name is not None and _RESERVED_BUCKET_NAME.search(name):
            raise ValueError(f'the bucket name "{name}" is reserved for S3')
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.existing_bucket_name is not None:
            if self.bucket_name:
                message = "bucket_name and existing_bucket_name exclude each other; set only one"
                yield Conflict(message, (("bucket_name",),))
            if not self.key_prefix:
                message = "an existing bucket needs a key_prefix; without one, the policy applies to all its objects"
                yield Conflict(message, (("key_prefix",),))
            for key in ("object_lock", "access_logging"):
                if getattr(self, key):
                    yield Conflict(f"{key} has no effect on an existing bucket", ((key,),))
        if self.session_key.alias == self.bucket_key.alias:
            yield Conflict("session_key.alias and bucket_key.alias must differ", (("session_key", "alias"),))
        yield from self._regional_conflicts()
        if self.access_logging and self.access_logging.bucket_name == self.bucket_name:
            message = "access_logging.bucket_name must be another bucket; otherwise every access log is logged again"
            yield Conflict(message, (("access_logging", "bucket_name"),))
        if self.object_lock and 0 < self.retention.days < self.object_lock.days:
            message = "retention.days must be at least object_lock.days, because locked logs cannot be deleted"
            yield Conflict(message, (("retention", "days"),))

    def _regional_conflicts(self) -> Iterator[Conflict]:
        names = [self.existing_bucket_name or self.bucket_name]
        for region, own in self.regions.items():
            where = ("regions", region)
            name = own.existing_bucket_name or own.bucket_name
            if name is not None and name in names:
                yield Conflict(f"the bucket {name} is in one region only; name another one for {region}", (where,))
            names.append(name)
            if own.bucket_name and _RESERVED_BUCKET_NAME.search(own.bucket_name):
                yield Conflict(f'the bucket name "{own.bucket_name}" is reserved for S3', ((*where, "bucket_name"),))
            if own.kms_key_arn and own.kms_key_arn.split(":")[3] != region:
                message = f"regions.{region}.kms_key_arn must be a key of {region}, where the bucket is"
                yield Conflict(message, ((*where, "kms_key_arn"),))
            for conflict in self.in_region(region)._conflicts():  # noqa: SLF001 - its own class
                yield Conflict(f"regions.{region}: {conflict.message}", (where,))

    def in_region(self, region: str) -> LogArchive:
        """Return the settings of the bucket of a region: those of the home region unless `regions` names it."""
        own = self.regions.get(region)
        changes: dict[str, Any] = {"regions": {}}
        if own is not None:
            changes |= {
                "bucket_name": own.bucket_name,
                "existing_bucket_name": own.existing_bucket_name,
                "bucket_key": BucketKey(kms_key_arn=own.kms_key_arn, alias=self.bucket_key.alias),
                "access_logging": own.access_logging,
                "object_lock": None if own.existing_bucket_name else self.object_lock,
            }
        return self.model_copy(update=changes)

    def bucket_in(self, account_id: str, region: str) -> str:
        """Return the name of the bucket."""
        return self.existing_bucket_name or self.bucket_name or f"session-manager-logs-{account_id}-{region}"


class Denials(StrictModel):
    """Groups of actions to deny to all but the exempt roles."""

    preferences: bool = True
    """Changes of the preferences document."""
    public_sharing: bool = True
    """Public sharing of documents."""
    ssh: bool = True
    """SSH sessions, which are not logged."""
    port_forwarding: bool = True
    """Port forwarding sessions, which are not logged."""
    other_documents: bool = True
    """Sessions with other documents than the preferences."""
    keys: bool = True
    """Deleting and disabling the KMS keys, and grants on them."""
    log_groups: bool = True
    """Deleting the log groups, and masking or rewriting what arrives in them."""
    subscription_filters: bool = True
    """Changes of the log groups' subscription filters."""
    account_log_policies: bool = True
    """Account policies of CloudWatch Logs, which apply to all log groups of an account."""
    function: bool = True
    """Changes of the Lambda function."""
    drift_repair: bool = True
    """Changes of the schedule and the event rule that call the function."""
    cloudtrail: bool = True
    """Stopping, deleting and changing trails of the account: without a trail no event reports a change."""
    config_rule: bool = True
    """Changes of the Config rule and its remediation."""
    config_recorder: bool = True
    """Stopping, deleting and changing the Config recorder."""
    remediation_exceptions: bool = True
    """Exempting resources from the remediation of Config rules."""
    instance_policy: bool = True
    """Changes of the instance policy."""
    exempt_roles: bool = True
    """Changes of the exempt roles themselves."""


class Guardrails(StrictModel):
    """Service control policy that protects Session Manager from all but the exempt roles; in the management account."""

    attach_to: list[PolicyTarget] = Field([])
    """Ids of the root, of organizational units and of accounts; without any, the policy is only an output."""
    deny: Denials = Denials()
    exempt_role_arns: list[RoleArnPattern] = Field([])
    """ARN patterns of emergency roles; the deployment role and the roles of this project are always exempt."""
    unlogged_session_role_arns: list[RoleArnPattern] = Field([])
    """Roles that may start sessions with any document."""
    other_session_documents: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,128}$")]] = Field([])
    """Additional documents that sessions may use; who may change them is not limited."""
    logged_session_documents: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,128}$")]] = Field([])
    """Additional documents that sessions may use and only exempt roles change; verify finds those that do not log."""
    name: str = Field("session-manager-guardrails", pattern=r"^[A-Za-z0-9_ .,@+=/-]{1,128}$")
    """Name of the policy."""
    scp_length_limit: int = Field(10_240, ge=1)
    """Characters that the policy may have; 5120 where the quota of the organization is not raised."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if not any(self.deny.model_dump().values()):
            message = "deny must keep at least one group; to deny nothing, remove guardrails"
            yield Conflict(message, (("deny",),))
        for key in ("other_session_documents", "logged_session_documents"):
            if getattr(self, key) and not self.deny.other_documents:
                message = f"{key} have no effect unless deny.other_documents is true"
                yield Conflict(message, ((key,),))
        if set(self.other_session_documents) & set(self.logged_session_documents):
            message = "other_session_documents and logged_session_documents must not name the same documents"
            yield Conflict(message, (("logged_session_documents",),))
