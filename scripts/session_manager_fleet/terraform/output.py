"""What terraform says: its machine-readable messages, its errors in words, and nothing secret in either."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from session_manager_fleet.errors import TerraformError

# A shell in between reports the signal that ended its child this way.
_SIGNAL_BASE = 128

# What of the environment may not be written down, and what stands in its place.
_SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
_PROXY_VARIABLE = re.compile(r"(HTTPS?|ALL)_PROXY", re.IGNORECASE)
_HIDDEN = "(hidden)"

# Summaries of terraform's own diagnostics (terraform 1.11, internal/backend/local).
_STALE = ("Saved plan is stale", "Saved plan does not match the given state")


class StateLockedError(TerraformError):
    """Somebody else holds the lock of the state, or left it behind.

    Attributes:
        lock_id: What `terraform force-unlock` wants to know.
        path: Where the state is, as `bucket/key`.
        operation: What the holder does, as `OperationTypeApply`.
        who: User and machine of the holder.
        since: When the lock was taken, in terraform's words.
    """

    def __init__(self, message: str, diagnostics: Sequence[str], lock: Mapping[str, str]) -> None:
        super().__init__(message, diagnostics)
        self.lock_id = lock["ID"]
        self.path = lock["Path"]
        self.operation = lock["Operation"]
        self.who = lock["Who"]
        self.since = lock["Created"]


class StalePlanError(TerraformError):
    """The state is not the one that the saved plan was made for; nothing was changed."""


class StoppedError(TerraformError):
    """A command was ended from outside, by a signal or because it took too long; nobody knows what it left undone."""


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Return the values in an environment that may not be written down."""
    for name in _SECRET_VARIABLES:
        yield environment.get(name, "")
    for name, value in environment.items():
        if _PROXY_VARIABLE.fullmatch(name):
            yield urlsplit(value).password or ""


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that hides some values in a text, also where JSON has escaped them."""
    forms = {form for secret in secrets if secret for form in (secret, json.dumps(secret)[1:-1])}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(_HIDDEN, text)


@dataclass
class Messages:
    """Collects from terraform's machine-readable output what the caller needs.

    Attributes:
        hide: Takes secrets out of a text.
        errors: Terraform's errors, in words.
        counts: What the plan is to do, or the apply did.
        outputs: Values of the root's outputs after an apply, but for sensitive ones.
    """

    hide: Callable[[str], str]
    errors: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def take(self, line: str) -> str:
        """Read one line of `-json` output and return it as a person would read it."""
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            return self.hide(line)
        if kind == "diagnostic":
            text = self.hide(_diagnostic(message["diagnostic"]))
            if message["diagnostic"].get("severity") == "error":
                self.errors.append(text)
            return f"{message.get('@timestamp', '')} {message['diagnostic'].get('severity', '')}: {text}"
        if kind == "change_summary":
            self.counts = {key: value for key, value in message["changes"].items() if isinstance(value, int)}
        if kind == "outputs":
            found = message["outputs"].items()
            self.outputs = {name: output["value"] for name, output in found if "value" in output}
        return self.hide(f"{message.get('@timestamp', '')} {message.get('@message', '')}")


def _diagnostic(diagnostic: Mapping[str, Any]) -> str:
    """Write a diagnostic of terraform in one paragraph."""
    place = [diagnostic["address"]] if diagnostic.get("address") else []
    if source := diagnostic.get("range"):
        place.append(f"{source['filename']}:{source['start']['line']}")
    where = f" ({', '.join(place)})" if place else ""
    summary, detail = (" ".join(str(diagnostic.get(part, "")).split()) for part in ("summary", "detail"))
    return f"{summary}{where}" + (f": {detail}" if detail else "")


def failure(command: str, code: int, errors: Sequence[str], log: Path) -> TerraformError:
    """Return the error for a command that failed, by what terraform says or by the signal that ended it.

    Args:
        command: Terraform's verb.
        code: Exit code; negative or above 128 for a signal.
        errors: Terraform's own errors.
        log: Where all of its output is.
    """
    where = f" Log: {log}."
    for error in errors:
        if lock := _lock_of(error):
            message = (
                f"The state is locked by {lock['Who']} since {lock['Created']} ({lock['Operation']}). Wait for it; "
                "`rollout.py unlock` tells what to do when nobody is at it any more."
            )
            return StateLockedError(message + where, errors, lock)
        if error.startswith(_STALE):
            return StalePlanError("The state has changed since the plan was made; plan again." + where, errors)
    if code < 0 or code > _SIGNAL_BASE:
        number = -code if code < 0 else code - _SIGNAL_BASE
        cause = "; the kernel does so when memory runs out" if number == signal.SIGKILL else ""
        errors = [*errors, f"terraform was ended by signal {number}{cause}."]
        return StoppedError(f"terraform {command} failed.{where}", errors)
    return TerraformError(f"terraform {command} failed.{where}", errors)


def _lock_of(error: str) -> dict[str, str] | None:
    """Read terraform's `Lock Info: ID: … Path: … Operation: … Who: … Version: … Created: … Info: …`.

    It ends the message about a state that is locked, and that about a state that cannot be made because it is locked.
    """
    names = ("ID", "Path", "Operation", "Who", "Version", "Created", "Info")
    match = re.search("Lock Info: " + " ".join(rf"{name}: (?P<{name}>.*?)" for name in names[:-1]) + " Info:", error)
    return match.groupdict() if match else None


def plain_errors(lines: Sequence[str]) -> list[str]:
    """Return the error messages of terraform's text output, without the frame around them."""
    text = "\n".join(re.sub(r"^[╷│╵]\s?", "", line) for line in lines)
    errors = re.findall(r"^Error: (.*?)(?=^Error: |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(error.split()) for error in errors]
