"""What organization.yaml may set for a target: the root module's variables, with their defaults and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from session_manager_fleet.settings.types import (
    AccountId,
    BucketName,
    Conflict,
    KeyAlias,
    KeyPrefix,
    KmsKeyArn,
    OrganizationId,
    Region,
    RetentionDays,
    RoleName,
    RoleNamePattern,
    RolePath,
    SessionKeyArn,
    StrictModel,
    Tags,
    is_partial,
    refuse,
)

# The agent runs `id <user>` in a shell as root (amazon-ssm-agent, shell_unix.go): nothing but plain names may pass.
RUN_AS_USER = r"^[a-z_][a-z0-9_.-]{0,31}\$?$"

# The whole preferences document has at most 64 KB.
SHELL_PROFILE_BYTES = 60_000

# What EventBridge takes (PutRule, ScheduleExpression): a unit agrees with its number. Empty is no schedule.
SCHEDULE = r"^(rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)|cron\([^ ()]+( [^ ()]+){5}\))?$"


class Names(StrictModel):
    """Names of what is created in every account; one place for all components."""

    log_group: str = Field("ssm-sessionmanager-logs", pattern=r"^[A-Za-z0-9_./#-]{1,512}$")
    """Log group of the sessions."""
    policy: str = Field("SessionManagerLogPolicy", pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$")
    """Managed policy of the instances."""
    policy_path: str = Field("/", pattern=r"^/([A-Za-z0-9+=,.@_-]+/)*$", max_length=512)
    """IAM path of the policy."""
    data_key_alias: KeyAlias = "alias/session-manager/data"
    """Alias of the key that encrypts session data."""
    logs_key_alias: KeyAlias = "alias/session-manager/logs"
    """Alias of the key that encrypts the log group."""
    data_key_parameter: str = Field(
        "/session-manager/session-data-key", pattern=r"^(/[A-Za-z0-9_.-]+)+$", max_length=1011
    )
    """Parameter that holds the id of the session-data key."""
    document: str = Field("SSM-SessionManagerRunShell", pattern=r"^[A-Za-z0-9_.-]{3,128}$")
    """Preferences document; Session Manager reads the default one only."""
    config_rule: str = Field("iam-ec2-role-has-required-policy", pattern=r"^[A-Za-z0-9_-]{1,128}$")
    """Config rule."""
    # Roles carry the name of the document, and the function's with the region, in at most 64 characters.
    automation_document: str = Field("Attach-ssm-policy-to-instance-profile", pattern=r"^[A-Za-z0-9_.-]{3,64}$")
    """Automation document of the remediation."""
    function: str = Field("session-manager-preferences", pattern=r"^[A-Za-z0-9_-]{1,49}$")
    """Lambda function that keeps the preferences document."""

    @field_validator("data_key_parameter", "automation_document")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if re.match(r"/(?i:aws|ssm)|(?i:aws|amazon|amzn)", name):
            raise ValueError(f'names such as "{name}" are reserved for AWS')
        return name

    @model_validator(mode="after")
    def _keys_apart(self, info: ValidationInfo) -> Self:
        if not is_partial(info) and self.data_key_alias == self.logs_key_alias:
            raise ValueError("data_key_alias and logs_key_alias must differ: instances may use the first key only")
        return self


class InstancePolicy(StrictModel):
    """The managed policy that instances need to write session logs and decrypt session data."""

    enabled: bool = True
    """Whether the policy is created."""
    regions: list[Literal["*"] | Region] = Field(["*"], min_length=1)
    """Regions in which the instances may use session-data keys by their alias; `*` is all."""
    session_key_by_alias: bool = True
    """Whether they may use keys by the alias names.data_key_alias; false where no region has such a key."""
    session_key_arns: list[KmsKeyArn] = Field([])
    """Other session-data keys, of any region; the own key of the home region's preferences needs no mention."""
    attach_to_roles: list[RoleName] = Field([])
    """Names of roles that get the policy at once."""
    attach_managed_instance_core: bool = False
    """Whether these roles get AmazonSSMManagedInstanceCore, too."""

    @model_validator(mode="after")
    def _core_attached_to_roles(self, info: ValidationInfo) -> Self:
        if not is_partial(info) and self.attach_managed_instance_core and not self.attach_to_roles:
            raise ValueError("attach_managed_instance_core has no effect without attach_to_roles")
        return self


