"""Failures on demand: matching calls are answered with an AWS error before anything happens (moto always succeeds)."""

from __future__ import annotations

from dataclasses import dataclass

from aws_sandbox.call import AwsError, Call


@dataclass
class Fault:
    """An error that the next matching calls get.

    Attributes:
        service: As boto3 calls it, `ssm`.
        action: Operation, `GetDocument`; `*` = every operation of the service.
        account: Account that calls; `*` = any.
        code: AWS error code, `ThrottlingException`.
        message: AWS error message.
        times: How many calls still fail; -1 = all until the faults are cleared.
    """

    service: str
    action: str
    account: str
    code: str
    message: str
    times: int

    def matches(self, call: Call) -> bool:
        """Tell whether a call is to fail."""
        return (
            self.times != 0
            and self.service == call.service
            and self.action in {"*", call.operation}
            and self.account in {"*", call.account_id}
        )


class Faults:
    """The faults that are waiting; the first match decides."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let calls fail from now on."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Let every call through again."""
        self._faults.clear()

    def check(self, call: Call) -> None:
        """Refuse the call if a fault waits for it.

        Raises:
            AwsError: The error of the fault.
        """
        for fault in self._faults:
            if fault.matches(call):
                if fault.times > 0:
                    fault.times -= 1
                raise AwsError(fault.code, fault.message)
