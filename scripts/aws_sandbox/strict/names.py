"""Names that AWS keeps for itself.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html and
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html.
"""

from __future__ import annotations

from aws_sandbox.call import AwsError, Call

_DOCUMENT_PREFIXES = ("aws", "amazon", "amzn")


def log_group(call: Call) -> None:
    """Reject a log group whose name begins with aws/, in any case.

    Raises:
        AwsError: InvalidParameterException.
    """
    if call.parameters["logGroupName"].lower().startswith("aws/"):
        raise AwsError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")


def document(call: Call) -> None:
    """Reject a document whose name begins like those of AWS.

    Raises:
        AwsError: ValidationException.
    """
    if call.parameters["Name"].lower().startswith(_DOCUMENT_PREFIXES):
        raise AwsError("ValidationException", f"The prefix of the name {call.parameters['Name']} is reserved for AWS.")


REFUSALS = (
    ("logs:CreateLogGroup", log_group),
    ("ssm:CreateDocument", document),
)
