"""Show what a plan does not: the live document, which the function writes, and changes that Terraform leaves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from session_manager_fleet.changes import left_as_changed
from session_manager_fleet.errors import AccessError
from session_manager_fleet.preferences import VerificationError, WantedPreferences, live_differences
from session_manager_fleet.run import refusals


def differences(place: refusals.Place, wanted: WantedPreferences | None) -> tuple[Sequence[str], tuple[str, ...]]:
    """Compare the live document of a plan that does not write it: Terraform compares the function's input only.

    Args:
        place: The account and region.
        wanted: What the function should have written; None to compare nothing.

    Returns:
        The differences; and a note if they could not be read.
    """
    if wanted is None:
        return (), ()
    try:
        return live_differences(place.session, wanted), ()
    except (AccessError, VerificationError) as error:
        return (), (f"The live document was not compared: {error}",)


def may_be_left(kinds: Iterable[str]) -> bool:
    """Tell whether a plan may leave a change outside of Terraform, from the types of the resources changed there.

    An instance policy counts its attachments: that is no change of the policy.
    """
    return any(kind != "aws_iam_policy" for kind in kinds)


def left_notes(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a note about what was changed outside of Terraform and stays so, if a plan has any."""
    left = "; ".join(left_as_changed(shown))
    return (f"Changed outside of Terraform, and not put back by this plan: {left}.",) if left else ()
