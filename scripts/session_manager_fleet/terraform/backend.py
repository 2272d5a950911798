"""The S3 backend that holds the states: one bucket, with one key prefix for each region."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import botocore.exceptions

from session_manager_fleet.aws import CLIENT_CONFIG, assume_role, caller_identity, new_session, translated_errors
from session_manager_fleet.credentials import are_lasting, looked_up_with
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.hcl import quote
from session_manager_fleet.settings import OrganizationSettings, StateRole
from session_manager_fleet.targets import Target

if TYPE_CHECKING:  # the stubs are for developers only
    from mypy_boto3_s3 import S3Client

_STATE = "terraform.tfstate"


@dataclass(frozen=True)
class StateBackend:
    """The part of the state bucket that holds the states of all targets.

    Attributes:
        bucket: Name of the state bucket.
        region: Region of the bucket.
        key_prefix: Prefix of all objects of this project in the bucket, without a slash at the end.
        kms_key_arn: KMS key that encrypts the states; empty for the bucket's default encryption.
        role: The role that reads and writes the states; None for the caller.
    """

    bucket: str
    region: str
    key_prefix: str
    kms_key_arn: str = ""
    role: StateRole | None = None

    @classmethod
    def find(cls, settings: OrganizationSettings, home_region: str) -> "StateBackend":
        """Find the state bucket and check that it belongs to the account of the settings' role, or of the caller.

        Without a name in the settings it is `session-manager-state-<account>`. Anybody can create a bucket of that
        name, so one in another account is refused: it would receive all states.

        Raises:
            InputError: The bucket does not exist.
            AccessError: It belongs to another account, the role cannot be assumed, or there is no access.
        """
        state = settings.state
        region = state.region or home_region
        if state.role:
            account_id = state.role.account_id
        else:
            with translated_errors("use the AWS credentials"):
                session = new_session()
            account_id = caller_identity(session, region).account_id
        bucket = state.bucket or f"session-manager-state-{account_id}"
        backend = cls(bucket, region, state.key_prefix, state.kms_key_arn or "", state.role)
        with translated_errors(f"use the state bucket {backend.bucket} as account {account_id}"):
            try:
                # With the prefix, so that a role that may list only these states suffices.
                backend.client().list_objects_v2(
                    Bucket=backend.bucket, Prefix=f"{backend.key_prefix}/", MaxKeys=1, ExpectedBucketOwner=account_id
                )
            except botocore.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchBucket":
                    raise
                message = (
                    f"The state bucket {backend.bucket} does not exist in account {account_id}: create it, versioned "
                    "and encrypted, or name another in organization.state.bucket."
                )
                raise InputError(message) from error
        return backend

    @property
    def address(self) -> str:
        """Where the states are and what encrypts them, as `s3://bucket/prefix in eu-west-1, encrypted with <key>`."""
        address = f"s3://{self.bucket}/{self.key_prefix} in {self.region}"
        return f"{address}, encrypted with {self.kms_key_arn}" if self.kms_key_arn else address

    @property
    def encryption(self) -> dict[str, str]:
        """Arguments of PutObject that encrypt an object as Terraform does; policies of the bucket may demand them."""
        if self.kms_key_arn:
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_arn}
        return {"ServerSideEncryption": "AES256"}

    def check_writable(self) -> None:
        """Write the object that shows that what an apply has to remember can be stored.

        Raises:
            AccessError: It cannot be written.
        """
        key = f"{self.key_prefix}/revisions/writable"
        with translated_errors(f"write {key} in the state bucket {self.bucket}"):
            self.client().put_object(Bucket=self.bucket, Key=key, Body=b"", **self.encryption)  # type: ignore[arg-type]

    def configuration(self, region: str) -> dict[str, str]:
        """Return terraform's backend configuration for the states of a region.

        Terraform lists a workspace prefix as a whole on every run, so every region has its own.
        """
        return {
            "bucket": self.bucket,
            "region": self.region,
            "key": _STATE,
            "use_lockfile": "true",
            "encrypt": "true",
            **({"kms_key_id": self.kms_key_arn} if self.kms_key_arn else {}),
            **({"assume_role": _assume_role(self.role)} if self.role else {}),
            "workspace_key_prefix": self.workspace_prefix(region),
        }

    def workspace_prefix(self, region: str) -> str:
        """Return the prefix of the workspaces of a region."""
        return f"{self.key_prefix}/{region}"

    def state_key(self, target: Target) -> str:
        """Return the object key of a target's state."""
        return f"{self.workspace_prefix(target.region)}/{target.workspace}/{_STATE}"

    def client(self) -> "S3Client":
        """Return a client for the region of the bucket, with the credentials of the role, or else of the caller.

        Raises:
            AccessError: The role cannot be assumed.
        """
        if self.role or are_lasting():
            return _kept_client(self.role, self.region, looked_up_with())
        return _new_client(None, self.region)


@lru_cache(maxsize=8)
def _kept_client(role: StateRole | None, region: str, _variables: tuple[tuple[str, str], ...]) -> "S3Client":
    """Return the client for a caller with these variables: to make one for each call would cost more than the call."""
    return _new_client(role, region)


def _new_client(role: StateRole | None, region: str) -> "S3Client":
    """Return a client with the credentials of a role, which are renewed by themselves, or else of the caller."""
    session = new_session()
    if role:
        try:
            session = assume_role(
                session,
                role.arn,
                region,
                sts_region=region,
                session_name=role.session_name,
                external_id=role.external_id,
            )
        except AccessError as error:
            message = f"{error} Let the role trust your credentials, or correct organization.state.role."
            raise AccessError(message) from error
    return session.client("s3", region_name=region, config=CLIENT_CONFIG)


def _assume_role(role: StateRole) -> str:
    """Return the role as an argument of the backend, in one line of HCL."""
    arguments = {"role_arn": role.arn, "session_name": role.session_name, "external_id": role.external_id}
    return "{" + ", ".join(f"{name} = {quote(text)}" for name, text in arguments.items() if text) + "}"


def commands_by_hand(configuration: Mapping[str, str], workspace: str, *arguments: str) -> tuple[str, str]:
    """Return the shell commands that work on one state, to be typed in the folder of the root module.

    Args:
        configuration: Backend configuration of the state.
        workspace: Terraform workspace.
        arguments: The terraform command, after `terraform`.

    Returns:
        The command that initializes the backend, and the command itself.
    """
    options = [f"-backend-config={name}={value}" for name, value in configuration.items()]
    return (
        shlex.join(["terraform", "init", "-reconfigure", *options]),
        f"TF_WORKSPACE={workspace} {shlex.join(['terraform', *arguments])}",
    )