class ConfigRule(StrictModel):
    """The Config rule that finds instance roles without the policy, and its remediation."""

    enabled: bool = True
    """Whether the rule is created."""
    auto_remediation: bool = False
    """Whether the policy is attached to non-compliant roles without being asked."""
    maximum_automatic_attempts: int = Field(5, ge=1, le=25)
    """Attempts at one role before automatic remediation gives up."""
    retry_attempt_seconds: int = Field(60, ge=1, le=2_678_000)
    """Seconds between the attempts."""
    concurrent_execution_rate_percentage: int = Field(10, ge=1, le=100)
    """Percentage of the roles that are remediated at once."""
    error_percentage: int = Field(10, ge=1, le=100)
    """Percentage of failures after which the remediation stops."""
    excluded_role_names: list[RoleNamePattern] = Field([])
    """Names of roles that the rule leaves alone; `*` and `?` are wildcards."""
    excluded_role_paths: list[RolePath] = Field([])
    """Paths below which the rule leaves all roles alone, as `/platform/`."""


class S3Logging(StrictModel):
    """Session logs in an S3 bucket, below `<key_prefix>/<account>/<region>`."""

    enabled: bool = False
    """Whether sessions are logged there."""
    bucket_name: BucketName | None = None
    """The bucket."""
    key_prefix: KeyPrefix = "sessionmanager"
    """What all object keys begin with, without a slash at either end."""
    encryption_enabled: bool = True
    """Whether the agent refuses sessions unless the bucket is encrypted."""
    kms_key_arn: KmsKeyArn | None = None
    """Key of the bucket, which instances may use."""
    kms_key_account_id: AccountId | None = None
    """Account of the bucket's key where its ARN is not known; instead of kms_key_arn."""


class CloudWatchLogging(StrictModel):
    """Session logs in a CloudWatch log group of the account and region."""

    create_log_group: bool = True
    """Whether the log group is created; otherwise it exists already."""
    log_group_name: str | None = Field(None, pattern=r"^[A-Za-z0-9_./#-]{0,512}$")
    """Another log group than names.log_group; empty sends nothing to CloudWatch."""
    encryption_enabled: bool = True
    """Whether the agent refuses sessions unless the log group is encrypted."""
    streaming_enabled: bool = False
    """Whether logs are sent while the session goes on, not at its end."""
    retention_in_days: RetentionDays = 90
    """How long a created log group keeps logs; 0 is for ever."""
    kms_key_arn: KmsKeyArn | None = None
    """Key of the log group; without one, a key is created."""


class SessionKey(StrictModel):
    """The KMS key that encrypts session data between client and instance."""

    enabled: bool = True
    """Whether session data is encrypted with a KMS key."""
    kms_key_arn: SessionKeyArn | None = None
    """A key of your own in the region; without one, a key is created."""
    organization_id: OrganizationId | None = None
    """Organization whose principals may use a created key, too."""


class RunAs(StrictModel):
    """The operating system user of sessions on Linux and macOS."""

    enabled: bool = False
    """Whether sessions run as another user than ssm-user."""
    default_user: str = Field("", pattern=rf"^$|{RUN_AS_USER}")
    """That user; sessions fail on instances that do not have it."""

    @field_validator("default_user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError('the agent refuses sessions as "root"; name another user')
        return user


class ShellProfile(StrictModel):
    """Commands that run at the start of every session; not a security control, and no place for secrets."""

    linux: str = ""
    """Commands for Linux and macOS."""
    windows: str = ""
    """Commands for Windows."""

    @property
    def size(self) -> int:
        """Bytes of both."""
        return len((self.linux + self.windows).encode())


class DriftRepair(StrictModel):
    """Repair of a document that somebody else has changed."""

    enabled: bool = True
    """Whether the document is repaired."""
    schedule: str = Field("rate(1 hour)", pattern=SCHEDULE)
    """When the document is looked at besides at once after a change: `rate(…)` or `cron(…)`; empty is never."""
    notify_topic_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
    )
    """SNS topic that is told of repairs."""


