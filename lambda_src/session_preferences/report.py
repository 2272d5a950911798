"""What is told of a run: fields for the log, a message for people. Values that may be secrets are in neither."""

import json
from collections.abc import Mapping
from typing import Any

from .aws import Call
from .document import Change
from .errors import AwsError, NotificationError

# However large somebody made the document, the report must fit into a message and a log event (256 KB each).
_MOST_CHANGES, _LONGEST_CHANGE = 50, 300


def summary(result: Mapping[str, Any], cause: Mapping[str, str]) -> dict[str, Any]:
    """The function's result with its changes as paths and as short texts, and what caused the run."""
    found = [Change(item["path"], item["from"], item["to"]) for item in result["changes"]][:_MOST_CHANGES]
    paths, texts = [item.path[:_LONGEST_CHANGE] for item in found], [str(item)[:_LONGEST_CHANGE] for item in found]
    return {**result, "paths": paths, "changes": texts, "changes_in_all": len(result["changes"]), "cause": cause}


def notify(call: Call, topic_arn: str, fields: Mapping[str, Any]) -> None:
    """Publish what was repaired and who made it necessary; raises NotificationError if that fails."""
    place, outcome, cause = f"{fields['account']} {fields['region']}", fields["outcome"], fields["cause"]
    found = "A scheduled run found it changed."
    if cause:
        found = " ".join(f"{key}: {value or 'unknown'}." for key, value in cause.items())
    text = f"{fields['document']} in {place} is as it is wanted: {outcome}.\n{found}\n\n{json.dumps(fields, indent=2)}"
    try:
        # SNS takes subjects of less than 100 ASCII characters.
        subject = f"Session Manager preferences {outcome}: {place}"[:99]
        call("sns", "Publish", TopicArn=topic_arn, Subject=subject, Message=text)
    except AwsError as error:
        raise NotificationError(
            f"{fields['document']} is as it is wanted ({outcome}), but nobody was told: {error}"
        ) from error
