"""The lines to type that reports show."""

import shlex
from dataclasses import dataclass

from session_manager_fleet.run import Summary

PROGRAM = "session-manager-fleet"
# Stands for the run among the words of a command.
RUN = "RUN"


def installed(*words: str) -> str:
    """Return the line to type for a command of the installed program."""
    return shlex.join((PROGRAM, *words))


@dataclass(frozen=True)
class Commands:
    """Builds the lines to type for commands on a run.

    Attributes:
        program: The words that start the program, and the options that name its files.
        run: The run, as commands take it.
    """

    program: tuple[str, ...]
    run: str

    @classmethod
    def of_installed(cls, summary: Summary) -> "Commands":
        """Return the lines of the installed program, in a folder with its organization.yaml and runs."""
        return cls((PROGRAM,), summary.run_id)

    def line(self, *words: str) -> str:
        """Return the line to type for a command; the word RUN in it becomes the run."""
        return shlex.join([*self.program, *(self.run if word == RUN else word for word in words)])

    @property
    def report(self) -> str:
        """The line that makes the complete report of the run."""
        return self.line("report", RUN, "--format", "html", "--output", "report.html")
