"""Tags: their number, and prefixes and characters that AWS does not allow.

The lengths of keys and values are in the models of the services. A request is checked by itself: tags that a resource
has already do not count. See https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aws_sandbox.call import AwsError, Call

MOST = 50

# Letters, digits, spaces and `_ . : / = + - @`; EC2 allows any character.
_ALLOWED = re.compile(r"[\w \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@]*")
_ANY_CHARACTERS = {"ec2"}

# Error codes for tags that are not allowed and for too many; other services use ValidationException.
_REFUSED = {
    "cloudwatch": "InvalidParameterValueException",
    "iam": "InvalidInput",
    "kms": "TagException",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "organizations": "InvalidInputException",
    "s3": "InvalidTag",
    "sqs": "InvalidParameterValue",
}
_TOO_MANY = {
    "config": "TooManyTagsException",
    "iam": "LimitExceeded",
    "kms": "LimitExceededException",
    "logs": "TooManyTagsException",
    "organizations": "ConstraintViolationException",
    "ssm": "TooManyTagsError",
}


def check(call: Call) -> None:
    """Reject tags that AWS does not allow.

    Raises:
        AwsError: The error of the service.
    """
    tags = _tags(call)
    refused = _REFUSED.get(call.service, "ValidationException")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise AwsError(refused, f"The tag key {key} is not allowed: the prefix aws: is reserved.")
        if call.service not in _ANY_CHARACTERS and not (_ALLOWED.fullmatch(key) and _ALLOWED.fullmatch(value)):
            raise AwsError(refused, f"The tag {key} has a character that is not allowed.")
    if len(tags) > MOST:
        raise AwsError(_TOO_MANY.get(call.service, refused), f"A resource can have at most {MOST} tags.")


def _tags(call: Call) -> Mapping[str, str]:
    """Return the tags that a call sets."""
    asked = call.parameters if call.operation else {}
    given: Any = asked.get("Tags") or asked.get("tags") or (asked.get("Tagging") or {})
    if isinstance(given, dict):
        given = given.get("TagSet", given)
    if isinstance(given, dict):
        return {str(key): str(value) for key, value in given.items()}
    if not isinstance(given, list):
        return {}
    pairs = [
        {name.lower().removeprefix("tag"): each[name] for name in each} for each in given if isinstance(each, dict)
    ]
    return {str(pair["key"]): str(pair.get("value", "")) for pair in pairs if "key" in pair}
