"""What can go wrong: one class per kind, each message for the person who reads it."""

from collections.abc import Iterator
from contextlib import contextmanager


class PreferencesError(Exception):
    """The wanted state was not reached; the handler fills in `place` (account and region)."""

    place = ""

    def __str__(self) -> str:
        return f"{self.place}: {super().__str__()}" if self.place else super().__str__()


class InvalidEventError(PreferencesError):
    """The event is not understood; nothing was touched."""


class InvalidPreferencesError(PreferencesError):
    """The wanted document would be invalid; nothing was written."""


class UnreadableDocumentError(PreferencesError):
    """The live document cannot be compared or merged."""


class AdoptionRefusedError(PreferencesError):
    """The document is somebody else's and `adopt` is `fail`; nothing was touched."""


class PreflightError(PreferencesError):
    """People would be locked out or logs lost; nothing was written."""


class OriginalRecordError(PreferencesError):
    """The record of what was there before is missing, damaged, too large or another document's."""


class OutOfTimeError(PreferencesError):
    """The time budget ended; a second run continues."""


class NotificationError(PreferencesError):
    """The document was repaired, but the message about it could not be sent."""


class AwsError(PreferencesError):
    """An AWS call failed for good; `code` is AWS's error code."""

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
