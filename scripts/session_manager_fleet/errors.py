"""Expected errors, with messages that users can act on; any other exception is a bug."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the process; a failure takes precedence over pending changes."""

    DONE = 0
    TARGET_FAILED = 1
    CHANGES_PENDING = 2
    INTERNAL_ERROR = 3
    INVALID_INPUT = 64
    INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """A problem with the input.

    Attributes:
        message: What is wrong and how to fix it, in one or two sentences.
        location: File with line, key path or option, as `organization.yaml:12 (overrides[0].match.ou)`.
    """

    message: str
    location: str = ""

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class FleetError(Exception):
    """Base of all expected errors; the message is complete without a traceback.

    Attributes:
        next_command: Words of the command to type next, without the program, which the command line completes.
        next_options: Options to add to the command that failed; the command line completes them, too.
    """

    exit_code: ExitCode = ExitCode.TARGET_FAILED
    next_command: tuple[str, ...] = ()
    next_options: tuple[str, ...] = ()


class InputError(FleetError):
    """The input is invalid; raised before anything is changed."""

    exit_code = ExitCode.INVALID_INPUT

    def __init__(
        self,
        problems: str | Problem | Sequence[Problem],
        location: str = "",
        *,
        next_command: Sequence[str] = (),
        next_options: Sequence[str] = (),
    ) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, location)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.next_command, self.next_options = tuple(next_command), tuple(next_options)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AccessError(FleetError):
    """AWS cannot be called: no credentials, expired credentials, a refused or failed call."""


class TerraformError(FleetError):
    """A terraform command failed.

    Attributes:
        diagnostics: Terraform's own errors, each with summary, detail and address, as plain text.
    """

    def __init__(self, message: str, diagnostics: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)
