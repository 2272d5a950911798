"""Lambda: size of packages, variables and payloads, and the role of a function.

See https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass

from aws_sandbox.call import AwsError, Call
from aws_sandbox.gateway import Check
from aws_sandbox.identity import Identity, find_role
from aws_sandbox.policies import Principal, Request

PACKAGE_BYTES = 50 * 1024**2
UNZIPPED_BYTES = 250 * 1024**2
VARIABLES_BYTES = 4 * 1024
PAYLOAD_BYTES = 6 * 1024**2
EVENT_BYTES = 1024**2
# Of the account's 1,000 concurrent executions, 100 must stay unreserved.
RESERVABLE = 900

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
_RESERVED = {
    *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_ACCESS_KEY"),
    *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"),
    *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API"),
    *("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}


def package(call: Call) -> None:
    """Reject a package that is too large.

    Raises:
        AwsError: RequestEntityTooLargeException or InvalidParameterValueException.
    """
    code = call.parameters.get("Code") or call.parameters
    content = code.get("ZipFile")
    if not content:
        return
    if len(content) > PACKAGE_BYTES:
        raise AwsError("RequestEntityTooLargeException", "Request must be smaller than 69905067 bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(file.file_size for file in archive.infolist())
    except zipfile.BadZipFile as error:
        raise AwsError("InvalidParameterValueException", "Could not unzip uploaded file.") from error
    if size > UNZIPPED_BYTES:
        raise AwsError("InvalidParameterValueException", f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")


def variables(call: Call) -> None:
    """Reject environment variables that are too long, or that Lambda sets itself.

    Raises:
        AwsError: InvalidParameterValueException.
    """
    given = (call.parameters.get("Environment") or {}).get("Variables") or {}
    why = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided"
    )
    if reserved := sorted(set(given) & _RESERVED):
        raise AwsError(
            "InvalidParameterValueException",
            f"{why} contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}",
        )
    if len(json.dumps(given, separators=(",", ":")).encode()) > VARIABLES_BYTES:
        raise AwsError("InvalidParameterValueException", f"{why} exceeded the 4KB limit.")


@dataclass(frozen=True)
class Roles:
    """The check of the role of a function.

    Attributes:
        identity: Tells whom roles trust.
    """

    identity: Identity

    @property
    def refusals(self) -> tuple[tuple[str, Check], ...]:
        """Actions with the functions that reject them."""
        return (("lambda:CreateFunction", self.check), ("lambda:UpdateFunctionConfiguration", self.check))

    def check(self, call: Call) -> None:
        """Reject a role that Lambda cannot assume; moto rejects one that does not exist.

        Raises:
            AwsError: InvalidParameterValueException.
        """
        role = call.parameters.get("Role") or ""
        name = call.parameters["FunctionName"].rpartition(":")[2]
        function = f"arn:aws:lambda:{call.region}:{call.account_id}:function:{name}"
        context = {"aws:SourceAccount": call.account_id, "aws:SourceArn": function}
        service = Principal("Service", frozenset({"lambda.amazonaws.com"}))
        request = Request("sts:AssumeRole", context=context, principal=service)
        if find_role(role) and not self.identity.trusts(role, request):
            raise AwsError(
                "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
            )


def payload(call: Call) -> None:
    """Reject an event that is too large.

    Raises:
        AwsError: RequestTooLargeException.
    """
    is_event = call.headers.get("X-Amz-Invocation-Type") == "Event"
    most, size = EVENT_BYTES if is_event else PAYLOAD_BYTES, len(call.parameters.get("Payload") or b"")
    if size > most:
        raise AwsError(
            "RequestTooLargeException",
            f"{size} byte payload is too large for the {'Event' if is_event else 'RequestResponse'} invocation type "
            f"(limit {most} bytes)",
        )


def concurrency(call: Call) -> None:
    """Reject a reservation that leaves the account less than 100 unreserved executions.

    Raises:
        AwsError: InvalidParameterValueException.
    """
    if call.parameters["ReservedConcurrentExecutions"] > RESERVABLE:
        raise AwsError(
            "InvalidParameterValueException",
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            "below its minimum value of [100].",
        )


REFUSALS = (
    ("lambda:CreateFunction", package),
    ("lambda:UpdateFunctionCode", package),
    ("lambda:CreateFunction", variables),
    ("lambda:UpdateFunctionConfiguration", variables),
    ("lambda:Invoke", payload),
    ("lambda:PutFunctionConcurrency", concurrency),
)
