"""Roles that policies are attached to: they must exist and have room, and the account must have room for new ones."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.run.refusals.planned import Place, code_of, planned

NEEDS = "iam:GetAccountSummary, iam:ListAttachedRolePolicies"

# Terraform's type, with AWS's names of the number and of the quota in GetAccountSummary.
_QUOTAS = (("aws_iam_policy", "Policies", "managed policies"), ("aws_iam_role", "Roles", "roles"))


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield quotas of IAM that the plan exceeds, and roles that are missing."""
    created = {each.after.get("name") for each in planned(plan, "aws_iam_role") if each.is_new}
    attached = Counter(
        each.after["role"]
        for each in planned(plan, "aws_iam_role_policy_attachment")
        if each.is_new and not each.replaces and each.after.get("role") and each.after["role"] not in created
    )
    new = {kind: sum(each.is_new and not each.replaces for each in planned(plan, kind)) for kind, _, _ in _QUOTAS}
    if not attached and not any(new.values()):
        return
    summary = place.ask("iam", "get_account_summary")["SummaryMap"]
    for kind, name, words in _QUOTAS:
        most = summary.get(f"{name}Quota")
        if new[kind] and most is not None and summary.get(name, 0) + new[kind] > most:
            yield (
                f"The account has {summary[name]} {words} of at most {most}, and {new[kind]} more would be created. "
                "Delete some, or have the quota raised in Service Quotas."
            )
    most = summary.get("AttachedPoliciesPerRoleQuota")
    for role, number in sorted(attached.items()):
        try:
            has = len(list(place.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)))
        except ClientError as error:
            if code_of(error) != "NoSuchEntity":
                raise
            yield f"The role {role} does not exist. Create it, or take it out of instance_policy.attach_to_roles."
            continue
        if most is not None and has + number > most:
            yield (
                f"The role {role} has {has} managed policies of at most {most}, and {number} more would be attached. "
                "Detach one, have the quota raised, or take the role out of instance_policy.attach_to_roles."
            )
