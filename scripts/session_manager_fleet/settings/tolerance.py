"""How many targets may fail before a rollout stops: the one definition for waves, `--max-failures` and merged runs."""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PERCENTAGE = r"^(100|[1-9]?[0-9])%$"


@dataclass(frozen=True)
class Tolerance:
    """A number of failed targets, or a percentage of all targets.

    Attributes:
        limit: The largest number or percentage that is tolerated.
        percent: Whether `limit` is a percentage.
    """

    limit: int = 0
    percent: bool = False

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a tolerance as organization.yaml and journals hold it: `5`, or `"5%"`.

        Raises:
            ValueError: The value is neither a number of targets nor a percentage.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and re.fullmatch(PERCENTAGE[1:-1], value):
            return cls(int(value[:-1]), percent=True)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError('max_failures is a number of targets or a percentage such as "5%"')  # noqa: TRY004 - pydantic turns it into a finding
        if value < 0:
            raise ValueError("max_failures cannot be negative")
        return cls(value)

    def exceeded_by(self, failures: int, of: int) -> bool:
        """Tell whether this many failures of so many targets are more than is tolerated."""
        return failures * 100 > self.limit * of if self.percent else failures > self.limit

    @property
    def value(self) -> int | str:
        """The tolerance as organization.yaml and journals hold it."""
        return str(self) if self.percent else self.limit

    def __str__(self) -> str:
        return f"{self.limit}%" if self.percent else str(self.limit)


# A tolerance as a field of pydantic models: read with `Tolerance.parse`, written as `Tolerance.value`.
ToleranceField = Annotated[
    Tolerance,
    BeforeValidator(Tolerance.parse),
    PlainSerializer(lambda tolerance: tolerance.value, return_type=int | str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": PERCENTAGE}]}),
]
