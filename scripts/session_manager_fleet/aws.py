"""Call AWS: client configuration with retries, cheap sessions, assumed roles, and errors as one sentence."""

import datetime
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.regions import EndpointResolver

from session_manager_fleet.credentials import looked_up_with, share_credentials, unrenewable_end, with_credentials
from session_manager_fleet.errors import AccessError

# Organizations throttles calls from a few hundred accounts on; adaptive mode slows down instead of failing.
CLIENT_CONFIG = Config(
    retries={"mode": "adaptive", "max_attempts": 10},
    connect_timeout=10,
    read_timeout=60,
    user_agent_extra="session-manager-fleet",
)

# The form of a region's name; a journal may name one that this version of botocore does not know.
REGION_FORM = r"[a-z]{2,8}(-[a-z]{1,16}){1,3}-[0-9]{1,2}"

_ENDPOINT = "AWS_ENDPOINT_URL"
_LONGEST_URL = 200

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# AWS's message for a wrong signature repeats the signed headers, the session token among them: it is not shown.
_INVALID = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"),
    *("SignatureDoesNotMatch", "InvalidSignatureException"),
}


# Regions that every account has; those that came after March 20, 2019 have to be enabled in each account. In other
# partitions all are enabled. See "AWS Regions" in the AWS Account Management Reference Guide.
_ENABLED_BY_DEFAULT = frozenset(
    {"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"}
    | {"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"}
    | {"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"}
)
SCP_DENIES = "explicit deny in a service control policy"
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"


class _Loader(botocore.loaders.Loader):
    """Service models of botocore, loaded once for all sessions; loading them is most of the cost of a client."""

    @property
    def search_paths(self) -> list[str]:
        """Return a copy, because every boto3 session appends its folder of resource models, which is not needed."""
        return list(super().search_paths)


_LOADER = _Loader()


def new_session(region: str | None = None, **credentials: str) -> boto3.Session:
    """Return a session whose clients cost a tenth of those of `boto3.Session`.

    Args:
        region: Default region of clients.
        credentials: `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token`; by default those of the
            environment.

    Raises:
        BotoCoreError: AWS_PROFILE names a profile that does not exist, or AWS_CONFIG_FILE cannot be read (see
            `translated_errors`).
        InputError: AWS_PROFILE and AWS_DEFAULT_PROFILE name two profiles.
        AccessError: AWS_CREDENTIAL_EXPIRATION is no time.
    """
    return boto3.Session(botocore_session=_core_session(), region_name=region, **credentials)


def session_with(
    credentials: botocore.credentials.Credentials, role_arn: Callable[[], str], region: str | None = None
) -> boto3.Session:
    """Return a session with given credentials.

    Args:
        credentials: Asked at each call.
        role_arn: Returns their role, for errors.
        region: Default region of clients.
    """
    core = _core_session(role_arn)
    resolver = botocore.credentials.CredentialResolver([_Given(credentials)])
    core.register_component("credential_provider", resolver)
    return boto3.Session(botocore_session=core, region_name=region)


class _Given(botocore.credentials.CredentialProvider):
    """Gives a session the credentials that it is for."""

    def __init__(self, credentials: botocore.credentials.Credentials) -> None:
        self._credentials = credentials

    def load(self) -> botocore.credentials.Credentials:
        """Return the credentials."""
        return self._credentials


def _core_session(role_arn: Callable[[], str] = lambda: "") -> botocore.session.Session:
    """Return a session of botocore, whose errors name the region, and the role that it is for."""
    _given_end()  # botocore fails on what is no time
    session = botocore.session.Session()
    session.get_scoped_config()
    session.register_component("data_loader", _LOADER)
    share_credentials(session)
    # Credentials of the global endpoint are not valid in opt-in regions.
    session.set_config_variable("sts_regional_endpoints", "regional")

    def name_place(**event: Any) -> None:  # noqa: ANN401 - as botocore has it
        error = event["parsed"].get("Error")
        if error:
            error |= {"Region": event["context"].get("client_region") or "", "RoleArn": role_arn()}

    session.register("after-call", name_place)
    return session


