"""Find in a plan what AWS would refuse in its apply, as far as AWS can be asked.

Each module asks about one kind of prerequisite, and only when the plan creates or changes what needs it. A module has
`problems(plan, place)`, which yields one sentence a problem: what is wrong and how to cure it, without names of the
account, so that equal problems of many accounts show once. `NEEDS` are the permissions that it needs.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import Problem
from session_manager_fleet.run.refusals import bucket_names, destinations, functions, keys, policies, recorder, roles
from session_manager_fleet.run.refusals.planned import Place as Place, code_of as code_of

_KINDS = {
    "whether bucket names are free": bucket_names,
    "the recorder of AWS Config": recorder,
    "service control policies": policies,
    "roles and quotas of IAM": roles,
    "KMS keys": keys,
    "log group and bucket": destinations,
    "the concurrency of functions": functions,
}

_DENIED = {"AccessDenied", "AccessDeniedException"}


def find_recorder(place: Place) -> bool:
    """Tell whether AWS Config has a recorder in the account and region.

    Raises:
        AccessError: AWS cannot be asked.
    """
    with translated_errors(f"check the recorder of AWS Config (needs {recorder.NEEDS})"):
        return recorder.has_recorder(place)


def examine(plan: Mapping[str, Any], place: Place) -> tuple[list[Problem], list[str]]:
    """Return what AWS would refuse, and a sentence for each check that AWS does not allow.

    Args:
        plan: The plan as `terraform show -json` gives it.
        place: Account and region of the target.

    Raises:
        AccessError: AWS cannot be asked, for another reason than missing permissions.
    """
    found: list[Problem] = []
    notes = []
    for what, kind in _KINDS.items():
        with translated_errors(f"check {what}"):
            try:
                found += map(Problem, kind.problems(plan, place))
            except ClientError as error:
                if code_of(error) not in _DENIED:
                    raise
                notes.append(f"Not checked: {what}. The role lacks one of {kind.NEEDS}.")
    return found, notes
