"""The function's errors: one class per kind, each message for the person who reads it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Characters. Longer messages would not fit into a log event, and the reason is at the beginning.
_LONGEST_MESSAGE = 8_000
CALL_AGAIN = "apply with another revision (the rollout plans one)."


class PreferencesError(Exception):
    """The wanted state was not reached; the handler fills in `place` (account and region)."""

    place = ""

    def __str__(self) -> str:
        message = super().__str__()
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[:_LONGEST_MESSAGE]}… ({len(message)} characters)"
        return f"{self.place}: {message}" if self.place else message


class InvalidEventError(PreferencesError):
    """The event is not understood; nothing was changed."""


class LateEventError(PreferencesError):
    """The event is a copy of one that a newer apply has superseded; nothing was changed."""


class NotManagedError(PreferencesError):
    """A repair found no record that an apply manages the document; nothing is left changed."""


class InvalidPreferencesError(PreferencesError):
    """The wanted document would be invalid; nothing was written."""


class UnreadableDocumentError(PreferencesError):
    """The live document cannot be compared or merged."""


class AdoptionRefusedError(PreferencesError):
    """The document exists and `adopt` is `fail`; nothing was changed."""


class PreflightError(PreferencesError):
    """Sessions would be refused or logs lost; nothing was written."""


class DestinationError(PreferencesError):
    """The document is repaired, but a destination is not usable; `result` is that of the run."""

    def __init__(self, message: str, result: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.result = dict(result)


class OriginalRecordError(PreferencesError):
    """The record of the original document is missing, damaged, too large or another document's."""


class AppliedSettingsError(PreferencesError):
    """The settings that the last apply stored are damaged or incomplete."""


class OutOfTimeError(PreferencesError):
    """The time budget ended; a second run continues."""


class NotificationError(PreferencesError):
    """The document was repaired, but the notification could not be sent."""


class DefectError(PreferencesError):
    """The function itself failed; the message says where, without values."""


class AwsError(PreferencesError):
    """An AWS call failed; `code` is AWS's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def tolerated(*codes: str) -> Iterator[None]:
    """Go on after the block if an AWS call in it fails with one of these codes."""
    try:
        yield
    except AwsError as error:
        if error.code not in codes:
            raise
