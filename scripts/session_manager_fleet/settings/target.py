"""Settings of a target: the variables of the root module, with their defaults and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from session_manager_fleet.settings.instance_policy import InstancePolicy
from session_manager_fleet.settings.log_destinations import CloudWatchLogging, Existing, S3Logging
from session_manager_fleet.settings.types import (
    Conflict,
    DocumentName,
    KeyAlias,
    LogGroupName,
    OrganizationId,
    OsUser,
    RetentionDays,
    RoleNamePattern,
    RolePath,
    SessionKeyArn,
    StrictModel,
    Tags,
    is_partial,
    own_name,
    refuse,
)

# For the rollout alone: each target gets the variables that it comes to there.
NOT_RENDERED: dict[str, Any] = {
    "config_rule": {"without_recorder"},
    "preferences": {
        "cloudwatch": {"existing", "existing_key", "existing_retention"},
        "session_key": {"existing"},
        "lockout": True,
    },
}

# The limit of the whole preferences document is 64 KB.
SHELL_PROFILE_BYTES = 60_000
SHELL_PROFILE_LINE_BYTES = 4_095

# The name of the role that sends session logs on: <function>-logs-<region>, in at most 64 characters.
LONGEST_FUNCTION_NAME_WITH_ROLE = 44

# Schedule expressions of EventBridge (PutRule): the unit is singular for 1, else plural. Empty is no schedule.
SCHEDULE = r"^(rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)|cron\([^ ()]+( [^ ()]+){5}\))?$"


class Names(StrictModel):
    """Names of the resources in every account, for all components."""

    log_group: LogGroupName = "ssm-sessionmanager-logs"
    """Log group of session logs."""
    policy: str = Field("SessionManagerLogPolicy", pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$")
    """Managed policy of the instances."""
    policy_path: str = Field("/", pattern=r"^/([A-Za-z0-9+=,.@_-]+/)*$", max_length=512)
    """IAM path of the policy."""
    data_key_alias: KeyAlias = "alias/session-manager/data"
    """Alias of the KMS key that encrypts session data."""
    logs_key_alias: KeyAlias = "alias/session-manager/logs"
    """Alias of the KMS key that encrypts the log group."""
    data_key_parameter: str = Field(
        "/session-manager/session-data-key", pattern=r"^(/[A-Za-z0-9_.-]+)+$", max_length=1011
    )
    """SSM parameter with the id of the session-data key."""
    document: DocumentName = "SSM-SessionManagerRunShell"
    """Preferences document; Session Manager reads only the one with the default name."""
    config_rule: str = Field("iam-ec2-role-has-required-policy", pattern=r"^[A-Za-z0-9_-]{1,128}$")
    """Config rule."""
    # Role names, at most 64 characters, contain the name of the document, or of the function and the region.
    automation_document: str = Field("Attach-ssm-policy-to-instance-profile", pattern=r"^[A-Za-z0-9_.-]{3,64}$")
    """Automation document of the remediation."""
    function: str = Field("session-manager-preferences", pattern=r"^[A-Za-z0-9_-]{1,49}$")
    """Lambda function that manages the preferences document."""

    @field_validator("data_key_parameter")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if re.match(r"(?i)/(aws|ssm)", name):
            raise ValueError(f'the name "{name}" is reserved for AWS; use another prefix')
        return name

    @field_validator("automation_document")
    @classmethod
    def _not_of_aws(cls, name: str) -> str:
        return own_name(name)

    @model_validator(mode="after")
    def _keys_apart(self, info: ValidationInfo) -> Self:
        if not is_partial(info) and self.data_key_alias == self.logs_key_alias:
            raise ValueError("data_key_alias and logs_key_alias must differ: instances may use only the first key")
        return self


class ConfigRule(StrictModel):
    """AWS Config rule that finds instance roles without the policy, and its remediation."""

    enabled: bool = True
    """Whether the rule is created."""
    without_recorder: Literal["refuse", "skip"] = "refuse"
    """Whether a plan is refused in accounts whose home region has no configuration recorder, or leaves the rule out."""
    auto_remediation: bool = False
    """Whether AWS Config attaches the policy to non-compliant roles automatically."""
    maximum_automatic_attempts: int = Field(5, ge=1, le=25)
    """Attempts per role before automatic remediation stops."""
    retry_attempt_seconds: int = Field(60, ge=1, le=2_678_000)
    """Seconds between attempts."""
    concurrent_execution_rate_percentage: int = Field(10, ge=1, le=100)
    """Percentage of roles that are remediated at the same time."""
    error_percentage: int = Field(10, ge=1, le=100)
    """Percentage of failures at which remediation stops."""
    excluded_role_names: list[RoleNamePattern] = Field([])
    """Names of roles that the rule ignores; `*` and `?` are wildcards."""
    excluded_role_paths: list[RolePath] = Field([])
    """IAM paths, as `/platform/`, whose roles the rule ignores."""


class SessionKey(StrictModel):
    """KMS key that encrypts session data between client and instance."""

    enabled: bool = True
    """Whether session data is encrypted with a KMS key."""
    existing: Existing = "refuse"
    """Where a key with the alias exists already: the plan refuses, or it is used as it is and survives destroy."""
    kms_key_arn: SessionKeyArn | None = None
    """An existing key of the region; by default a key is created."""
    organization_id: OrganizationId | None = None
    """Organization whose principals may also use the created key."""


class RunAs(StrictModel):
    """Operating system user of sessions on Linux and macOS."""

    enabled: bool = False
    """Whether sessions run as another user than ssm-user."""
    default_user: OsUser = ""
    """Name of the user, or user@domain; sessions fail on instances without it, and with the group id 0."""


class ShellProfile(StrictModel):
    """Commands that run at the start of every session: no security control, and no place for secrets."""

    linux: str = ""
    """Commands for Linux and macOS."""
    windows: str = ""
    """Commands for Windows."""

    @property
    def size(self) -> int:
        """Bytes of both together."""
        return len((self.linux + self.windows).encode())

    @property
    def longest_line(self) -> int:
        """Bytes of the longest line for Linux."""
        return max(len(line.encode()) for line in re.split("[\r\n]", self.linux))


class DriftRepair(StrictModel):
    """Repair of the document after changes outside Terraform."""

    enabled: bool = True
    """Whether drift of the document is repaired."""
    schedule: str = Field("rate(1 hour)", pattern=SCHEDULE)
    """Schedule of the check, besides the one after each change: `rate(…)` or `cron(…)`; empty is never."""
    notify_topic_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
    )
    """SNS topic that is notified of repairs."""


class Function(StrictModel):
    """The Lambda function that writes the preferences document."""

    reserved_concurrent_executions: int | None = Field(None, ge=1)
    """Reserved concurrency."""
    log_retention_in_days: RetentionDays = 90
    """Retention of its logs; 0 never expires."""


class Preferences(StrictModel):
    """Content of the preferences document, and the resources it needs; per region."""

    enabled: bool = True
    """Whether the preferences of the region are managed."""
    s3: S3Logging = S3Logging()
    cloudwatch: CloudWatchLogging = CloudWatchLogging()
    session_key: SessionKey = SessionKey()
    run_as: RunAs = RunAs()
    idle_session_timeout: int = Field(20, ge=1, le=60)
    """Minutes without activity after which sessions end."""
    max_session_duration: int = Field(60, ge=0, le=1440)
    """Minutes after which sessions end in any case, more than idle_session_timeout; 0 is no maximum."""
    shell_profile: ShellProfile = ShellProfile()
    adopt: Literal["replace", "merge", "fail"] = "replace"
    """How an existing document is adopted."""
    lockout: Literal["refuse", "warn"] = "refuse"
    """Whether an apply is refused, or warned of, that nodes could start no session after, or would not be logged."""
    on_destroy: Literal["restore", "retain", "reset"] = "restore"
    """Content of the document after destroy: the original, the current, or preferences without logs."""
    waive: list[Literal["no_log_destination", "run_as_by_tag", "preflight_permissions"]] = Field([])
    """Safety rules that are deliberately not enforced."""
    revision: str = "1"
    """Any text; a change writes the document again."""
    check_in_plan: bool = False
    """Whether every plan compares the live document with the configuration."""
    block_public_sharing: bool = False
    """Whether public sharing of documents is blocked in the account and region; true with guardrails."""
    drift_repair: DriftRepair = DriftRepair()
    function: Function = Function()

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if not is_partial(info):
            refuse(self._conflicts())
        return self

    def _conflicts_of_log_group(self) -> Iterator[Conflict]:
        logs = self.cloudwatch
        for setting in ("existing_key", "existing_retention"):
            if getattr(logs, setting) == "change" and logs.existing != "adopt":
                yield Conflict(
                    f"cloudwatch.{setting}: change needs cloudwatch.existing: adopt",
                    (("cloudwatch", setting), ("cloudwatch", "existing")),
                )
        if logs.existing_key == "change" and not logs.encryption_enabled:
            yield Conflict(
                "cloudwatch.existing_key: change needs cloudwatch.encryption_enabled: without it, keys are left alone",
                (("cloudwatch", "existing_key"), ("cloudwatch", "encryption_enabled")),
            )

    def _conflicts(self) -> Iterator[Conflict]:
        if 0 < self.max_session_duration <= self.idle_session_timeout:
            yield Conflict(
                "max_session_duration must be greater than idle_session_timeout, or 0 for no maximum",
                (("max_session_duration",), ("idle_session_timeout",)),
            )
        yield from self._conflicts_of_log_group()
        if self.s3.enabled and not self.s3.bucket_name:
            yield Conflict("s3.enabled needs s3.bucket_name", (("s3", "enabled"), ("s3", "bucket_name")))
        if self.s3.kms_key_arn and self.s3.kms_key_account_id:
            yield Conflict(
                "s3.kms_key_arn and s3.kms_key_account_id exclude each other; the ARN contains the account",
                (("s3", "kms_key_account_id"), ("s3", "kms_key_arn")),
            )
        yield from self._log_group_conflicts()
        yield from self._log_delivery_conflicts()
        yield from self._session_key_conflicts()
        if self.run_as.enabled and not self.run_as.default_user and "run_as_by_tag" not in self.waive:
            yield Conflict(
                "run_as.enabled needs run_as.default_user; without it, Linux sessions fail unless all callers have the "
                "tag SSMSessionRunAs: if they do, add run_as_by_tag to waive",
                (("run_as", "enabled"), ("run_as", "default_user"), ("waive",)),
            )
        if self.shell_profile.size > SHELL_PROFILE_BYTES:
            yield Conflict(
                f"shell_profile.linux and shell_profile.windows have {self.shell_profile.size:,} bytes together "
                f"(maximum {SHELL_PROFILE_BYTES:,})",
                (("shell_profile",),),
            )
        longest = self.shell_profile.longest_line
        if longest > SHELL_PROFILE_LINE_BYTES:
            yield Conflict(
                f"shell_profile.linux has a line of {longest:,} bytes (maximum {SHELL_PROFILE_LINE_BYTES:,}: the "
                "terminal cuts longer ones)",
                (("shell_profile", "linux"),),
            )
        for name in ("linux", "windows"):
            if re.search(r"{{\s*ssm", getattr(self.shell_profile, name), re.IGNORECASE):
                yield Conflict(
                    f"shell_profile.{name} must not have references such as {{{{ssm:name}}}}; any principal that may "
                    "write the parameter could run commands in every session",
                    (("shell_profile", name),),
                )

    def _log_group_conflicts(self) -> Iterator[Conflict]:
        if self.cloudwatch.log_group_name != "":
            return
        name = ("cloudwatch", "log_group_name")
        for key in ("create_log_group", "streaming_enabled"):
            if getattr(self.cloudwatch, key):
                yield Conflict(
                    f"cloudwatch.{key} must be false when cloudwatch.log_group_name is empty",
                    (("cloudwatch", key), name),
                )
        if not self.s3.enabled and "no_log_destination" not in self.waive:
            yield Conflict(
                "sessions are not logged at all; enable S3 or CloudWatch logging, or add no_log_destination to waive",
                (name, ("s3", "enabled"), ("waive",)),
            )

    def _log_delivery_conflicts(self) -> Iterator[Conflict]:
        logging = self.cloudwatch
        subscription, protection = logging.subscription, logging.data_protection
        for key in ("subscription", "data_protection"):
            if getattr(logging, key) is None:
                continue
            if logging.log_group_name == "":
                yield Conflict(
                    f"cloudwatch.{key} must be left out when cloudwatch.log_group_name is empty",
                    (("cloudwatch", key), ("cloudwatch", "log_group_name")),
                )
            if logging.log_group_class != "STANDARD":
                yield Conflict(
                    f"cloudwatch.{key} needs the cloudwatch.log_group_class STANDARD",
                    (("cloudwatch", key), ("cloudwatch", "log_group_class")),
                )
        if subscription and subscription.role_arn and subscription.service == "lambda":
            yield Conflict(
                "cloudwatch.subscription.role_arn has no effect on a function, whose own policy lets CloudWatch Logs "
                "call it",
                (("cloudwatch", "subscription", "role_arn"),),
            )
        if protection:
            where = ("cloudwatch", "data_protection")
            if not (protection.credentials or protection.identifiers or protection.custom_identifiers):
                yield Conflict("cloudwatch.data_protection masks nothing; name identifiers, or leave it out", (where,))
            if set(protection.identifiers) & set(protection.custom_identifiers):
                yield Conflict(
                    "cloudwatch.data_protection.custom_identifiers must not have the names of managed identifiers",
                    ((*where, "custom_identifiers"), (*where, "identifiers")),
                )

    def _session_key_conflicts(self) -> Iterator[Conflict]:
        key = self.session_key
        enabled, given = ("session_key", "enabled"), ("session_key", "kms_key_arn")
        if key.kms_key_arn and not key.enabled:
            yield Conflict("session_key.kms_key_arn has no effect unless session_key.enabled is true", (given, enabled))
        if key.organization_id and (key.kms_key_arn or not key.enabled):
            yield Conflict(
                "session_key.organization_id has no effect unless the session key is created here",
                (("session_key", "organization_id"), given, enabled),
            )


class TargetSettings(StrictModel):
    """Settings that may differ between targets; the attributes are variables of the root module."""

    preferences: Preferences = Preferences()
    instance_policy: InstancePolicy = InstancePolicy()
    config_rule: ConfigRule = ConfigRule()
    names: Names = Names()
    tags: Tags = Field({})
    """Tags of all resources."""

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if not is_partial(info):
            refuse(self._name_conflicts())
        return self

    def _name_conflicts(self) -> Iterator[Conflict]:
        """Yield conflicts between the names and what is created with them."""
        subscription, path = self.preferences.cloudwatch.subscription, ("preferences", "cloudwatch")
        if subscription and subscription.creates_role and len(self.names.function) > LONGEST_FUNCTION_NAME_WITH_ROLE:
            yield Conflict(
                "preferences.cloudwatch.subscription needs a role_arn when names.function has more than "
                f"{LONGEST_FUNCTION_NAME_WITH_ROLE} characters; the name of the created role would be too long",
                ((*path, "subscription"), ("names", "function")),
            )
        protection = self.preferences.cloudwatch.data_protection
        own = self.preferences.cloudwatch.log_group_name
        group = self.names.log_group if own is None else own
        if protection and protection.findings_destination.log_group_name == group:
            yield Conflict(
                "preferences.cloudwatch.data_protection.findings_destination.log_group_name must be another log group "
                "than that of the sessions",
                ((*path, "data_protection", "findings_destination", "log_group_name"), ("names", "log_group")),
            )

    def foreign_resources(self, account_id: str, region: str) -> Iterator[Conflict]:
        """Yield conflicts for what the target cannot use: keys and destinations of other regions or accounts."""
        subscription, path = self.preferences.cloudwatch.subscription, ("preferences", "cloudwatch", "subscription")
        if self.preferences.enabled and subscription:
            owner, found = subscription.destination_arn.split(":")[4], subscription.destination_arn.split(":")[3]
            name = "preferences.cloudwatch.subscription.destination_arn"
            if found != region:
                yield Conflict(
                    f"{name} must be of {region}, where the log group is, not of {found}; set one per region, with an "
                    "override that matches the region",
                    ((*path, "destination_arn"),),
                )
            if subscription.service != "logs" and owner != account_id:
                yield Conflict(
                    f"{name} is in the account {owner}; only a CloudWatch Logs destination, as modules/log_destination "
                    "makes it, may be in another account",
                    ((*path, "destination_arn"),),
                )
        for section in ("cloudwatch", "session_key"):
            arn = getattr(self.preferences, section).kms_key_arn
            if self.preferences.enabled and arn and (found := arn.split(":")[3]) != region:
                yield Conflict(
                    f"preferences.{section}.kms_key_arn must be a key of {region}, not of {found}; set one per region, "
                    "with an override that matches the region",
                    (("preferences", section, "kms_key_arn"),),
                )
