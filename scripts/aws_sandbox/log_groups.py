"""AssociateKmsKey and DisassociateKmsKey of log groups, which moto lacks.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_AssociateKmsKey.html.
"""

from __future__ import annotations

from typing import Any

from moto.logs.models import LogGroup, logs_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.resource_policies import key_of


def associate_kms_key(call: Call) -> dict[str, Any]:
    """Answer AssociateKmsKey; the key, which has been checked, encrypts events from now on.

    Raises:
        AwsError: The log group does not exist.
    """
    _group(call).kms_key_id = key_of(call.parameters["kmsKeyId"], call.account_id, call.region).arn
    return {}


def disassociate_kms_key(call: Call) -> dict[str, Any]:
    """Answer DisassociateKmsKey.

    Raises:
        AwsError: The log group does not exist.
    """
    _group(call).kms_key_id = None
    return {}


def _group(call: Call) -> LogGroup:
    """Return the log group that a call identifies by name or ARN."""
    asked = call.parameters
    name = asked.get("logGroupName") or asked.get("resourceIdentifier", "").partition(":log-group:")[2]
    try:
        return logs_backends[call.account_id][call.region].groups[name]
    except KeyError:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.") from None
