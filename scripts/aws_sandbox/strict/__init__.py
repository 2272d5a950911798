"""What AWS refuses and moto lets pass, one module per service; docs/sandbox.md lists each refusal with its source.

A module holds `REFUSALS`: pairs of an action, such as `iam:AttachRolePolicy`, and a function that raises AWS's error.
"""

from __future__ import annotations

from collections import defaultdict

from aws_sandbox.call import Call
from aws_sandbox.gateway import Check
from aws_sandbox.strict import iam, names, s3, sts

_MODULES = (iam, names, s3, sts)

_REFUSALS: dict[str, list[Check]] = defaultdict(list)
for _module in _MODULES:
    for _action, _refuse in _module.REFUSALS:
        _REFUSALS[_action].append(_refuse)


def check(call: Call) -> None:
    """Reject a call that AWS would refuse.

    Raises:
        AwsError: The error of the service.
    """
    for refuse in _REFUSALS.get(call.action, ()):
        refuse(call)
