"""Log groups: their keys, class, deletion protection and data protection, which moto lacks.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_AssociateKmsKey.html and
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutDataProtectionPolicy.html.
"""

from __future__ import annotations

import time
from typing import Any

from moto.logs import models
from moto.logs.models import LogGroup, logs_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.resource_policies import key_of

STANDARD = "STANDARD"


class ClassifiedLogGroup(LogGroup):
    """moto's log group, with what it lacks."""

    log_group_class = STANDARD
    deletion_protected = False
    data_protection: dict[str, Any] | None = None

    def to_describe_dict(self) -> dict[str, Any]:
        """Return the group as DescribeLogGroups lists it."""
        return {
            **super().to_describe_dict(),
            "logGroupClass": self.log_group_class,
            "deletionProtectionEnabled": self.deletion_protected,
            **({"dataProtectionStatus": "ACTIVATED"} if self.data_protection else {}),
        }


def install() -> None:
    """Replace moto's class for log groups."""
    models.LogGroup = ClassifiedLogGroup  # type: ignore[misc]


def create_log_group(call: Call) -> dict[str, Any]:
    """Answer CreateLogGroup."""
    asked = call.parameters
    backend = logs_backends[call.account_id][call.region]
    group = backend.create_log_group(asked["logGroupName"], asked.get("tags") or {}, kmsKeyId=asked.get("kmsKeyId"))
    group.log_group_class = asked.get("logGroupClass") or STANDARD  # type: ignore[attr-defined]
    group.deletion_protected = bool(asked.get("deletionProtectionEnabled"))  # type: ignore[attr-defined]
    return {}


def put_deletion_protection(call: Call) -> dict[str, Any]:
    """Answer PutLogGroupDeletionProtection."""
    find_group(call).deletion_protected = bool(call.parameters["deletionProtectionEnabled"])
    return {}


def associate_kms_key(call: Call) -> dict[str, Any]:
    """Answer AssociateKmsKey; the key, which has been checked, encrypts events from now on.

    Raises:
        AwsError: The log group does not exist.
    """
    find_group(call).kms_key_id = key_of(call.parameters["kmsKeyId"], call.account_id, call.region).arn
    return {}


def disassociate_kms_key(call: Call) -> dict[str, Any]:
    """Answer DisassociateKmsKey.

    Raises:
        AwsError: The log group does not exist.
    """
    find_group(call).kms_key_id = None
    return {}


def put_data_protection_policy(call: Call) -> dict[str, Any]:
    """Answer PutDataProtectionPolicy; the policy has been checked."""
    stored = {"policyDocument": call.parameters["policyDocument"], "lastUpdatedTime": int(time.time() * 1000)}
    find_group(call).data_protection = stored
    return {"logGroupIdentifier": call.parameters["logGroupIdentifier"], **stored}


def get_data_protection_policy(call: Call) -> dict[str, Any]:
    """Answer GetDataProtectionPolicy: without a policy there is no document in the answer."""
    named = {"logGroupIdentifier": call.parameters["logGroupIdentifier"]}
    return {**named, **(find_group(call).data_protection or {})}


def delete_data_protection_policy(call: Call) -> dict[str, Any]:
    """Answer DeleteDataProtectionPolicy."""
    find_group(call).data_protection = None
    return {}


def find_group(call: Call) -> Any:  # noqa: ANN401 - ClassifiedLogGroup
    """Return the log group that a call identifies by name or ARN.

    Raises:
        AwsError: There is none.
    """
    asked = call.parameters
    named = asked.get("logGroupName") or asked.get("resourceIdentifier") or asked.get("logGroupIdentifier", "")
    name = named.partition(":log-group:")[2].removesuffix(":*") if named.startswith("arn:") else named
    try:
        return logs_backends[call.account_id][call.region].groups[name]
    except KeyError:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.") from None
