"""What may stand in organization.yaml: every key with its type, its default, its limits and its meaning."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from fleet.aws import partitions
from fleet.matching import Matcher
from fleet.yaml_document import nearest

Component = Literal["instance_policy", "config_rule", "preferences"]

# CloudWatch Logs accepts these only (API reference, PutRetentionPolicy); 0 keeps logs for ever.
RETENTION_DAYS = frozenset(
    {0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
    | {1096, 1827, 2192, 2557, 2922, 3288, 3653}
)  # fmt: skip

# The agent runs `id <user>` in a shell as root (amazon-ssm-agent, shell_unix.go): nothing but plain names may pass.
RUN_AS_USER = r"^[a-z_][a-z0-9_.-]{0,31}\$?$"

# The wave of what exists once in the organization, ahead of all others.
FOUNDATION = "foundation"

ORGANIZATION_ID = r"^o-[a-z0-9]{10,32}$"

# What EventBridge takes (PutRule, ScheduleExpression): a unit agrees with its number. Empty is no schedule.
SCHEDULE = r"^(rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)|cron\([^ ()]+( [^ ()]+){5}\))?$"


class StrictModel(BaseModel):
    """Refuses unknown keys and wrong types; in a partial layer `null` stands for "not set here"."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _: name,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: object, info: ValidationInfo) -> object:
        if not isinstance(data, dict) or not _partial(info):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


def _partial(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("partial"))


def _region(value: str) -> str:
    if value not in partitions():
        raise ValueError(f'"{value}" is not an AWS region{nearest(value, partitions())}')
    return value


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        allowed = ", ".join(str(day) for day in sorted(RETENTION_DAYS))
        raise ValueError(f"CloudWatch Logs keeps logs for one of these numbers of days only: {allowed}")
    return days


