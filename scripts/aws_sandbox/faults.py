"""Fault injection: answer matching calls with an AWS error before they have any effect."""

from __future__ import annotations

from dataclasses import dataclass

from aws_sandbox.call import AwsError, Call


@dataclass
class Fault:
    """An error for the next matching calls.

    Attributes:
        service: Service name in boto3, `ssm`.
        action: Operation, `GetDocument`; `*` = every operation of the service.
        account: Account of the caller; `*` = any.
        code: AWS error code, `ThrottlingException`.
        message: AWS error message.
        times: Number of calls still to fail; -1 = all until the faults are cleared.
    """

    service: str
    action: str
    account: str
    code: str
    message: str
    times: int

    def matches(self, call: Call) -> bool:
        """Return whether the fault applies to a call."""
        return (
            self.times != 0
            and self.service == call.service
            and self.action in {"*", call.operation}
            and self.account in {"*", call.account_id}
        )


class Faults:
    """The pending faults; the first match applies."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def check(self, call: Call) -> None:
        """Fail the call if a fault matches it.

        Raises:
            AwsError: The error of the fault.
        """
        for fault in self._faults:
            if fault.matches(call):
                if fault.times > 0:
                    fault.times -= 1
                raise AwsError(fault.code, fault.message)
