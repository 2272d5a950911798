"""Types of values in organization.yaml, with the limits of AWS."""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from session_manager_fleet.aws import partitions
from session_manager_fleet.yaml_source import KeyPath, nearest

# The only values of CloudWatch Logs (API reference, PutRetentionPolicy); 0 never expires.
RETENTION_DAYS = frozenset(
    {0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
    | {1096, 1827, 2192, 2557, 2922, 3288, 3653}
)  # fmt: skip

# The European Sovereign Cloud.
SOVEREIGN_PARTITION = "aws-eusc"

# Terraform's S3 backend (1.11) supports no regions of other partitions; the sovereign cloud can be described already.
_PARTITIONS = frozenset({"aws", "aws-cn", "aws-us-gov", SOVEREIGN_PARTITION})

ORGANIZATION_ID = r"^o-[a-z0-9]{10,32}$"
# The agent runs `id <user>` in a shell as root (amazon-ssm-agent, shell_unix.go), so only plain names are safe, and no
# number, as 0 is root. AWS documents users in any case and of a domain (Systems Manager user guide, "Run As support").
_OS_USER = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}(\$|@[A-Za-z0-9][A-Za-z0-9.-]{0,252})?$"
_BUCKET_NAME = r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"


class StrictModel(BaseModel):
    """Base that refuses unknown keys and wrong types; in a partial layer, `null` means "not set in this layer"."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        defer_build=True,
        field_title_generator=lambda name, _: name,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: object, info: ValidationInfo) -> object:
        if not isinstance(data, dict) or not is_partial(info):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


def is_partial(info: ValidationInfo) -> bool:
    """Tell whether a single layer is validated, which may omit what other layers set."""
    return bool(info.context and info.context.get("partial"))


@dataclass(frozen=True)
class Conflict:
    """Values of an object that contradict each other.

    Attributes:
        message: A sentence without its full stop.
        paths: Key paths of the values below the object; the first is named.
    """

    message: str
    paths: tuple[KeyPath, ...]


class ConflictError(ValueError):
    """All conflicts of an object in one error, as pydantic allows one error per validator.

    Attributes:
        conflicts: At least one.
    """

    def __init__(self, conflicts: Iterable[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__("; ".join(conflict.message for conflict in self.conflicts))


def refuse(conflicts: Iterable[Conflict]) -> None:
    """Refuse an object with conflicts.

    Raises:
        ConflictError: There is a conflict.
    """
    if found := tuple(conflicts):
        raise ConflictError(found)


def region_problem(region: str) -> str:
    """Return why a region cannot be used, as a sentence without its full stop, or an empty text."""
    if region not in partitions():
        return f'"{region}" is not an AWS region{nearest(region, partitions())}'
    if partitions()[region] not in _PARTITIONS:
        return f'"{region}" is in the partition {partitions()[region]}, which Terraform\'s S3 backend does not support'
    return ""


def _region(value: str) -> str:
    if problem := region_problem(value):
        raise ValueError(problem)
    return value


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        allowed = ", ".join(str(day) for day in sorted(RETENTION_DAYS))
        raise ValueError(f"CloudWatch Logs does not support this number of days; use one of {allowed}")
    return days


def _own_alias(alias: str) -> str:
    if alias.startswith("alias/aws/"):
        raise ValueError(f'the alias "{alias}" is reserved for AWS; use another prefix than alias/aws/')
    return alias


def _bucket_name(name: object) -> object:
    if isinstance(name, str) and not re.search(_BUCKET_NAME, name):
        raise ValueError(
            f'"{name}" is not a valid bucket name: use 3 to 63 lower-case letters, digits or hyphens, '
            "and no dots, which break TLS host names"
        )
    return name


def _organization_id(value: object) -> object:
    if isinstance(value, str) and not re.search(ORGANIZATION_ID, value):
        raise ValueError(f'"{value}" is not an organization id such as o-exampleorgid')
    return value


def _key_prefix(prefix: str) -> str:
    if ".." in prefix or "." in prefix.split("/"):  # the agent drops such parts
        raise ValueError('the key_prefix must not contain ".." or a part that is "."')
    return prefix


def possible_log_group(name: str) -> str:
    """Refuse names that CloudWatch Logs refuses (API reference, CreateLogGroup)."""
    if name.lower().startswith("aws/"):
        raise ValueError(f'CloudWatch Logs refuses "{name}": names of log groups cannot begin with aws/')
    return name


def own_name(name: str) -> str:
    """Refuse prefixes that Systems Manager reserves for documents of AWS (API reference, CreateDocument)."""
    if re.match(r"(?i)aws|amazon|amzn", name):
        raise ValueError(f'the name "{name}" is reserved for AWS; use another prefix')
    return name


def _os_user(user: object) -> object:
    if user == "root":
        raise ValueError('the agent refuses sessions as "root"; use another user')
    if isinstance(user, str) and not re.search(rf"^$|{_OS_USER}", user):
        raise ValueError(
            f'"{user}" is not a user that can be given to the agent: begin with a letter or _, and use letters, digits '
            "and _.- only; $ may be last, and @ with a domain may follow, as in ops@corp.example.com"
        )
    return user


def _own_tags(tags: dict[str, str]) -> dict[str, str]:
    reserved = [key for key in tags if key.lower().startswith("aws:")]
    if reserved:
        raise ValueError(f'the tag "{reserved[0]}" is reserved for AWS; use another prefix than aws:')
    return tags


def _not_blank(text: str) -> str:
    if not any(letter.isprintable() and not letter.isspace() for letter in text):
        raise ValueError("this must not be blank")
    return text


def _specific(pattern: str) -> str:
    if not pattern.strip("*?"):
        raise ValueError(f'"{pattern}" matches every role; add some characters of the name')
    return pattern


def _date(value: object) -> object:
    """Read a quoted date; YAML reads unquoted dates itself."""
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
            {key: value for key, value in tags.items() if value is not None or not is_partial(info)}
            if isinstance(tags, dict)
            else tags
        )
    ),
    AfterValidator(_own_tags),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "null"]}}),
]
Date = Annotated[datetime.date, BeforeValidator(_date)]
RetentionDays = Annotated[
    int, AfterValidator(_retention), WithJsonSchema({"type": "integer", "enum": sorted(RETENTION_DAYS)})
]
# `read_yaml` reads twelve digits as text even without quotes; editors see a number.
AccountPattern = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]
AccountId = Annotated[
    str,
    Field(pattern=r"^[0-9]{12}$"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]{12}$", "maximum": 10**12 - 1}),
]
# Names and paths of roles as IAM allows them; in name patterns, * and ? are wildcards.
RoleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
RoleNamePattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@*?-]{1,64}$"), AfterValidator(_specific)]
RolePath = Annotated[str, Field(pattern=r"^/([A-Za-z0-9_+=,.@-]+/)+$", max_length=512)]
RoleArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$")
]
# A pattern needs three literal characters in the name: role/* would match every role.
RoleArnPattern = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:iam::([0-9]{12}|[*]):role/[A-Za-z0-9_+=,.@/*?-]*[A-Za-z0-9_+=,.@-]{3}[A-Za-z0-9_+=,.@*?-]*$"
    ),
]
PolicyTarget = Annotated[str, Field(pattern=r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|[0-9]{12})$")]
OrganizationId = Annotated[str, Field(pattern=ORGANIZATION_ID), BeforeValidator(_organization_id)]
# Dots break TLS host names; AWS advises against them (session-manager-schema).
BucketName = Annotated[str, Field(pattern=_BUCKET_NAME), BeforeValidator(_bucket_name)]
KeyPrefix = Annotated[str, Field(pattern=r"^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$"), AfterValidator(_key_prefix)]
LogGroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./#-]{1,512}$"), AfterValidator(possible_log_group)]
DocumentName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,128}$"), AfterValidator(own_name)]
# The user that sessions run as, or empty.
OsUser = Annotated[str, Field(pattern=rf"^$|{_OS_USER}"), BeforeValidator(_os_user)]
KeyAlias = Annotated[str, Field(pattern=r"^alias/[A-Za-z0-9/_-]{1,250}$"), AfterValidator(_own_alias)]
# Text for people, not blank.
Text = Annotated[str, AfterValidator(_not_blank), WithJsonSchema({"type": "string", "pattern": r"\S"})]
SubscriptionArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:(kinesis:[a-z0-9-]+:[0-9]{12}:stream/[A-Za-z0-9_.-]{1,128}"
        r"|firehose:[a-z0-9-]+:[0-9]{12}:deliverystream/[A-Za-z0-9_.-]{1,64}"
        r"|lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}"
        r"|logs:[a-z0-9-]+:[0-9]{12}:destination:[^:*\s]{1,512})$"
    ),
]
KmsKeyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9_-]+$")]
# The form that Session Manager accepts and the Lambda function checks (session_preferences/document.py).
SessionKeyArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
    ),
]
