"""organization.yaml: typed, layered, and every value remembers which line set it."""

from __future__ import annotations

import datetime
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fleet.aws import partitions
from fleet.errors import InputError, Problem
from fleet.matching import Matcher
from fleet.organization import Account, Organization
from fleet.yaml_document import KeyPath, YamlDocument, nearest, read_yaml

Component = Literal["instance_policy", "config_rule", "preferences"]

# CloudWatch Logs accepts these only (API reference, PutRetentionPolicy); 0 keeps logs for ever.
RETENTION_DAYS = frozenset(
    {0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
    | {1096, 1827, 2192, 2557, 2922, 3288, 3653}
)  # fmt: skip

# The agent runs `id <user>` in a shell as root (amazon-ssm-agent, shell_unix.go): nothing but plain names may pass.
RUN_AS_USER = r"^[a-z_][a-z0-9_.-]{0,31}\$?$"

ORGANIZATION_ID = r"^o-[a-z0-9]{10,32}$"

# What EventBridge takes (PutRule, ScheduleExpression): a unit agrees with its number. Empty is no schedule.
SCHEDULE = r"^(rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)|cron\([^ ()]+( [^ ()]+){5}\))?$"


class _Model(BaseModel):
    """Refuses unknown keys and wrong types; in a partial layer `null` stands for "not set here"."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

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


Region = Annotated[str, BeforeValidator(lambda value: _region(value) if isinstance(value, str) else value)]
Tags = Annotated[
    dict[str, str],
    BeforeValidator(
        lambda tags, info: (
            {key: value for key, value in tags.items() if value is not None or not _partial(info)}
            if isinstance(tags, dict)
            else tags
        )
    ),
]
RetentionDays = Annotated[int, AfterValidator(_retention)]
# What IAM allows in names and paths of roles; in patterns of names * and ? are wildcards.
RoleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
RoleNamePattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@*?-]{1,64}$")]
RolePath = Annotated[str, Field(pattern=r"^/([A-Za-z0-9_+=,.@-]+/)+$", max_length=512)]
KmsKeyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9_-]+$")]


class Names(_Model):
    """Names of what is created in every account; one place for all components."""

    log_group: str = Field("ssm-sessionmanager-logs", pattern=r"^[A-Za-z0-9_./#-]{1,512}$")
    policy: str = Field("SessionManagerLogPolicy", pattern=r"^[A-Za-z0-9+=,.@_-]{1,128}$")
    policy_path: str = Field("/", pattern=r"^/([A-Za-z0-9+=,.@_-]+/)*$", max_length=512)
    data_key_alias: str = Field("alias/session-manager/data", pattern=r"^alias/[A-Za-z0-9/_-]{1,250}$")
    logs_key_alias: str = Field("alias/session-manager/logs", pattern=r"^alias/[A-Za-z0-9/_-]{1,250}$")
    data_key_parameter: str = Field(
        "/session-manager/session-data-key", pattern=r"^(/[A-Za-z0-9_.-]+)+$", max_length=1011
    )
    document: str = Field("SSM-SessionManagerRunShell", pattern=r"^[A-Za-z0-9_.-]{3,128}$")
    config_rule: str = Field("iam-ec2-role-has-required-policy", pattern=r"^[A-Za-z0-9_-]{1,128}$")
    # Roles carry the name of the document, and the function's with the region, in at most 64 characters.
    automation_document: str = Field("Attach-ssm-policy-to-instance-profile", pattern=r"^[A-Za-z0-9_.-]{3,64}$")
    function: str = Field("session-manager-preferences", pattern=r"^[A-Za-z0-9_-]{1,49}$")

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


class InstancePolicy(_Model):
    """The managed policy that instances need to write session logs and decrypt session data."""

    enabled: bool = True
    regions: list[Literal["*"] | Region] = Field(["*"], min_length=1)
    attach_to_roles: list[RoleName] = []
    attach_managed_instance_core: bool = False

    @model_validator(mode="after")
    def _core_attached_to_roles(self, info: ValidationInfo) -> Self:
        if not _partial(info) and self.attach_managed_instance_core and not self.attach_to_roles:
            raise ValueError("attach_managed_instance_core has no effect without attach_to_roles")
        return self


class ConfigRule(_Model):
    """The Config rule that finds instance roles without the policy, and its remediation."""

    enabled: bool = True
    auto_remediation: bool = False
    maximum_automatic_attempts: int = Field(5, ge=1, le=25)
    retry_attempt_seconds: int = Field(60, ge=1, le=2_678_000)
    concurrent_execution_rate_percentage: int = Field(10, ge=1, le=100)
    error_percentage: int = Field(10, ge=1, le=100)
    excluded_role_names: list[RoleNamePattern] = []
    excluded_role_paths: list[RolePath] = []


class S3Logging(_Model):
    """Session logs in an S3 bucket, below `<key_prefix>/<account>/<region>`."""

    enabled: bool = False
    # Dots break TLS host names; AWS advises against them (session-manager-schema).
    bucket_name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    key_prefix: str = Field("sessionmanager", pattern=r"^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$")
    encryption_enabled: bool = True
    kms_key_arn: KmsKeyArn | None = None

    @field_validator("key_prefix")
    @classmethod
    def _stays_below(cls, prefix: str) -> str:
        if ".." in prefix:
            raise ValueError('the key_prefix must not contain ".."')
        return prefix


class CloudWatchLogging(_Model):
    """Session logs in a CloudWatch log group of the account and region."""

    create_log_group: bool = True
    log_group_name: str | None = Field(None, pattern=r"^[A-Za-z0-9_./#-]{0,512}$")
    encryption_enabled: bool = True
    streaming_enabled: bool = False
    retention_in_days: RetentionDays = 90
    kms_key_arn: KmsKeyArn | None = None


class SessionKey(_Model):
    """The KMS key that encrypts session data between client and instance."""

    enabled: bool = True
    kms_key_arn: KmsKeyArn | None = None
    organization_id: str | None = Field(None, pattern=ORGANIZATION_ID)

    @model_validator(mode="after")
    def _all_used(self, info: ValidationInfo) -> Self:
        if _partial(info):
            return self
        if self.kms_key_arn and not self.enabled:
            raise ValueError("session_key.kms_key_arn has no effect unless session_key.enabled is true")
        if self.organization_id and (self.kms_key_arn or not self.enabled):
            raise ValueError("session_key.organization_id has no effect unless the session key is created here")
        return self


class RunAs(_Model):
    """The operating system user of sessions on Linux and macOS."""

    enabled: bool = False
    default_user: str = Field("", pattern=rf"^$|{RUN_AS_USER}")

    @field_validator("default_user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError('the agent refuses sessions as "root"; name another user')
        return user


class ShellProfile(_Model):
    """Commands that run at the start of every session; not a security control."""

    linux: str = ""
    windows: str = ""


class DriftRepair(_Model):
    """Repair of a document that somebody else has changed."""

    enabled: bool = True
    schedule: str = Field("rate(1 hour)", pattern=SCHEDULE)
    notify_topic_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
    )


class Function(_Model):
    """The Lambda function that writes the preferences document."""

    reserved_concurrent_executions: int | None = Field(None, ge=1)
    log_retention_in_days: RetentionDays = 90


class Preferences(_Model):
    """What the preferences document says, and the resources it needs; per region."""

    enabled: bool = True
    s3: S3Logging = S3Logging()
    cloudwatch: CloudWatchLogging = CloudWatchLogging()
    session_key: SessionKey = SessionKey()
    run_as: RunAs = RunAs()
    idle_session_timeout: int = Field(20, ge=1, le=60)
    max_session_duration: int = Field(60, ge=0, le=1440)  # 0 is no maximum
    shell_profile: ShellProfile = ShellProfile()
    adopt: Literal["replace", "merge", "fail"] = "replace"
    on_destroy: Literal["restore", "retain", "reset"] = "restore"
    waive: list[Literal["no_log_destination", "run_as_by_tag", "preflight_permissions"]] = []
    revision: str = "1"
    check_in_plan: bool = False
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


class TargetSettings(_Model):
    """Everything that may differ between targets; the attributes are the root module's variables."""

    preferences: Preferences = Preferences()
    instance_policy: InstancePolicy = InstancePolicy()
    config_rule: ConfigRule = ConfigRule()
    names: Names = Names()
    tags: Tags = {}


class DeploymentRole(_Model):
    """The role in every account that Terraform assumes."""

    name: str = Field(pattern=r"^([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$", max_length=512)
    external_id: str | None = Field(None, pattern=r"^[A-Za-z0-9+=,.@:/_-]{2,1224}$")
    session_name: str = Field("session-manager-rollout", pattern=r"^[A-Za-z0-9+=,.@_-]{2,64}$")
    duration: str = Field("1h", pattern=r"^([0-9]+[hms])+$")
    # Control Tower does not create its role there; the caller's own credentials are used instead.
    in_management_account: bool = False


class AccountsSource(_Model):
    """Where the accounts come from."""

    source: Literal["organizations", "lza", "file"] = "organizations"
    path: str | None = None

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        if self.source == "organizations" and self.path is not None:
            raise ValueError('the source "organizations" takes no path')
        if self.source != "organizations" and not self.path:
            raise ValueError(f'the source "{self.source}" needs a path')
        return self


class State(_Model):
    """The S3 bucket with the Terraform states, in the account of the caller."""

    bucket: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    region: Region | None = None
    key_prefix: str = Field("session-manager", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_/-]*$")
    kms_key_arn: KmsKeyArn | None = None


class OrganizationSettings(_Model):
    """The organization and how to enter it."""

    id: str = Field(pattern=ORGANIZATION_ID)
    home_region: Region | None = None
    regions: list[Region] | None = Field(None, min_length=1)
    deployment_role: DeploymentRole
    accounts: AccountsSource = AccountsSource()
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


class Match(_Model):
    """Conditions that must all hold."""

    accounts: list[str] = []
    ou: str | list[str] = []
    tags: dict[str, str] = {}
    regions: list[str] = []

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
        return Matcher(accounts=self.accounts, ous=ous, tags=self.tags, regions=self.regions)


class Override(_Model):
    """Values for some targets; later overrides win."""

    match: Match
    set: TargetSettings


class Exemption(_Model):
    """An entry of the exception register: who wants what, why, and until when."""

    match: Match
    skip: list[Component] = []
    set: TargetSettings = TargetSettings()
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: datetime.date


class Wave(_Model):
    """A group of targets that must be through, within tolerance, before the next one starts."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    match: Match = Match()
    max_failures: int | str = 0

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


class SettingsFile(_Model):
    """The whole of organization.yaml."""

    schema_version: Literal[1]
    organization: OrganizationSettings
    defaults: TargetSettings = TargetSettings()
    overrides: list[Override] = []
    exceptions: list[Exemption] = []
    waves: list[Wave] = []

    @field_validator("waves")
    @classmethod
    def _named_once(cls, waves: list[Wave]) -> list[Wave]:
        if len({wave.name for wave in waves}) < len(waves):
            raise ValueError("two waves have the same name")
        return waves


@dataclass(frozen=True)
class Origin:
    """Where an effective value was set: a line of organization.yaml and the layer that it belongs to."""

    line: int
    layer: str


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings of one target.

    Attributes:
        values: All values, defaults filled in.
        origins: Where each value that was set comes from, by key path; what is missing is a built-in default.
        skipped: Components that an exception leaves alone.
    """

    values: TargetSettings
    origins: Mapping[KeyPath, Origin]
    skipped: frozenset[Component]


@dataclass(frozen=True)
class _Layer:
    """A set of values for the targets that a matcher means."""

    name: str
    matcher: Matcher
    key_path: KeyPath
    values: Mapping[str, Any]
    skipped: frozenset[Component] = frozenset()


class Settings:
    """organization.yaml, read and checked."""

    def __init__(self, document: YamlDocument, parsed: SettingsFile) -> None:
        self.document = document
        self.organization = parsed.organization
        self.waves: Sequence[Wave] = parsed.waves or (Wave(name="all"),)
        self.exceptions = parsed.exceptions
        self._parsed = parsed
        self._effective: dict[tuple[int, ...], EffectiveSettings] = {}

    @property
    def folder(self) -> Path:
        """The folder of organization.yaml; paths in the file are relative to it."""
        return self.document.path.parent

    @cached_property
    def uses_tags(self) -> bool:
        """Whether any matcher asks for account tags, which cost one API call per account."""
        return any(matcher.tags for _, matcher in self._matchers())

    @cached_property
    def _layers(self) -> tuple[_Layer, ...]:
        data = self.document.data
        layers = [_Layer("defaults", Matcher(), ("defaults",), data.get("defaults") or {})]
        conditional: dict[str, Sequence[Override | Exemption]] = {
            "overrides": self._parsed.overrides,
            "exceptions": self._parsed.exceptions,
        }
        for kind, entries in conditional.items():
            for index, entry in enumerate(entries):
                values = data[kind][index].get("set") or {}
                skipped = frozenset(entry.skip) if isinstance(entry, Exemption) else frozenset()
                path = (kind, index, "set")
                layers.append(_Layer(f"{kind}[{index}]", entry.match.matcher, path, values, skipped))
        return tuple(layers)

    def _matchers(self) -> Iterator[tuple[KeyPath, Matcher]]:
        for kind in ("overrides", "exceptions", "waves"):
            for index, entry in enumerate(getattr(self._parsed, kind)):
                yield (kind, index, "match"), entry.match.matcher

    def check_against(self, organization: Organization, regions: Sequence[str]) -> None:
        """Refuse matchers that can match nothing: they are misspelled or out of date.

        Raises:
            InputError: With the line of each.
        """
        problems = []
        for key_path, matcher in self._matchers():
            for attribute, index, message in matcher.dead_ends(organization, regions):
                key = "ou" if attribute == "ous" else attribute
                problems.append(Problem(message, self.document.where((*key_path, key, index))))
        if self.organization.id and organization.id and organization.id != self.organization.id:
            message = f"These credentials belong to the organization {organization.id}."
            problems.append(Problem(message, self.document.where(("organization", "id"))))
        if problems:
            raise InputError(problems)

    def expired_exceptions(self, today: datetime.date) -> list[Problem]:
        """Return a problem for every exception whose last day is over."""
        return [
            Problem(
                f"The exception of {entry.owner} expired on {entry.expires}: remove it, or have it renewed.",
                self.document.where(("exceptions", index, "expires")),
            )
            for index, entry in enumerate(self.exceptions)
            if entry.expires < today
        ]

    def effective(self, account: Account, region: str) -> EffectiveSettings:
        """Return the settings of a target: defaults < overrides in order < exceptions.

        Raises:
            InputError: The layers are valid each, but do not fit together for this target.
        """
        chosen = tuple(index for index, layer in enumerate(self._layers) if layer.matcher.matches(account, region))
        if chosen not in self._effective:
            self._effective[chosen] = self._merge([self._layers[index] for index in chosen], account, region)
        return self._effective[chosen]

    def _merge(self, layers: Sequence[_Layer], account: Account, region: str) -> EffectiveSettings:
        merged: dict[str, Any] = {}
        origins: dict[KeyPath, Origin] = {}
        for layer in layers:
            self._apply(layer, layer.values, (), merged, origins)
        try:
            values = TargetSettings.model_validate(merged)
        except ValidationError as error:
            problems = []
            for detail in error.errors():
                path = tuple(detail["loc"])
                lines = [origin.line for key_path, origin in origins.items() if key_path[: len(path)] == path]
                location = f"{self.document.path}:{max(lines, default=1)}"
                message = f"For {account.id} ({account.name}) in {region}: {_message(detail, TargetSettings)}"
                problems.append(Problem(message, location))
            raise InputError(problems) from error
        skipped = frozenset(component for layer in layers for component in layer.skipped)
        return EffectiveSettings(values, origins, skipped)

    def _apply(
        self,
        layer: _Layer,
        values: Mapping[str, Any],
        path: KeyPath,
        merged: dict[str, Any],
        origins: dict[KeyPath, Origin],
    ) -> None:
        """Merge a layer: objects deeply, lists as a whole; null takes away what lower layers set."""
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, dict):
                below = merged.setdefault(key, {})
                self._apply(layer, value, here, below, origins)
                continue
            if value is None:
                merged.pop(key, None)
                for known in [known for known in origins if known[: len(here)] == here]:
                    del origins[known]
                continue
            merged[key] = value
            origins[here] = Origin(self.document.line((*layer.key_path, *here)), layer.name)


