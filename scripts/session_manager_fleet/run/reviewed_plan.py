"""Compare the content of a saved plan with its review and its settings: only what was reviewed is applied.

The digests of a manifest show that files are unchanged. They say nothing of a plan that was replaced together with
them; its content does.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from session_manager_fleet.changes import change_set_of
from session_manager_fleet.errors import InputError
from session_manager_fleet.files import read_regular
from session_manager_fleet.run.results import TargetResult
from session_manager_fleet.run.saved_plan import PLAN, PLAN_JSON, SavedPlanError
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import RootModule, other_configuration

_LARGEST_MEGABYTES = 512


@dataclass(frozen=True)
class ReviewedPlan:
    """A saved plan as the journal of its run has it.

    Attributes:
        sha256: Digest of its manifest.
        fingerprint: Fingerprint of its change set; empty if it was not recorded.
        attachments: What the policies that it deletes are attached to, which is detached.
    """

    sha256: str
    fingerprint: str = ""
    attachments: tuple[str, ...] = ()

    @classmethod
    def of(cls, planned: TargetResult) -> Self:
        """Return the saved plan of a target's result."""
        attachments = sorted(str(attachment) for attachment in planned.attachments)
        return cls(planned.plan_sha256 or "", planned.fingerprint or "", tuple(attachments))


def digest_of(plans: Mapping[str, ReviewedPlan]) -> str:
    """Return the SHA-256 digest of the saved plans of a run, by the key of the target; empty if there are none."""
    if not plans:
        return ""
    content = [[key, plan.sha256, plan.fingerprint, plan.attachments] for key, plan in sorted(plans.items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def refuse_other_digest(found: str, demanded: str | None) -> None:
    """Refuse a run whose saved plans are not those whose digest the reviewer saw.

    Raises:
        InputError: The digests differ.
    """
    if demanded is not None and not hmac.compare_digest(demanded.encode("utf-8", "surrogateescape"), found.encode()):
        raise InputError(
            f"The saved plans of this run have the digest {found or '(none)'}, not the one that was reviewed. "
            "Review the run again, or get the run that was reviewed.",
            "--digest",
        )


def refuse_other_plan(
    shown: Mapping[str, Any],
    folder: Path,
    root: RootModule,
    target: Target,
    variables: Mapping[str, Any],
    reviewed: ReviewedPlan,
) -> None:
    """Refuse a saved plan whose content is not what was reviewed and what the settings render.

    Args:
        shown: The saved plan, read now (`terraform show -json`).
        folder: Folder of the target, with the saved plan, and that as it was read for the review.
        root: The root module.
        target: The target.
        variables: The variables as rendered now.
        reviewed: The plan as the journal has it.

    Raises:
        SavedPlanError: The first difference.
        InputError: The saved plan holds no configuration.
    """
    planned = {name: entry.get("value") for name, entry in shown.get("variables", {}).items()}
    # A variable that is not rendered has its default, which is part of the configuration.
    other = sorted(name for name, value in variables.items() if name not in planned or planned[name] != value)
    if other:
        raise SavedPlanError(
            f"The saved plan was made with other variables than the settings render: {', '.join(other)}. Plan again."
        )
    if files := other_configuration(folder / PLAN, root):
        raise SavedPlanError(
            f"The saved plan holds another configuration than the root module: {', '.join(files)}. Plan again."
        )
    fingerprint = change_set_of(shown, target).fingerprint
    if reviewed.fingerprint and fingerprint != reviewed.fingerprint:
        raise SavedPlanError(
            f"The saved plan makes other changes ({fingerprint}) than those that were reviewed "
            f"({reviewed.fingerprint}). Plan again."
        )
    if _shown_then(folder / PLAN_JSON) != shown:
        raise SavedPlanError(f"The saved plan is not the one that {folder / PLAN_JSON} shows. Plan again.")


def _shown_then(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return the plan as it was read for the review, or None for a file that holds no plan."""
    try:
        return json.loads(read_regular(path, megabytes=_LARGEST_MEGABYTES))
    except (ValueError, RecursionError):
        return None