def _date(value: object) -> object:
    """Read a quoted date; YAML itself makes a date of an unquoted one."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    if type(value) is not datetime.date:
        raise ValueError(f'"{value}" is not a date; write it as 2027-03-31')
    return value


Region = Annotated[
    str,
    BeforeValidator(lambda value: _region(value) if isinstance(value, str) else value),
    WithJsonSchema({"type": "string", "pattern": r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$", "examples": ["eu-west-1"]}),
]
Tags = Annotated[
    dict[str, str],
    BeforeValidator(
        lambda tags, info: (
            {key: value for key, value in tags.items() if value is not None or not _partial(info)}
            if isinstance(tags, dict)
            else tags
        )
    ),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "null"]}}),
]
Date = Annotated[datetime.date, BeforeValidator(_date)]
RetentionDays = Annotated[
    int, AfterValidator(_retention), WithJsonSchema({"type": "integer", "enum": sorted(RETENTION_DAYS)})
]
# Twelve digits are read as text even without quotes; editors see a number then.
AccountPattern = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]
AccountId = Annotated[
    str,
    Field(pattern=r"^[0-9]{12}$"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]{12}$", "maximum": 10**12 - 1}),
]
# What IAM allows in names and paths of roles; in patterns of names * and ? are wildcards.
RoleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
RoleNamePattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@*?-]{1,64}$")]
RolePath = Annotated[str, Field(pattern=r"^/([A-Za-z0-9_+=,.@-]+/)+$", max_length=512)]
RoleArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$")
]
# A pattern needs something of its own in the name: role/* would mean everybody.
RoleArnPattern = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:iam::([0-9]{12}|[*]):role/[A-Za-z0-9_+=,.@/*?-]*[A-Za-z0-9_+=,.@-]{3}[A-Za-z0-9_+=,.@*?-]*$"
    ),
]
PolicyTarget = Annotated[str, Field(pattern=r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|[0-9]{12})$")]
KEY_ALIAS = r"^alias/[A-Za-z0-9/_-]{1,250}$"
KmsKeyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9_-]+$")]


class Names(StrictModel):
    """Names of what is created in every account; one place for all components."""

    log_group: str = Field("ssm-sessionmanager-logs", pattern=r"^[A-Za-z0-9_./#-]{1,512}$")
    """Log group of the sessions."""
    policy: str = Field("SessionManagerLogPolicy", pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$")
    """Managed policy of the instances."""
    policy_path: str = Field("/", pattern=r"^/([A-Za-z0-9+=,.@_-]+/)*$", max_length=512)
    """IAM path of the policy."""
    data_key_alias: str = Field("alias/session-manager/data", pattern=r"^alias/[A-Za-z0-9/_-]{1,250}$")
    """Alias of the key that encrypts session data."""
    logs_key_alias: str = Field("alias/session-manager/logs", pattern=r"^alias/[A-Za-z0-9/_-]{1,250}$")
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

    @field_validator("data_key_alias", "logs_key_alias", "data_key_parameter", "automation_document")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if re.match(r"alias/aws/|/(?i:aws|ssm)|(?i:aws|amazon|amzn)", name):
            raise ValueError(f'names such as "{name}" are reserved for AWS')
        return name

    @model_validator(mode="after")
    def _keys_apart(self, info: ValidationInfo) -> Self:
        if not _partial(info) and self.data_key_alias == self.logs_key_alias:
            raise ValueError("data_key_alias and logs_key_alias must differ: instances may use the first key only")
        return self


class InstancePolicy(StrictModel):
    """The managed policy that instances need to write session logs and decrypt session data."""

    enabled: bool = True
    """Whether the policy is created."""
    regions: list[Literal["*"] | Region] = Field(["*"], min_length=1)
    """Regions whose session-data keys the instances may use; `*` is all."""
    attach_to_roles: list[RoleName] = []
    """Names of roles that get the policy at once."""
    attach_managed_instance_core: bool = False
    """Whether these roles get AmazonSSMManagedInstanceCore, too."""

    @model_validator(mode="after")
    def _core_attached_to_roles(self, info: ValidationInfo) -> Self:
        if not _partial(info) and self.attach_managed_instance_core and not self.attach_to_roles:
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
    excluded_role_names: list[RoleNamePattern] = []
    """Names of roles that the rule leaves alone; `*` and `?` are wildcards."""
    excluded_role_paths: list[RolePath] = []
    """Paths below which the rule leaves all roles alone, as `/platform/`."""


class S3Logging(StrictModel):
    """Session logs in an S3 bucket, below `<key_prefix>/<account>/<region>`."""

    enabled: bool = False
    """Whether sessions are logged there."""
    # Dots break TLS host names; AWS advises against them (session-manager-schema).
    bucket_name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    """The bucket."""
    key_prefix: str = Field("sessionmanager", pattern=r"^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$")
    """What all object keys begin with, without a slash at either end."""
    encryption_enabled: bool = True
    """Whether the agent refuses sessions unless the bucket is encrypted."""
    kms_key_arn: KmsKeyArn | None = None
    """Key of the bucket, which instances may use."""
    kms_key_account_id: AccountId | None = None
    """Account of the bucket's key where its ARN is not known; instead of kms_key_arn."""

    @field_validator("key_prefix")
    @classmethod
    def _stays_below(cls, prefix: str) -> str:
        if ".." in prefix:
            raise ValueError('the key_prefix must not contain ".."')
        return prefix

    @model_validator(mode="after")
    def _one_key(self, info: ValidationInfo) -> Self:
        if not _partial(info) and self.kms_key_arn and self.kms_key_account_id:
            raise ValueError("s3.kms_key_arn and s3.kms_key_account_id exclude each other: the ARN names the account")
        return self


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
    kms_key_arn: KmsKeyArn | None = None
    """A key of your own; without one, a key is created."""
    organization_id: str | None = Field(None, pattern=ORGANIZATION_ID)
    """Organization whose principals may use a created key, too."""

    @model_validator(mode="after")
    def _all_used(self, info: ValidationInfo) -> Self:
        if _partial(info):
            return self
        if self.kms_key_arn and not self.enabled:
            raise ValueError("session_key.kms_key_arn has no effect unless session_key.enabled is true")
        if self.organization_id and (self.kms_key_arn or not self.enabled):
            raise ValueError("session_key.organization_id has no effect unless the session key is created here")
        return self


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
    waive: list[Literal["no_log_destination", "run_as_by_tag", "preflight_permissions"]] = []
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
        if _partial(info):
            return self
        if 0 < self.max_session_duration <= self.idle_session_timeout:
            raise ValueError("max_session_duration must be greater than idle_session_timeout, or 0 for no maximum")
        if self.s3.enabled and not self.s3.bucket_name:
            raise ValueError("s3.enabled needs s3.bucket_name")
        if self.run_as.enabled and not self.run_as.default_user and "run_as_by_tag" not in self.waive:
            raise ValueError(
                "run_as.enabled needs run_as.default_user, because without it every Linux session fails; "
                "waive run_as_by_tag if all callers have the tag SSMSessionRunAs"
            )
        if self.cloudwatch.log_group_name == "":
            if self.cloudwatch.create_log_group or self.cloudwatch.streaming_enabled:
                raise ValueError(
                    "cloudwatch.create_log_group and cloudwatch.streaming_enabled must be false when "
                    "cloudwatch.log_group_name is empty"
                )
            if not self.s3.enabled and "no_log_destination" not in self.waive:
                raise ValueError(
                    "sessions would not be logged at all; turn on S3 or CloudWatch logging, or waive no_log_destination"
                )
        return self