def load_settings(path: Path) -> Settings:
    """Read organization.yaml.

    Raises:
        InputError: With every problem, each with file, line and key path.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise InputError("The file must hold a mapping with schema_version and organization.", document.where())
    try:
        parsed = SettingsFile.model_validate(document.data, context={"partial": True})
    except ValidationError as error:
        problems = [
            Problem(_message(detail, SettingsFile), document.where(_known_path(detail["loc"], document)))
            for detail in error.errors()
        ]
        raise InputError(list(dict.fromkeys(problems))) from error
    return Settings(document, parsed)


def _known_path(location: Sequence[str | int], document: YamlDocument) -> KeyPath:
    """Return the longest part of pydantic's location that is written in the file, and the missing key behind it."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) not in document.lines:
            # Unions add the name of the alternative that failed; a missing key is worth naming, that is not.
            return path
        path = (*path, part)
    return path


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda detail: f'The key "{detail["loc"][-1]}" is missing.',
    "string_pattern_mismatch": lambda detail: (
        f"{json.dumps(detail['input'])} does not have the form that is needed here: {detail['ctx']['pattern']}"
    ),
    "bool_type": lambda detail: f'"{detail["input"]}" is not true or false.',
    "string_type": lambda detail: f"{detail['input']!r} must be text; quote it.",
    "int_type": lambda detail: f"{detail['input']!r} must be a whole number.",
}


def _message(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Say in one sentence what pydantic found."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        return f'Unknown key "{key}"{nearest(key, _field_names(model, detail["loc"][:-1]))}.'
    if kind in _MESSAGES:
        return _MESSAGES[kind](detail)
    text = str(detail["msg"]).removeprefix("Value error, ")
    first = text.split(maxsplit=1)[0]
    if not set(first) & {"_", "."}:  # the name of a key stays as it is
        text = text[0].upper() + text[1:]
    return text.rstrip(".") + "."


def _field_names(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the names that are known at a location of a model."""
    here: Any = model
    for part in location:
        if isinstance(part, int):
            here = typing.get_args(here)[0]
        elif isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[part].annotation
        if typing.get_origin(here) in {typing.Union, types.UnionType}:
            here = typing.get_args(here)[0]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []
