"""Terraform's output: its machine-readable messages, its errors in words, and no secret in either."""

import json
import re
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from session_manager_fleet.errors import TerraformError

# A shell reports the signal that ended its child as 128 + signal.
_SIGNAL_BASE = 128

# AWS answers a request whose signature is wrong (because of the clock, for example) with all headers that it expected
# to be signed, the session token among them; terraform prints that answer as its error.
_REPEATED_HEADER = r"(?i:(?<=x-amz-security-token:))[^\s\\'\"]+"
_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Helpers that terraform starts may repeat what they were given.
_SECRET_NAME = re.compile(r"TF_TOKEN_.+|TF_ENCRYPTION|(?i:.*_(TOKEN|SECRET|PASSWORD|PASSPHRASE|API_KEY|PRIVATE_KEY))")
# Within a configuration that is a secret as a whole (TF_ENCRYPTION): HCL or JSON.
_SECRET_ATTRIBUTE = re.compile(
    r"""(?i:passphrase|password|token|credentials|\w*secret\w*|\w+_key)"?\s*[=:]\s*"([^"]+)"""
)
_HIDDEN = "(hidden)"
# A shorter external id is a part of many words: it is hidden only where it is written as one.
_SHORTEST_SECRET = 8
_FIELD = r"(?P<field>(?i:external_?id)[\\\"]*\s*[=:]\s*[\\\"]*)"

# Summaries of terraform's own diagnostics (terraform 1.11, internal/backend/local).
_STALE = ("Saved plan is stale", "Saved plan does not match the given state")


class StateLockedError(TerraformError):
    """The state is locked, by a command that runs or one that left the lock behind.

    Attributes:
        lock_id: Argument of `terraform force-unlock`.
        path: Where the state is, as `bucket/key`.
        operation: Operation of the holder, as `OperationTypeApply`.
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
    """The state has changed since the saved plan was made; nothing was changed."""


class StoppedError(TerraformError):
    """A command was ended from outside, by a signal or the time limit; it may have done part of its work."""


def credentials_in(environment: Mapping[str, str]) -> list[str]:
    """Return the AWS credentials in an environment."""
    return [environment[name] for name in _SECRET_VARIABLES if environment.get(name)]


def redactor(environment: Mapping[str, str], secrets: Collection[str] = ()) -> Callable[[str], str]:
    """Return a function that hides secrets in a text, in JSON's escaped form too.

    Args:
        environment: Environment of terraform; the AWS credentials in it are secret, and so is what is named a token,
            secret, password or private key.
        secrets: Further secrets.
    """
    named = (value for name, value in environment.items() if _SECRET_NAME.fullmatch(name))
    values = [text for text in (*secrets, *chain.from_iterable(map(_parts, named))) if len(text) >= _SHORTEST_SECRET]
    values += credentials_in(environment)
    forms = {form for secret in values if secret for form in (secret, json.dumps(secret)[1:-1])}
    longest_first = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    short = [re.escape(text) for text in secrets if 0 < len(text) < _SHORTEST_SECRET]
    in_fields = [rf"{_FIELD}(?:{'|'.join(short)})(?![\w-])"] if short else []
    pattern = re.compile("|".join([*longest_first, *in_fields, _REPEATED_HEADER]))
    return lambda text: pattern.sub(lambda found: (found.groupdict().get("field") or "") + _HIDDEN, text)


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret, its lines, because output is read line by line, and the secrets in a configuration."""
    yield secret
    yield from map(str.strip, secret.splitlines())
    yield from _SECRET_ATTRIBUTE.findall(secret)


@dataclass
class Messages:
    """Collect the results of a command from terraform's machine-readable output.

    Attributes:
        hide: Hides secrets in a text.
        errors: Terraform's errors, in words.
        counts: Numbers of planned or applied changes, by kind.
        drifted: Types of the resources that a plan found changed outside of Terraform.
    """

    hide: Callable[[str], str]
    errors: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    drifted: list[str] = field(default_factory=list)

    def take(self, line: str) -> str:
        """Read one line of `-json` output and return it as a line of the log; one of another form stays as it is."""
        try:
            return self._take(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return self.hide(line)

    def _take(self, message: Mapping[str, Any]) -> str:
        kind = message["type"]
        if kind == "diagnostic":
            text = self.hide(_diagnostic(message["diagnostic"]))
            if message["diagnostic"].get("severity") == "error":
                self.errors.append(self.hide(_with_function_message(_diagnostic(message["diagnostic"]))))
            return f"{message.get('@timestamp', '')} {message['diagnostic'].get('severity', '')}: {text}"
        if kind == "resource_drift":
            self.drifted.append(message["change"]["resource"]["resource_type"])
        if kind == "change_summary":
            self.counts = {key: value for key, value in message["changes"].items() if isinstance(value, int)}
        return self.hide(f"{message.get('@timestamp', '')} {message.get('@message', '')}")


def _diagnostic(diagnostic: Mapping[str, Any]) -> str:
    """Write a diagnostic of terraform in one paragraph."""
    place = [diagnostic["address"]] if diagnostic.get("address") else []
    if source := diagnostic.get("range"):
        place.append(f"{source['filename']}:{source['start']['line']}")
    where = f" ({', '.join(place)})" if place else ""
    summary, detail = (" ".join(str(diagnostic.get(part, "")).split()) for part in ("summary", "detail"))
    return f"{summary}{where}" + (f": {detail}" if detail else "")


def _with_function_message(text: str) -> str:
    """Replace the answer of a Lambda function that failed by its message; the log keeps the stack trace.

    The provider prints the answer as it is: `{"errorMessage": …, "errorType": …, "requestId": …, "stackTrace": […]}`.
    """
    position = text.find("{")
    while position >= 0:
        try:
            answer, end = json.JSONDecoder().raw_decode(text, position)
        except ValueError:
            position = text.find("{", position + 1)
            continue
        message = answer.get("errorMessage")
        if isinstance(message, str):
            text = f"{text[:position]}{' '.join(message.split())}{text[end:]}"
            end = position + len(message)
        position = text.find("{", end)
    return text


def failure(command: str, code: int, errors: Sequence[str], log: Path) -> TerraformError:
    """Return the error for a command that failed, from terraform's errors or the signal that ended it.

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
                f"The state is locked by {lock['Who']} since {lock['Created']} ({lock['Operation']}). Wait until it is "
                "released; if the lock is stale, the command unlock shows how to release it."
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

    It ends two messages: of a state that is locked, and of a new state that cannot be created because of a lock.
    """
    names = ("ID", "Path", "Operation", "Who", "Version", "Created", "Info")
    match = re.search("Lock Info: " + " ".join(rf"{name}:(?P<{name}>.*?)" for name in names[:-1]) + " Info:", error)
    # A lock object that terraform did not write may lack any of them.
    return {name: value.strip() or "unknown" for name, value in match.groupdict().items()} if match else None


def plain_errors(lines: Sequence[str]) -> list[str]:
    """Return the error messages of terraform's text output, without the frame around them."""
    text = "\n".join(re.sub(r"^[╷│╵]\s?", "", line) for line in lines)
    errors = re.findall(r"^Error: (.*?)(?=^Error: |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(error.split()) for error in errors]
