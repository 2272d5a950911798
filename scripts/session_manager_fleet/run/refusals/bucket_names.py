"""Check that the names of new buckets are free: they are global, and terraform plan does not check them."""

from collections.abc import Iterable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.errors import InputError, Problem

_NOT_OURS = {301, 403}
_FREE = 404


def created_buckets(plan: Mapping[str, Any]) -> list[str]:
    """Return the names of the buckets that a plan, as `terraform show -json` gives it, creates."""
    changes = (item["change"] for item in plan.get("resource_changes", []) if item.get("type") == "aws_s3_bucket")
    names = (change["after"].get("bucket") for change in changes if change["actions"] == ["create"])
    return [name for name in names if name]


def refuse_taken_names(session: boto3.Session, account_id: str, region: str, names: Iterable[str]) -> None:
    """Refuse to create buckets in an account and a region if their names are taken.

    Raises:
        InputError: A bucket of that name exists, here or elsewhere.
        AccessError: Access to S3 is denied.
    """
    client = session.client("s3", region_name=region, config=CLIENT_CONFIG)
    problems = []
    for name in names:
        with translated_errors(f"ask whether the bucket name {name} is free"):
            try:
                # A bucket of another account may allow this call, so name the expected owner.
                client.head_bucket(Bucket=name, ExpectedBucketOwner=account_id)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status in _NOT_OURS:
                    problems.append(f"Bucket {name} already exists in another account; choose another bucket_name.")
                elif status != _FREE:
                    raise
            else:
                problems.append(
                    f"Bucket {name} already exists, but not in this Terraform state: import it, or name it as "
                    "existing_bucket_name."
                )
    if problems:
        raise InputError([Problem(problem) for problem in problems])
