"""Log group and bucket that exist: the function checks them before it writes the document, and fails the apply.

The rules are the function's own; keys have a check of their own. What the plan itself creates or changes is not judged,
nor a bucket of another account, nor that of the log archive in its account's other regions: the same run may create it,
which run/order.py sees.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import CLIENT_CONFIG
from session_manager_fleet.preferences import planned_preferences, writes_preferences
from session_manager_fleet.run.refusals.planned import Place, planned
from session_preferences.aws import Budget, caller
from session_preferences.document import Document, build
from session_preferences.preflight import find_problems

NEEDS = "logs:DescribeLogGroups, kms:DescribeKey, s3:GetEncryptionConfiguration"

_SECONDS = 60.0
_UNCHECKED = "could not be checked"
_NO_KEY = "has no KMS key"
_ADVICE = (
    " Run `aws logs associate-kms-key --log-group-name {name} --kms-key-id KEY_ARN`, or set "
    "preferences.cloudwatch.encryption_enabled: false; a group that is adopted gets a key with "
    "preferences.cloudwatch.existing_key: change."
)


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield why sessions would be refused, or their logs lost."""
    wanted = planned_preferences(plan) if writes_preferences(plan) else None
    if wanted is None:
        return
    document = _judged(build({**wanted["preferences"], "kmsKeyId": None}), plan, place)
    call = caller(lambda service: place.session.client(service, place.region, config=CLIENT_CONFIG), Budget(_SECONDS))  # type: ignore[call-overload]
    found = [str(problem) for problem in find_problems(document, call, place.region, failures=True)]
    for text in found:
        if _NO_KEY in text:
            yield text + _ADVICE.format(name=document.cloud_watch_log_group_name)
        elif _UNCHECKED not in text:
            yield text
    if any(_UNCHECKED in text for text in found):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "; ".join(found)}}, "DescribeLogGroups")


def _judged(document: Document, plan: Mapping[str, Any], place: Place) -> Document:
    """Return a document without what is not to be judged."""
    groups = {each.after.get("name") for each in planned(plan, "aws_cloudwatch_log_group")}
    buckets = {each.after.get("bucket") for each in planned(plan, "aws_s3_bucket")}
    variables = {name: each.get("value") for name, each in plan.get("variables", {}).items()}
    owner = ((variables.get("preferences") or {}).get("s3") or {}).get("bucket_account_id")
    is_home = variables.get("home_region") in {None, place.region}
    elsewhere = document.s3_bucket_name in buckets or owner not in ({None, place.account_id} if is_home else {None})
    return replace(
        document,
        cloud_watch_log_group_name=""
        if document.cloud_watch_log_group_name in groups
        else document.cloud_watch_log_group_name,
        s3_bucket_name="" if elsewhere else document.s3_bucket_name,
    )
