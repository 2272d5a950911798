"""The records in Parameter Store that one look reads: the original document, and the settings of the last apply."""

from dataclasses import dataclass

from . import applied_settings, original_document
from .applied_settings import AppliedSettings
from .aws import Call
from .errors import AppliedSettingsError
from .original_document import Original


@dataclass(frozen=True)
class Records:
    """The values of both parameters, None for a missing one; decoded when needed."""

    original_value: str | None
    applied_value: str | None

    def original(self) -> Original | None:
        """Return the original document; raise OriginalRecordError if damaged."""
        return None if self.original_value is None else original_document.decode(self.original_value)

    def applied(self) -> AppliedSettings | None:
        """Return the settings of the last apply; raise AppliedSettingsError if damaged."""
        return None if self.applied_value is None else applied_settings.decode(self.applied_value)

    def applied_or_none(self) -> AppliedSettings | None:
        """Return the settings of the last apply; None if they are missing or damaged, as an apply replaces them."""
        try:
            return self.applied()
        except AppliedSettingsError:
            return None


def read(call: Call) -> Records:
    """Read both records in one call."""
    names = [original_document.PARAMETER, applied_settings.PARAMETER]
    found = {item["Name"]: item["Value"] for item in call("ssm", "GetParameters", Names=names)["Parameters"]}
    return Records(*(found.get(name) for name in names))