class Transition(StrictModel):
    """A move of logs to another storage class."""

    days: int = Field(ge=0, le=36_500)
    """Age of the logs that are moved."""
    storage_class: Literal["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
    """Where to."""


class LogRetention(StrictModel):
    """How long logs stay in the bucket."""

    days: int = Field(365, ge=0, le=36_500)
    """Days from the upload; 0 is for ever."""
    noncurrent_days: int = Field(90, ge=0, le=36_500)
    """Days for which versions that were overwritten or deleted stay; 0 is for ever."""
    transitions: list[Transition] = []
    """Moves to other storage classes, in the order of their days."""


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
    alias: str = Field("alias/session-manager/log-archive", pattern=KEY_ALIAS)
    """Alias of the key that is created otherwise."""


class OrganizationSessionKey(StrictModel):
    """Key with which the whole organization may encrypt session data."""

    mode: Literal["none", "separate", "shared"] = "none"
    """None, one of its own, or the key of the bucket."""
    alias: str = Field("alias/session-manager/organization-data", pattern=KEY_ALIAS)
    """Alias of a key of its own."""


class LogArchive(StrictModel):
    """The bucket that the sessions of all accounts are logged to, in the log-archive account and the home region."""

    bucket_name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    """Name of the bucket that is created; without one, session-manager-logs-<account>-<region>."""
    existing_bucket_name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    """A bucket that exists; nothing on it is changed."""
    key_prefix: str = Field("sessionmanager", pattern=r"^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$")
    """What all object keys begin with, without a slash at either end."""
    bucket_key: BucketKey = BucketKey()
    session_key: OrganizationSessionKey = OrganizationSessionKey()
    reader_role_arns: list[RoleArn] = []
    """The roles that may read logs; nobody else may."""
    retention: LogRetention = LogRetention()
    object_lock: ObjectLock | None = None
    access_logging: AccessLogging | None = None

    @model_validator(mode="after")
    def _one_bucket(self) -> Self:
        if self.bucket_name and self.existing_bucket_name:
            raise ValueError("bucket_name names a bucket to create and existing_bucket_name one that exists: give one")
        return self

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

    attach_to: list[
        Annotated[str, Field(pattern=r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|[0-9]{12})$")]
    ] = []
    """Ids of the root, of organizational units and of accounts; without any, the text is put out only."""
    deny: Denials = Denials()
    exempt_role_arns: list[RoleArnPattern] = []
    """Roles for emergencies, by ARN patterns; the deployment role and those of this project are exempt anyway."""
    unlogged_session_role_arns: list[RoleArnPattern] = []
    """Roles that may start sessions with any document."""
    other_session_documents: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,128}$")]] = []
    """Further documents with which sessions may be started."""
    name: str = Field("session-manager-guardrails", pattern=r"^[A-Za-z0-9_ .,@+=/-]{1,128}$")
    """Name of the policy."""


class TargetSettings(StrictModel):
    """Everything that may differ between targets; the attributes are the root module's variables."""

    preferences: Preferences = Preferences()
    instance_policy: InstancePolicy = InstancePolicy()
    config_rule: ConfigRule = ConfigRule()
    names: Names = Names()
    tags: Tags = {}
    """Tags of every resource."""


class DeploymentRole(StrictModel):
    """The role in every account that Terraform assumes."""

    name: str = Field(pattern=r"^([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$", max_length=512)
    """Name of the role, or path and name; no ARN."""
    external_id: str | None = Field(None, pattern=r"^[A-Za-z0-9+=,.@:/_-]{2,1224}$")
    """External id that its trust policy asks for."""
    session_name: str = Field("session-manager-rollout", pattern=r"^[A-Za-z0-9+=,.@_-]{2,64}$")
    """Name of the sessions, as CloudTrail shows it."""
    duration: str = Field("1h", pattern=r"^([0-9]+[hms])+$")
    """How long its credentials are good for."""
    in_management_account: bool = False
    """Whether the role exists in the management account, too. Control Tower does not create its role there; the
    caller's own credentials are used instead."""


class AccountsSource(StrictModel):
    """Where the accounts come from."""

    source: Literal["organizations", "lza", "file"] = "organizations"
    """The Organizations API, a Landing Zone Accelerator configuration, or a YAML or CSV file."""
    path: str | None = None
    """The configuration folder or the file, relative to organization.yaml."""

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        if self.source == "organizations" and self.path is not None:
            raise ValueError('the source "organizations" takes no path')
        if self.source != "organizations" and not self.path:
            raise ValueError(f'the source "{self.source}" needs a path')
        return self


class State(StrictModel):
    """The S3 bucket with the Terraform states, in the account of the caller."""

    bucket: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """The bucket; without a name, session-manager-state-<account of the caller>."""
    region: Region | None = None
    """Its region; without one, the home region."""
    key_prefix: str = Field("session-manager", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_/-]*$")
    """What the keys of all states begin with."""
    kms_key_arn: KmsKeyArn | None = None
    """Key that encrypts the states."""


class OrganizationSettings(StrictModel):
    """The organization and how to enter it."""

    id: str = Field(pattern=ORGANIZATION_ID)
    """Id of the organization; credentials of another one are refused."""
    home_region: Region | None = None
    """Region of what exists once per account."""
    regions: list[Region] | None = Field(None, min_length=1)
    """All regions to configure, the home region among them."""
    deployment_role: DeploymentRole
    accounts: AccountsSource = AccountsSource()
    log_archive_account: AccountPattern | None = Field(None, min_length=1)
    """The log-archive account, by id or name, where the source of the accounts does not tell."""
    audit_account: AccountPattern | None = Field(None, min_length=1)
    """The audit account, by id or name, where the source of the accounts does not tell."""
    state: State = State()

    @field_validator("regions")
    @classmethod
    def _once(cls, regions: list[str] | None) -> list[str] | None:
        if regions is not None and len(set(regions)) < len(regions):
            raise ValueError("a region is listed twice")
        return regions

    @model_validator(mode="after")
    def _regions_known(self) -> Self:
        if self.accounts.source != "lza" and (self.home_region is None or self.regions is None):
            raise ValueError(
                '"home_region" and "regions" are needed; only a Landing Zone Accelerator source knows them'
            )
        if self.home_region and self.regions and self.home_region not in self.regions:
            raise ValueError(f'the home region "{self.home_region}" must be one of "regions"')
        return self


class Rendering(StrictModel):
    """How the variables of a target become a file."""

    templates: str | None = Field(None, min_length=1)
    """Folder with a terraform.tfvars.j2 of your own, relative to organization.yaml."""


class Match(StrictModel):
    """Conditions that must all hold; without any, every target is meant."""

    accounts: list[AccountPattern] = Field([], min_length=1)
    """Account ids or globs of account names."""
    ou: str | list[str] = Field([], min_length=1)
    """Globs of organizational unit paths; `**` is any number of levels."""
    tags: dict[str, str] = Field({}, min_length=1)
    """Tags that the account must have, all of them with exactly these values."""
    regions: list[str] = Field([], min_length=1)
    """Names of regions."""
    roles: list[Literal["management", "log-archive", "audit"]] = Field([], min_length=1)
    """Roles of accounts in the organization."""

    @model_validator(mode="before")
    @classmethod
    def _conditions_say_something(cls, data: object) -> object:
        """Refuse a condition that was emptied: it would mean every target, and nobody wrote that."""
        empty = [key for key, value in data.items() if value in (None, "", [], {})] if isinstance(data, dict) else []
        if empty:
            raise ValueError(f'the condition "{empty[0]}" is empty; remove it if every target is meant')
        return data

    @property
    def matcher(self) -> Matcher:
        """The conditions in the form that is evaluated."""
        ous = [self.ou] if isinstance(self.ou, str) else self.ou
        return Matcher(accounts=self.accounts, ous=ous, tags=self.tags, regions=self.regions, roles=self.roles)


class Override(StrictModel):
    """Values for some targets; later overrides win."""

    match: Match
    set: TargetSettings


class Exemption(StrictModel):
    """An entry of the exception register: who wants what, why, and until when."""

    match: Match
    skip: list[Component] = []
    """Components to leave out."""
    set: TargetSettings = TargetSettings()
    owner: str = Field(min_length=1)
    """Who answers for it."""
    reason: str = Field(min_length=1)
    """Why it is needed."""
    expires: Date
    """Its last day; afterwards plan and apply refuse to work until it is removed or renewed."""


class Wave(StrictModel):
    """A group of targets that must be through, within tolerance, before the next one starts."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Name for `--wave` and reports."""
    match: Match = Match()
    max_failures: int | str = Field(
        0,
        json_schema_extra={
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(100|[1-9]?[0-9])%$"}]
        },
    )
    """Failed targets that are tolerated: a number, or a percentage such as 5%."""

    @field_validator("max_failures")
    @classmethod
    def _tolerance(cls, value: int | str) -> int | str:
        if isinstance(value, str) and not re.fullmatch(r"(100|[1-9]?[0-9])%", value):
            raise ValueError('max_failures is a number of targets or a percentage such as "5%"')
        if isinstance(value, int) and value < 0:
            raise ValueError("max_failures cannot be negative")
        return value

    def tolerates(self, failures: int, targets: int) -> bool:
        """Tell whether this many failed targets of all targets of the wave are still acceptable."""
        if isinstance(self.max_failures, int):
            return failures <= self.max_failures
        return failures * 100 <= int(self.max_failures[:-1]) * targets


class SettingsFile(StrictModel):
    """The organization, described once."""

    schema_version: Literal[1]
    """Layout of this file."""
    organization: OrganizationSettings
    rendering: Rendering = Rendering()
    defaults: TargetSettings = TargetSettings()
    overrides: list[Override] = []
    """Values for some targets, above the defaults; later ones win."""
    exceptions: list[Exemption] = []
    """The exception register; its values are above those of all overrides."""
    log_archive: LogArchive | None = None
    guardrails: Guardrails | None = None
    waves: list[Wave] = []
    """Order of the rollout: a target belongs to the first wave that matches it."""

    @field_validator("waves")
    @classmethod
    def _named_once(cls, waves: list[Wave]) -> list[Wave]:
        if len({wave.name for wave in waves}) < len(waves):
            raise ValueError("two waves have the same name")
        if any(wave.name == FOUNDATION for wave in waves):
            raise ValueError(f'the wave "{FOUNDATION}" exists already: it holds what all accounts build on')
        return waves