class Function(StrictModel):
    """The Lambda function that writes the preferences document."""

    reserved_concurrent_executions: int | None = Field(None, ge=1)
    """Executions that are reserved for it."""
    log_retention_in_days: RetentionDays = 90
    """How long its logs are kept; 0 is for ever."""


class Preferences(StrictModel):
    """What the preferences document says, and the resources it needs; per region."""

    enabled: bool = True
    """Whether the preferences of the region are managed."""
    s3: S3Logging = S3Logging()
    cloudwatch: CloudWatchLogging = CloudWatchLogging()
    session_key: SessionKey = SessionKey()
    run_as: RunAs = RunAs()
    idle_session_timeout: int = Field(20, ge=1, le=60)
    """Minutes without activity after which a session ends."""
    max_session_duration: int = Field(60, ge=0, le=1440)
    """Minutes after which a session ends in any case, more than idle_session_timeout; 0 is no maximum."""
    shell_profile: ShellProfile = ShellProfile()
    adopt: Literal["replace", "merge", "fail"] = "replace"
    """What happens to a document that exists already."""
    on_destroy: Literal["restore", "retain", "reset"] = "restore"
    """What becomes of the document when the preferences are no longer managed."""
    waive: list[Literal["no_log_destination", "run_as_by_tag", "preflight_permissions"]] = Field([])
    """Rules to set aside knowingly."""
    revision: str = "1"
    """Any text; a new one writes the document again."""
    check_in_plan: bool = False
    """Whether every plan compares the document with what is wanted."""
    block_public_sharing: bool = False
    """Whether no document of the account in the region can be shared with everybody; true with guardrails."""
    drift_repair: DriftRepair = DriftRepair()
    function: Function = Function()

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if not is_partial(info):
            refuse(self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if 0 < self.max_session_duration <= self.idle_session_timeout:
            yield Conflict(
                "max_session_duration must be greater than idle_session_timeout, or 0 for no maximum",
                (("max_session_duration",), ("idle_session_timeout",)),
            )
        if self.s3.enabled and not self.s3.bucket_name:
            yield Conflict("s3.enabled needs s3.bucket_name", (("s3", "enabled"), ("s3", "bucket_name")))
        if self.s3.kms_key_arn and self.s3.kms_key_account_id:
            yield Conflict(
                "s3.kms_key_arn and s3.kms_key_account_id exclude each other: the ARN names the account",
                (("s3", "kms_key_account_id"), ("s3", "kms_key_arn")),
            )
        yield from self._log_group_conflicts()
        yield from self._session_key_conflicts()
        if self.run_as.enabled and not self.run_as.default_user and "run_as_by_tag" not in self.waive:
            yield Conflict(
                "run_as.enabled needs run_as.default_user, because without it every Linux session fails; "
                "waive run_as_by_tag if all callers have the tag SSMSessionRunAs",
                (("run_as", "enabled"), ("run_as", "default_user"), ("waive",)),
            )
        if self.shell_profile.size > SHELL_PROFILE_BYTES:
            yield Conflict(
                f"shell_profile.linux and shell_profile.windows have {self.shell_profile.size:,} bytes together, and "
                f"may have {SHELL_PROFILE_BYTES:,}",
                (("shell_profile",),),
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
                "sessions would not be logged at all; turn on S3 or CloudWatch logging, or waive no_log_destination",
                (name, ("s3", "enabled"), ("waive",)),
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
    """Everything that may differ between targets; the attributes are the root module's variables."""

    preferences: Preferences = Preferences()
    instance_policy: InstancePolicy = InstancePolicy()
    config_rule: ConfigRule = ConfigRule()
    names: Names = Names()
    tags: Tags = Field({})
    """Tags of every resource."""

    def foreign_keys(self, region: str) -> Iterator[Conflict]:
        """Yield the keys of another region than the one that these settings are for: there, they are not found."""
        for section in ("cloudwatch", "session_key"):
            arn = getattr(self.preferences, section).kms_key_arn
            if self.preferences.enabled and arn and (found := arn.split(":")[3]) != region:
                yield Conflict(
                    f"preferences.{section}.kms_key_arn must be a key of {region}, not of {found}: give every region "
                    "its own, with an override that names the region",
                    (("preferences", section, "kms_key_arn"),),
                )
