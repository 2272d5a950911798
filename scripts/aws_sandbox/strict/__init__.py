"""Refusals of AWS that moto lacks, one module per service; docs/sandbox.md lists each refusal with its source.

A module holds `REFUSALS`: pairs of an action, such as `iam:AttachRolePolicy`, and a function that raises AWS's error.
"""

from __future__ import annotations

from collections import defaultdict

from aws_sandbox.call import Call
from aws_sandbox.gateway import Check
from aws_sandbox.identity import Identity
from aws_sandbox.model import SandboxLimits
from aws_sandbox.strict import (
    config,
    events,
    functions,
    iam,
    kms,
    logs,
    names,
    principals,
    s3,
    shapes,
    ssm,
    sts,
    tags,
)
from aws_sandbox.strict.organizations import Policies

_MODULES = (config, events, functions, iam, kms, logs, names, principals, s3, ssm, sts)


class Strictness:
    """The refusals of all services.

    Args:
        limits: Quotas that differ from organization to organization.
        identity: Resolves callers.
    """

    def __init__(self, limits: SandboxLimits, identity: Identity) -> None:
        self._refusals: dict[str, list[Check]] = defaultdict(list)
        of_modules = (module.REFUSALS for module in _MODULES)
        of_identity = (kms.Lockout(identity).refusals, functions.Roles(identity).refusals)
        for refusals in (*of_modules, Policies(limits).refusals, *of_identity):
            for action, refuse in refusals:
                self._refusals[action].append(refuse)

    def check(self, call: Call) -> None:
        """Reject a call that AWS would refuse.

        Raises:
            AwsError: The error of the service.
        """
        shapes.check(call)
        tags.check(call)
        for refuse in self._refusals.get(call.action, ()):
            refuse(call)
