"""Call AWS: client configuration with retries, cheap sessions, assumed roles, and errors as one sentence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import boto3
import botocore.exceptions
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.regions import EndpointResolver

from session_manager_fleet.errors import AccessError

# Organizations throttles calls from a few hundred accounts on; adaptive mode slows down instead of failing.
CLIENT_CONFIG = Config(
    retries={"mode": "adaptive", "max_attempts": 10},
    connect_timeout=10,
    read_timeout=60,
    user_agent_extra="session-manager-fleet",
)

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# AWS's message for a wrong signature repeats the signed headers, the session token among them: it is not shown.
_INVALID = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"),
    *("SignatureDoesNotMatch", "InvalidSignatureException"),
}


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
    """
    session = botocore.session.Session()
    session.get_scoped_config()
    session.register_component("data_loader", _LOADER)
    return boto3.Session(botocore_session=session, region_name=region, **credentials)


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
        code = error.response.get("Error", {}).get("Code", "Unknown")
        message = error.response.get("Error", {}).get("Message", "")
        if code in _EXPIRED:
            advice = "The AWS credentials have expired; sign in again."
        elif code in _INVALID:
            advice = "AWS does not accept these credentials; check AWS_PROFILE or the access key."
        else:
            advice = message.rstrip(".") + "."
        raise AccessError(f"Cannot {action}: {code}. {advice}") from error
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


def assume_role(
    session: boto3.Session, arn: str, region: str, *, session_name: str, external_id: str | None = None
) -> boto3.Session:
    """Return a session with temporary credentials (one hour) of a role.

    Raises:
        AccessError: The role does not exist or does not trust the caller.
    """
    with translated_errors(f"assume {arn}"):
        sts = session.client("sts", region_name=region, config=CLIENT_CONFIG)
        identity = {"ExternalId": external_id} if external_id else {}
        assumed = sts.assume_role(RoleArn=arn, RoleSessionName=session_name, **identity)  # type: ignore[arg-type]
        credentials = assumed["Credentials"]
    return new_session(
        region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
