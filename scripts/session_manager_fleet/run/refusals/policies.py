"""Service control policies: their type must be enabled in the root, and a target takes a limited number."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.run.refusals.planned import Place, planned

NEEDS = "organizations:ListRoots, organizations:ListPoliciesForTarget"

_SCP = "SERVICE_CONTROL_POLICY"
# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
_PER_TARGET = 10


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield what is missing for policies that the plan attaches."""
    attachments = [each for each in planned(plan, "aws_organizations_policy_attachment") if each.is_new]
    if not attachments:
        return
    root = next(place.pages("organizations", "list_roots", "Roots"))
    if {"Type": _SCP, "Status": "ENABLED"} not in root.get("PolicyTypes", []):
        yield (
            "Service control policies are not enabled in the organization. Run `aws organizations enable-policy-type "
            f"--root-id {root['Id']} --policy-type {_SCP}` in the management account, or remove guardrails."
        )
        return
    for target, new in Counter(each.after.get("target_id") for each in attachments).items():
        if target is None:
            continue
        attached = list(
            place.pages("organizations", "list_policies_for_target", "Policies", TargetId=target, Filter=_SCP)
        )
        if len(attached) + new > _PER_TARGET:
            names = ", ".join(sorted(policy["Name"] for policy in attached))
            yield (
                f"{target} has {len(attached)} service control policies of at most {_PER_TARGET} ({names}). Detach one "
                "there, or choose another unit in guardrails.attach_to."
            )
