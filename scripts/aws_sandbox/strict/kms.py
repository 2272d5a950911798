"""KMS: states of keys, aliases, and policies that would lock everybody out.

See https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html and
https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_sandbox.call import AwsError, Call
from aws_sandbox.gateway import Check
from aws_sandbox.identity import Identity
from aws_sandbox.policies import Principal, Request, allows
from aws_sandbox.resource_policies import key_of_call

ALIASES_PER_KEY = 50
WAITING_DAYS = (7, 30)

_USES = (
    *("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"),
    *("GenerateDataKeyWithoutPlaintext", "ReEncrypt", "EnableKeyRotation", "DisableKeyRotation", "CreateGrant"),
    "RotateKeyOnDemand",
)
_CHANGES = ("DisableKey", "EnableKey", "ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateKeyDescription")
# Of the uses, CreateGrant works with a disabled key.
_NOT_DISABLED = tuple(use for use in _USES if use != "CreateGrant")


def pending_deletion(call: Call) -> None:
    """Reject the use and the change of a key that is pending deletion.

    Raises:
        AwsError: KMSInvalidStateException.
    """
    key = key_of_call(call)
    if key and key.key_state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def disabled(call: Call) -> None:
    """Reject the use of a key that is disabled.

    Raises:
        AwsError: DisabledException.
    """
    key = key_of_call(call)
    if key and key.key_state == "Disabled":
        raise AwsError("DisabledException", f"{key.arn} is disabled.")


def waiting_period(call: Call) -> None:
    """Reject a deletion with a waiting period of less than 7 or more than 30 days.

    Raises:
        AwsError: ValidationException.
    """
    least, most = WAITING_DAYS
    if not least <= int(call.parameters.get("PendingWindowInDays") or most) <= most:
        raise AwsError("ValidationException", f"PendingWindowInDays must be between {least} and {most} days")


def alias(call: Call) -> None:
    """Reject an alias that AWS keeps for itself, and one more than a key may have.

    Raises:
        AwsError: NotAuthorizedException, LimitExceededException or KMSInvalidStateException.
    """
    if call.parameters["AliasName"].startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "Aliases beginning with alias/aws/ are reserved for AWS services.")
    key = key_of_call(call)
    aliases = set(key.aliases) | {call.parameters["AliasName"]} if key else set()
    if len(aliases) > ALIASES_PER_KEY:
        raise AwsError("LimitExceededException", f"A key can have at most {ALIASES_PER_KEY} aliases: {key.arn}")
    pending_deletion(call)


@dataclass(frozen=True)
class Lockout:
    """The safety check of key policies.

    Attributes:
        identity: Resolves callers.
    """

    identity: Identity

    @property
    def refusals(self) -> tuple[tuple[str, Check], ...]:
        """Actions with the functions that reject them."""
        return (("kms:CreateKey", self.check), ("kms:PutKeyPolicy", self.check))

    def check(self, call: Call) -> None:
        """Reject a key policy with which the caller could not change it again.

        Raises:
            AwsError: MalformedPolicyDocumentException.
        """
        text = call.parameters.get("Policy")
        if not text or call.parameters.get("BypassPolicyLockoutSafetyCheck"):
            return
        caller = self.identity.caller(call)
        names = {call.account_id, f"arn:aws:iam::{call.account_id}:root", caller.arn, caller.principal_arn}
        request = Request("kms:PutKeyPolicy", "*", self.identity.context(caller), Principal("AWS", frozenset(names)))
        if not allows([json.loads(text)], request):
            raise AwsError(
                "MalformedPolicyDocumentException",
                "The new key policy will not allow you to update the key policy in the future.",
            )


REFUSALS = (
    *((f"kms:{operation}", pending_deletion) for operation in (*_USES, *_CHANGES)),
    *((f"kms:{operation}", disabled) for operation in _NOT_DISABLED),
    ("kms:ScheduleKeyDeletion", waiting_period),
    ("kms:CreateAlias", alias),
    ("kms:UpdateAlias", alias),
)