def endpoint_overrides(environment: Mapping[str, str]) -> list[str]:
    """Return the places that are called instead of AWS, as `http://127.0.0.1:1234 (AWS_ENDPOINT_URL)`.

    Args:
        environment: The environment; AWS's variables, and the profile that they name, may hold such places.
    """
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return []
    found = {name: url for name, url in sorted(environment.items()) if name.startswith(_ENDPOINT) and url}
    with suppress(botocore.exceptions.BotoCoreError, OSError):
        configured = botocore.session.Session().get_scoped_config().get("endpoint_url")
        if isinstance(configured, str) and _ENDPOINT not in found:
            found["endpoint_url of the AWS profile"] = configured
    return [f"{_without_credentials(url)} ({name})" for name, url in found.items()]


def _without_credentials(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)[:_LONGEST_URL]


@cache
def partitions() -> Mapping[str, str]:
    """Return every AWS region known to botocore with its partition (`aws`, `aws-cn`, `aws-us-gov`…).

    They come from the data of botocore, so that offline commands need no AWS configuration.
    """
    resolver = EndpointResolver(_LOADER.load_data("endpoints"))
    return {
        region: partition
        for partition in resolver.get_available_partitions()
        for region in resolver.get_available_endpoints("ssm", partition)
    }


def is_opt_in(region: str) -> bool:
    """Tell whether a region has to be enabled in an account before anything can be done there."""
    return partitions().get(region) == "aws" and region not in _ENABLED_BY_DEFAULT


def role_arn(account_id: str, role_name: str, region: str) -> str:
    """Return the ARN of a role (its name may carry a path) in the partition of a region."""
    return f"arn:{partitions()[region]}:iam::{account_id}:role/{role_name}"


@contextmanager
def translated_errors(action: str) -> Iterator[None]:
    """Turn errors of botocore, and of reading files with credentials, into an AccessError.

    Args:
        action: The action, as it reads after "Cannot": `list the accounts of the organization`.

    Raises:
        AccessError: With the action, AWS's error code and what to do.
    """
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise AccessError(f"Cannot {action}: {_described(error)}") from error
    except (
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.PartialCredentialsError,
        botocore.exceptions.CredentialRetrievalError,
        botocore.exceptions.SSOError,
        botocore.exceptions.ProfileNotFound,
        botocore.exceptions.TokenRetrievalError,
    ) as error:
        raise AccessError(
            f"Cannot {action}: no usable AWS credentials ({error}); set AWS_PROFILE or sign in."
        ) from error
    except (botocore.exceptions.BotoCoreError, OSError) as error:
        raise AccessError(f"Cannot {action}: {error}") from error


def _described(error: botocore.exceptions.ClientError) -> str:
    """Return AWS's error code and what to do, as sentences."""
    details: Mapping[str, Any] = error.response.get("Error", {})
    code, message = details.get("Code", "Unknown"), details.get("Message", "").rstrip(".")
    region, role = details.get("Region", ""), details.get("RoleArn", "")
    if code in _EXPIRED:
        advice = "The AWS credentials have expired; sign in again."
    elif code in _INVALID and role:
        advice = (
            f"AWS has just given these credentials of {role}, and does not accept them in {region}: the region is not "
            f"enabled in the account. Run `aws account enable-region --region-name {region}` there and wait some "
            "minutes, or leave the region out (`regions` in an override)."
        )
    elif code in _INVALID and is_opt_in(region):
        advice = (
            f"Either AWS does not accept these credentials, or the region {region} is not enabled in their account: "
            "`aws sts get-caller-identity --region us-east-1` tells which."
        )
    elif code in _INVALID:
        advice = "AWS does not accept these credentials; check AWS_PROFILE or the access key."
    elif code == "RegionDisabledException":
        advice = (
            f"{message}. Activate STS for the region in the IAM console of that account, under Account settings, or "
            "use a home region where it is active."
        )
    elif SCP_DENIES in message:
        advice = f"{message}. {service_control_policy(region)}"
    else:
        advice = f"{message}."
    return f"{code}. {advice}"


