"""Limits of the sessions of roles.

See https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and "Role chaining" in
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html.
"""

from __future__ import annotations

from moto.sts.models import sts_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.identity import find_role

LEAST_SECONDS, MOST_SECONDS, CHAINED_SECONDS = 900, 43200, 3600


def session_duration(call: Call) -> None:
    """Reject sessions that are too short, longer than the role allows, or too long for the session of a role.

    Raises:
        AwsError: ValidationError.
    """
    if "DurationSeconds" not in call.parameters:
        return
    seconds = int(call.parameters["DurationSeconds"])
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        limit = (
            f"greater than or equal to {LEAST_SECONDS}"
            if seconds < LEAST_SECONDS
            else f"less than or equal to {MOST_SECONDS}"
        )
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member "
            f"must have value {limit}",
        )
    if seconds > CHAINED_SECONDS and sts_backends[call.account_id]["aws"].get_assumed_role_from_access_key(
        call.access_key
    ):
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        )
    role = find_role(str(call.parameters["RoleArn"]))
    if role and seconds > int(role.max_session_duration or CHAINED_SECONDS):
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )


REFUSALS = (("sts:AssumeRole", session_duration),)
