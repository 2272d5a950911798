"""Replace names that differ between targets (account ids, regions, key ids) by placeholders."""

import json
import re
from typing import Any

from pydantic import JsonValue

from session_manager_fleet.changes.differences import JsonText, Mark

UNKNOWN = "(known after apply)"
SENSITIVE = "(sensitive)"
SET_BY_AWS = "(set by AWS)"
MARKS = (UNKNOWN, SENSITIVE, SET_BY_AWS)

_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_WHOLE_ID = re.compile(rf"(?<![A-Za-z0-9]){_ID}(?![A-Za-z0-9])")
_KEY_ARN = re.compile(rf"arn:aws[a-z-]*:kms:[a-z0-9-]+:([0-9]{{12}}):key/({_ID})")


class Placeholders:
    """Replace the names of a target by placeholders, consistently within one plan.

    Args:
        account_id: The target's account.
        region: The target's region.
        home_region: The account's home region.
        content: The whole plan as JSON; ids of keys that it attributes to other accounts stay.
    """

    def __init__(self, account_id: str, region: str, home_region: str, content: object) -> None:
        known = {home_region: "<home region>", region: "<region>", account_id: "<account>"}
        self._placeholders = known
        # Longest first: a name may begin like another one. A literal placeholder gets a backslash and stays different.
        alternatives = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
        literal = "|".join(re.escape(text) for text in (*MARKS, "<account>", "<region>", "<home region>"))
        self._pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{alternatives})(?![A-Za-z0-9])|\\*(?:{literal}|<id [0-9]+>)")
        arns = _KEY_ARN.findall(json.dumps(content))
        self._foreign_ids = {key_id for account, key_id in arns if account != account_id}
        self._ids: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Replace the account and the regions."""
        return self._pattern.sub(lambda match: self._placeholders.get(match[0], f"\\{match[0]}"), text)

    def with_ids(self, text: str) -> str:
        """Replace ids; they are numbered in the order of the calls."""
        return _WHOLE_ID.sub(self._id, text)

    def _id(self, match: re.Match[str]) -> str:
        if match[0] in self._foreign_ids:
            return match[0]
        return self._ids.setdefault(match[0], f"<id {len(self._ids) + 1}>")

    def value(self, value: Any) -> JsonValue:  # noqa: ANN401 - attributes are any JSON
        """Replace names and ids in a value and everything inside it."""
        if isinstance(value, Mark):
            return {"unknown": UNKNOWN, "sensitive": SENSITIVE}[value.kind]
        if isinstance(value, JsonText):
            return self.value(value.text)
        if isinstance(value, str):
            return self.with_ids(self.text(value))
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.with_ids(self.text(key)): self.value(item) for key, item in value.items()}
        return value  # type: ignore[no-any-return]  # a number, a truth value or None