def service_control_policy(region: str) -> str:
    """Return what to do where a service control policy denies a call, as Control Tower's region deny does."""
    return (
        f"A service control policy denies this in {region}, and no permission of the role can allow it: leave the "
        "region out for the account (`regions` in an override), or exempt the role in the policy."
    )


@dataclass(frozen=True)
class Caller:
    """Whose credentials these are.

    Attributes:
        account_id: The account.
        arn: ARN of the user, or of the session of a role.
    """

    account_id: str
    arn: str

    @property
    def is_role(self) -> bool:
        """Whether it is the session of a role, for which AWS limits the sessions of further roles to one hour."""
        return ":assumed-role/" in self.arn


def caller_identity(session: boto3.Session, region: str) -> Caller:
    """Return whose credentials a session has, as the STS endpoint of a region says.

    Raises:
        AccessError: There are no usable credentials, or their account has not enabled the region.
    """
    with _told_from_wrong_credentials(session, region), translated_errors("identify the AWS credentials"):
        return _ask_identity(session, region)


def _ask_identity(session: boto3.Session, region: str) -> Caller:
    answer = session.client("sts", region_name=region, config=CLIENT_CONFIG).get_caller_identity()
    return Caller(answer["Account"], answer["Arn"])


@contextmanager
def _told_from_wrong_credentials(session: boto3.Session, region: str) -> Iterator[None]:
    """Ask another region when STS of an opt-in region refuses credentials: it refuses those of accounts without it.

    Raises:
        AccessError: The credentials are valid, and their account has not enabled the region.
    """
    try:
        yield
    except AccessError as error:
        cause = error.__cause__
        refused = isinstance(cause, botocore.exceptions.ClientError) and cause.response["Error"]["Code"] in _INVALID
        if not refused or not is_opt_in(region):
            raise
        try:
            caller = _ask_identity(session, "us-east-1")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            raise error from cause
        message = (
            f"STS in {region} does not accept your credentials: the region is not enabled in their account "
            f"{caller.account_id} ({caller.arn}). Run `aws account enable-region --region-name {region}` there and "
            "wait some minutes, or use another home region."
        )
        raise AccessError(message) from cause


@dataclass(frozen=True)
class Validity:
    """How long the caller's credentials are valid.

    Attributes:
        source: Where botocore found them: `env`, `assume-role-with-web-identity`, `custom-process`, `sso`…
        ends: When they end and cannot be renewed; None if that is not known.
        renewed: Whether they are renewed by themselves.
    """

    source: str
    ends: datetime.datetime | None
    renewed: bool

    def __str__(self) -> str:
        if self.ends:
            return f"valid until {self.ends:%H:%M} UTC"
        return f"renewed automatically ({self.source})" if self.renewed else f"from {self.source}"


def validity() -> Validity:
    """Return how long the credentials of the environment are valid, without a call of AWS.

    Raises:
        AccessError: There are no credentials, or AWS_CREDENTIAL_EXPIRATION is no time.
    """
    with translated_errors("use the AWS credentials"):
        credentials = new_session().get_credentials()
    if credentials is None:
        raise AccessError("There are no AWS credentials; set AWS_PROFILE or sign in.")
    if credentials.method == botocore.credentials.EnvProvider.METHOD:
        return Validity("the environment", _given_end(), renewed=False)
    if end := unrenewable_end(credentials):
        return Validity("a profile with MFA", end.astimezone(datetime.UTC), renewed=False)
    return Validity(credentials.method, None, isinstance(credentials, botocore.credentials.RefreshableCredentials))


