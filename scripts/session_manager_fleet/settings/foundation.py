"""What organization.yaml may set for what exists once in the organization: the log archive and the guardrails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from session_manager_fleet.settings.types import (
    BucketName,
    Conflict,
    KeyAlias,
    KeyPrefix,
    KmsKeyArn,
    PolicyTarget,
    RoleArn,
    RoleArnPattern,
    StrictModel,
    refuse,
)

# S3 moves objects down this list only (S3 user guide, "Transitioning objects").
StorageClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
_STORAGE_CLASSES: tuple[StorageClass, ...] = get_args(StorageClass)
_DAYS_BEFORE_INFREQUENT_ACCESS = 30

# What S3 keeps for itself (S3 user guide, "Bucket naming rules").
_RESERVED_BUCKET_NAME = re.compile(r"^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$")


class Transition(StrictModel):
    """A move of logs to another storage class."""

    days: int = Field(ge=0, le=36_500)
    """Age of the logs that are moved."""
    storage_class: StorageClass
    """Where to."""

    @model_validator(mode="after")
    def _old_enough(self) -> Self:
        if self.storage_class.endswith("_IA") and self.days < _DAYS_BEFORE_INFREQUENT_ACCESS:
            raise ValueError(f"logs move to {self.storage_class} after {_DAYS_BEFORE_INFREQUENT_ACCESS} days at least")
        return self


class LogRetention(StrictModel):
    """How long logs stay in the bucket."""

    days: int = Field(365, ge=0, le=36_500)
    """Days from the upload; 0 is for ever."""
    noncurrent_days: int = Field(90, ge=0, le=36_500)
    """Days for which versions that were overwritten or deleted stay; 0 is for ever."""
    transitions: list[Transition] = Field([])
    """Moves to other storage classes, in the order of their days."""

    @model_validator(mode="after")
    def _downwards(self) -> Self:
        for first, second in pairwise(self.transitions):
            if first.days >= second.days:
                raise ValueError("the transitions must be in the order of their days")
            if _STORAGE_CLASSES.index(first.storage_class) >= _STORAGE_CLASSES.index(second.storage_class):
                raise ValueError(f"logs cannot move from {first.storage_class} to {second.storage_class}")
        if self.days and any(transition.days >= self.days for transition in self.transitions):
            raise ValueError(f"after {self.days} days logs are deleted; the days of the transitions must be fewer")
        return self


class ObjectLock(StrictModel):
    """For how long nobody can delete a log."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    """COMPLIANCE binds even the root user."""
    days: int = Field(ge=1, le=36_500)
    """From the upload."""


class AccessLogging(StrictModel):
    """Server access logs of the bucket."""

    bucket_name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """The bucket that gets them, in the same account and region."""
    key_prefix: str = "session-manager-logs/"
    """What their keys begin with."""


class BucketKey(StrictModel):
    """Key that encrypts the bucket."""

    kms_key_arn: KmsKeyArn | None = None
    """A key that exists; its policy needs the statements that modules/log_archive puts out."""
    alias: KeyAlias = "alias/session-manager/log-archive"
    """Alias of the key that is created otherwise."""


class OrganizationSessionKey(StrictModel):
    """Key with which the whole organization may encrypt session data."""

    mode: Literal["none", "separate", "shared"] = "none"
    """None, one of its own, or the key of the bucket."""
    alias: KeyAlias = "alias/session-manager/organization-data"
    """Alias of a key of its own."""


class LogArchive(StrictModel):
    """The bucket that the sessions of all accounts are logged to, in the log-archive account and the home region."""

    bucket_name: BucketName | None = None
    """Name of the bucket that is created; without one, session-manager-logs-<account>-<region>."""
    existing_bucket_name: BucketName | None = None
    """A bucket that exists; nothing on it is changed."""
    key_prefix: KeyPrefix = "sessionmanager"
    """What all object keys begin with, without a slash at either end."""
    bucket_key: BucketKey = BucketKey()
    session_key: OrganizationSessionKey = OrganizationSessionKey()
    reader_role_arns: list[RoleArn] = Field([])
    """The roles that may read logs; nobody else may."""
    retention: LogRetention = LogRetention()
    object_lock: ObjectLock | None = None
    access_logging: AccessLogging | None = None

    @field_validator("bucket_name")
    @classmethod
    def _not_reserved(cls, name: str | None) -> str | None:
        if name is not None and _RESERVED_BUCKET_NAME.search(name):
            raise ValueError(f'names of buckets such as "{name}" are reserved for S3')
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.existing_bucket_name is not None:
            if self.bucket_name:
                message = "bucket_name names a bucket to create and existing_bucket_name one that exists: give one"
                yield Conflict(message, (("bucket_name",),))
            if not self.key_prefix:
                message = "a bucket that exists needs a key_prefix: the rules would guard all of it"
                yield Conflict(message, (("key_prefix",),))
            for key in ("object_lock", "access_logging"):
                if getattr(self, key):
                    yield Conflict(f"{key} has no effect on a bucket that exists", ((key,),))
        if self.session_key.alias == self.bucket_key.alias:
            yield Conflict("session_key.alias and bucket_key.alias must differ", (("session_key", "alias"),))
        if self.access_logging and self.access_logging.bucket_name == self.bucket_name:
            message = "access_logging.bucket_name must be another bucket: every access log would be logged"
            yield Conflict(message, (("access_logging", "bucket_name"),))
        if self.object_lock and 0 < self.retention.days < self.object_lock.days:
            message = "retention.days must not be fewer than object_lock.days: locked logs cannot be deleted"
            yield Conflict(message, (("retention", "days"),))

    def bucket_in(self, account_id: str, region: str) -> str:
        """Return the name of the bucket."""
        return self.existing_bucket_name or self.bucket_name or f"session-manager-logs-{account_id}-{region}"


class Denials(StrictModel):
    """What is denied to everybody but the exempt roles."""

    preferences: bool = True
    """Changes of the preferences document."""
    public_sharing: bool = True
    """Sharing documents with everybody."""
    ssh: bool = True
    """Sessions that tunnel SSH, which are not logged."""
    port_forwarding: bool = True
    """Sessions that forward ports, which are not logged."""
    other_documents: bool = True
    """Sessions with any document but the preferences."""
    keys: bool = True
    """Deletion and disabling of the keys."""
    log_groups: bool = True
    """Deletion of the log groups."""
    function: bool = True
    """Changes of the function."""
    drift_repair: bool = True
    """Changes of what calls the function."""
    config_rule: bool = True
    """Changes of the Config rule and its remediation."""
    instance_policy: bool = True
    """Changes of the instance policy."""
    exempt_roles: bool = True
    """Changes of the exempt roles themselves."""


class Guardrails(StrictModel):
    """The service control policy that nobody but the named roles can get around; in the management account."""

    attach_to: list[PolicyTarget] = Field([])
    """Ids of the root, of organizational units and of accounts; without any, the text is put out only."""
    deny: Denials = Denials()
    exempt_role_arns: list[RoleArnPattern] = Field([])
    """Roles for emergencies, by ARN patterns; the deployment role and those of this project are exempt anyway."""
    unlogged_session_role_arns: list[RoleArnPattern] = Field([])
    """Roles that may start sessions with any document."""
    other_session_documents: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,128}$")]] = Field([])
    """Further documents with which sessions may be started."""
    name: str = Field("session-manager-guardrails", pattern=r"^[A-Za-z0-9_ .,@+=/-]{1,128}$")
    """Name of the policy."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if not any(self.deny.model_dump().values()):
            message = "deny must leave something on; without any denials, leave the guardrails out"
            yield Conflict(message, (("deny",),))
        if self.other_session_documents and not self.deny.other_documents:
            message = "other_session_documents have no effect unless deny.other_documents is true"
            yield Conflict(message, (("other_session_documents",),))
