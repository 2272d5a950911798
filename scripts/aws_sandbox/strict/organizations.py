"""Service control policies: their type, length and number.

See https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moto.organizations.models import FakeRoot, organizations_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.gateway import Check
from aws_sandbox.model import SandboxLimits

SCP = "SERVICE_CONTROL_POLICY"


@dataclass(frozen=True)
class Policies:
    """Refusals about policies of the organization.

    Attributes:
        limits: Quotas of the organization.
    """

    limits: SandboxLimits

    @property
    def refusals(self) -> tuple[tuple[str, Check], ...]:
        """Actions with the functions that reject them."""
        return (
            ("organizations:CreatePolicy", self.content),
            ("organizations:UpdatePolicy", self.content),
            ("organizations:AttachPolicy", self.attachment),
            ("organizations:DetachPolicy", self.detachment),
        )

    def content(self, call: Call) -> None:
        """Reject a policy that is too long or not JSON.

        Raises:
            AwsError: ConstraintViolationException or MalformedPolicyDocumentException.
        """
        text = call.parameters.get("Content")
        if text is None:
            return
        if len(text) > self.limits.scp_characters:
            raise AwsError("ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED: the policy is too long.")
        try:
            json.loads(text)
        except ValueError as error:
            raise AwsError(
                "MalformedPolicyDocumentException", "The provided policy document does not meet the requirements."
            ) from error

    def attachment(self, call: Call) -> None:
        """Reject an attachment of a policy type that is not enabled, a second one, and one too many.

        Raises:
            AwsError: PolicyTypeNotEnabledException, DuplicatePolicyAttachmentException, ConstraintViolationException.
        """
        policy, target = _policy(call), _target(call)
        if policy is None or target is None:
            return
        root = next(each for each in _backend(call).ou if isinstance(each, FakeRoot))
        if not any(each["Type"] == policy.type for each in root.policy_types):
            raise AwsError(
                "PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types."
            )
        attached = [each for each in target.attached_policies if each.type == policy.type]
        if policy in attached:
            raise AwsError(
                "DuplicatePolicyAttachmentException", "A policy with the specified name and type already exists."
            )
        if policy.type == SCP and len(attached) >= self.limits.scps_per_target:
            raise AwsError(
                "ConstraintViolationException",
                "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED: the target has as many policies as it may have.",
            )

    def detachment(self, call: Call) -> None:
        """Reject to detach the last service control policy, and one that is not attached.

        Raises:
            AwsError: ConstraintViolationException or PolicyNotAttachedException.
        """
        policy, target = _policy(call), _target(call)
        if policy is None or target is None:
            return
        if policy not in target.attached_policies:
            raise AwsError("PolicyNotAttachedException", "The policy isn't attached to the specified target.")
        attached = [each for each in target.attached_policies if each.type == policy.type]
        if policy.type == SCP and attached == [policy]:
            raise AwsError(
                "ConstraintViolationException",
                "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED: a target needs at least one service control policy.",
            )


def _backend(call: Call) -> Any:  # noqa: ANN401 - moto's backend
    return organizations_backends[call.account_id]["aws"]


def _policy(call: Call) -> Any:  # noqa: ANN401 - moto's policy
    return next((each for each in _backend(call).policies if each.id == call.parameters["PolicyId"]), None)


def _target(call: Call) -> Any:  # noqa: ANN401 - moto's root, unit or account
    places = (*_backend(call).ou, *_backend(call).accounts)
    return next((each for each in places if each.id == call.parameters["TargetId"]), None)
