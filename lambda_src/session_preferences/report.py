"""Report a run: fields for the log, a message for people. Values that may be secret are in neither."""

import json
from collections.abc import Mapping
from typing import Any

from .aws import Call
from .document import Change
from .errors import AwsError, NotificationError

# However large a document was made, the report must fit into a message and a log event (256 KB each).
_MOST_CHANGES, _LONGEST_CHANGE, _LONGEST_CAUSE = 50, 300, 500


def summary(result: Mapping[str, Any], cause: Mapping[str, str]) -> dict[str, Any]:
    """Return the function's result with its changes as paths and as short texts, and the cause of the run."""
    found = [Change(item["path"], item["from"], item["to"]) for item in result["changes"]][:_MOST_CHANGES]
    paths, texts = [item.path[:_LONGEST_CHANGE] for item in found], [str(item)[:_LONGEST_CHANGE] for item in found]
    cut = {key: value[:_LONGEST_CAUSE] for key, value in cause.items()}
    return {**result, "paths": paths, "changes": texts, "changes_in_all": len(result["changes"]), "cause": cut}


def notify(call: Call, topic_arn: str, fields: Mapping[str, Any]) -> None:
    """Publish what was repaired and the call that made it necessary; raise NotificationError if that fails."""
    place, outcome, cause = f"{fields['account']} {fields['region']}", fields["outcome"], fields["cause"]
    found = "A scheduled run found it changed."
    if cause:
        found = " ".join(f"{key}: {value or 'unknown'}." for key, value in cause.items())
    text = (
        f"{fields['document']} in {place} matches the configuration: {outcome}.\n{found}\n\n"
        f"{json.dumps(fields, indent=2)}"
    )
    try:
        # SNS takes subjects of less than 100 ASCII characters.
        subject = f"Session Manager preferences {outcome}: {place}"[:99]
        call("sns", "Publish", TopicArn=topic_arn, Subject=subject, Message=text)
    except AwsError as error:
        raise NotificationError(
            f"{fields['document']} matches the configuration ({outcome}), but the SNS notification failed: {error}"
        ) from None
