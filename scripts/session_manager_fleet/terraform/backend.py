"""The S3 backend that holds the states."""

from __future__ import annotations

from collections.abc import Mapping

import botocore.exceptions

from session_manager_fleet.aws import CLIENT_CONFIG, new_session, translated_errors
from session_manager_fleet.errors import InputError
from session_manager_fleet.settings import OrganizationSettings


def state_backend(settings: OrganizationSettings, home_region: str) -> Mapping[str, str]:
    """Find the state bucket and return the backend configuration that all regions share.

    Without a name in the settings it is `session-manager-state-<account of the caller>`. It must belong to the caller's
    account: a bucket of that name that somebody else made would receive all states.

    Raises:
        InputError: The bucket does not exist.
        AccessError: It belongs to somebody else, or the caller has no access.
    """
    region = settings.state.region or home_region
    with translated_errors("find out whose credentials these are"):
        session = new_session()
        account_id = session.client("sts", region_name=region, config=CLIENT_CONFIG).get_caller_identity()["Account"]
    bucket = settings.state.bucket or f"session-manager-state-{account_id}"
    with translated_errors(f"use the state bucket {bucket} as account {account_id}"):
        try:
            s3 = session.client("s3", region_name=region, config=CLIENT_CONFIG)
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account_id)
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in {"404", "NoSuchBucket"}:
                raise
            message = (
                f"The state bucket {bucket} does not exist in account {account_id}: create it, versioned and "
                "encrypted, or name another in organization.state.bucket."
            )
            raise InputError(message) from error
    backend = {
        "bucket": bucket,
        "region": region,
        "key": "terraform.tfstate",
        "use_lockfile": "true",
        "encrypt": "true",
    }
    if settings.state.kms_key_arn:
        backend["kms_key_id"] = settings.state.kms_key_arn
    return backend


def backend_of(shared: Mapping[str, str], settings: OrganizationSettings, region: str) -> dict[str, str]:
    """Return the backend configuration of a region, whose states have a prefix of their own.

    Terraform lists a prefix as a whole on every run, so no prefix may hold all workspaces of a large organization.
    """
    return {**shared, "workspace_key_prefix": f"{settings.state.key_prefix}/{region}"}