def as_caller(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose processes act with the credentials of this one, as they are now.

    Raises:
        InputError: AWS_PROFILE and AWS_DEFAULT_PROFILE name two profiles.
        AccessError: There are no credentials, or they cannot be renewed.
    """
    with translated_errors("use the AWS credentials"):
        return with_credentials(environment, _session_of_caller(looked_up_with()))


@lru_cache(maxsize=8)
def _session_of_caller(_variables: tuple[tuple[str, str], ...]) -> botocore.session.Session:
    """Return the session of these variables: making one takes most of the time that a command would wait for it."""
    return _core_session()


def _given_end() -> datetime.datetime | None:
    """Return the end that tools such as `aws configure export-credentials` name beside the credentials."""
    text = os.environ.get(_EXPIRATION)
    if not text:
        return None
    try:
        end = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        message = f'{_EXPIRATION} is "{text}", which is no time; write it as 2027-03-31T14:30:00Z, or unset it.'
        raise AccessError(message) from error
    return end.astimezone(datetime.UTC)


def role_credentials(
    session: boto3.Session,
    arn: str,
    *,
    sts_region: str,
    session_name: str,
    external_id: str | None = None,
    duration_seconds: int = 3600,
) -> botocore.credentials.RefreshableCredentials:
    """Return temporary credentials of a role, which are renewed as long as those of the caller allow.

    Args:
        session: With credentials of the caller.
        arn: ARN of the role.
        sts_region: Region whose STS endpoint is asked; the account of the caller must have enabled it.
        session_name: Name of the session in CloudTrail.
        external_id: External id that the trust policy of the role requires.
        duration_seconds: How long the credentials are valid.

    Raises:
        AccessError: The role does not exist or does not trust the caller.
    """

    def assume() -> dict[str, str]:
        with _told_from_wrong_credentials(session, sts_region), translated_errors(f"assume {arn}"):
            sts = session.client("sts", region_name=sts_region, config=CLIENT_CONFIG)
            identity: Any = {"ExternalId": external_id} if external_id else {}
            assumed = sts.assume_role(
                RoleArn=arn, RoleSessionName=session_name, DurationSeconds=duration_seconds, **identity
            )["Credentials"]
        return {
            "access_key": assumed["AccessKeyId"],
            "secret_key": assumed["SecretAccessKey"],
            "token": assumed["SessionToken"],
            "expiry_time": assumed["Expiration"].isoformat(),
        }

    return botocore.credentials.RefreshableCredentials.create_from_metadata(
        assume(),
        refresh_using=assume,
        method="assume-role",
        # The defaults, 15 and 10 minutes, would renew short sessions all the time.
        advisory_timeout=min(900, duration_seconds // 4),
        mandatory_timeout=min(600, duration_seconds // 6),
    )


def assume_role(
    session: boto3.Session,
    arn: str,
    region: str,
    *,
    sts_region: str,
    session_name: str,
    external_id: str | None = None,
    duration_seconds: int = 3600,
) -> boto3.Session:
    """Return a session with the credentials of a role: see `role_credentials`.

    Raises:
        AccessError: The role does not exist or does not trust the caller.
    """
    credentials = role_credentials(
        session,
        arn,
        sts_region=sts_region,
        session_name=session_name,
        external_id=external_id,
        duration_seconds=duration_seconds,
    )
    return session_with(credentials, lambda: arn, region)


def rescue(arn: str, state: str) -> str:
    """Return how to make a key usable again: the commands of the AWS CLI, and the account to type them in."""
    region, account, key_id = *arn.split(":")[3:5], arn.rpartition("/")[2]
    where = f"--region {region} --key-id {key_id}"
    enable = f"aws kms enable-key {where}"
    if state == "PendingDeletion":
        # A key whose deletion is cancelled is disabled (AWS KMS API Reference, CancelKeyDeletion).
        return f"Cancel its deletion in account {account}: aws kms cancel-key-deletion {where} && {enable}"
    if state == "Disabled":
        return f"Enable it in account {account}: {enable}"
    return "Make the key usable: see its state in AWS KMS."
