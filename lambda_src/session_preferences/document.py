"""The preferences document: meaning, validity, difference, without any AWS call.

Documents are compared as flat values, by path (`inputs.idleSessionTimeout`). Sources: Systems Manager User Guide,
"Session document schema"; amazon-ssm-agent, `agent/contracts/model.go` and `agent/framework/docparser`.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import InvalidPreferencesError, UnreadableDocumentError

DEFAULT_NAME = "SSM-SessionManagerRunShell"
DESCRIPTION = "Document to hold regional settings for Session Manager"

# Rules that an operator may waive by name.
NO_LOG_DESTINATION = "no_log_destination"
RUN_AS_BY_TAG = "run_as_by_tag"
PREFLIGHT_PERMISSIONS = "preflight_permissions"
WAIVERS = {NO_LOG_DESTINATION, RUN_AS_BY_TAG, PREFLIGHT_PERMISSIONS}

_MAX_BYTES = 64 * 1024
_MAX_SHELL_BYTES = 60_000  # of UTF-8; room for the rest of the document
_MAX_PREFIX_BYTES = 900  # the agent's part of the name fits into S3's 1,024
_MAX_LINE_BYTES = 4095  # of Linux: the agent types the profile into a terminal, which cuts longer lines
_SHELL = "inputs.shellProfile"  # may hold secrets
SHELL_PATHS = (f"{_SHELL}.linux", f"{_SHELL}.windows")
_BESIDE = ("default_version", "sharing")  # what else may differ
_REPEATED = "(repeated keys)"  # JSON readers disagree on which of them counts
_HIDDEN = "(hidden)"
_LONGEST_VALUE, _MOST_ACCOUNTS = 300, 50  # that a difference shows
_FIXED = {"schemaVersion": "1.0", "sessionType": "Standard_Stream"}
_KEY_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:"
_KEY_ID = r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_USER = "runAsDefaultUser"
# Patterns of valid values (a leading | allows an empty one), described.
_RULES = {
    "s3BucketName": (r"|[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "3 to 63 lower-case letters, digits, hyphens, without dots"),
    # The agent normalizes the path, so logs would go elsewhere.
    "s3KeyPrefix": (
        r"|(?!.*(\.\.|{{))(?!(.*/)?\.(/|$))[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*",
        "a text that neither begins with '/' nor has '..' or '{{', nor parts that are empty or '.'",
    ),
    "cloudWatchLogGroupName": (r"|(?!(?i:aws)/)[.\-_/#A-Za-z0-9]{1,512}", "a name that CloudWatch Logs accepts"),
    "kmsKeyId": (rf"|({_KEY_ARN}key/)?{_KEY_ID}|({_KEY_ARN})?alias/[a-zA-Z0-9/_-]+", "a key ARN (best), id or alias"),
    # The agent puts it into a shell command, and `id 0` is root, too (shell_unix.go).
    _USER: (
        r"|(?!root$)[A-Za-z_][A-Za-z0-9_.-]{0,63}(\$|@[A-Za-z0-9][A-Za-z0-9.-]{0,252})?",
        "a user other than root, such as ops or ops@example.com",
    ),
    "idleSessionTimeout": (r"[1-9]|[1-5][0-9]|60", "from 1 to 60 minutes"),
    "maxSessionDuration": (r"|[1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440", "from 1 to 1440 minutes, or empty"),
}


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError("must be a text")


def _real_flag(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ValueError("must be true or false")


def _flag(value: object) -> bool:
    # A text as Go's strconv.ParseBool reads it, which the agent uses.
    if isinstance(value, str) and re.fullmatch("[01tTfF]|TRUE|[tT]rue|FALSE|[fF]alse", value):
        return value[0] in "1tT"
    return _real_flag(value)


def _strict(read: Callable[[object], object]) -> Callable[[object], object]:
    return _real_flag if read is _flag else read


def _minutes(value: object, missing: str = "") -> str:
    if value is None or value == "":
        return missing
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return str(int(text))
    raise ValueError("must be a whole number of minutes")


def _idle(value: object) -> str:
    return _minutes(value, missing="20")  # the service's default


def _input(name: str, read: Callable[[object], object] = _text) -> Any:  # noqa: ANN401 - a dataclass field
    return field(default=read(None), metadata={"path": f"inputs.{name}", "read": read})


@dataclass(frozen=True, kw_only=True)
class Document:
    """All inputs as the document has them: minutes are text, "" is none. The defaults are neutral: no logs."""

    s3_bucket_name: str = _input("s3BucketName")
    s3_key_prefix: str = _input("s3KeyPrefix")
    s3_encryption_enabled: bool = _input("s3EncryptionEnabled", _flag)
    cloud_watch_log_group_name: str = _input("cloudWatchLogGroupName")
    cloud_watch_encryption_enabled: bool = _input("cloudWatchEncryptionEnabled", _flag)
    # The agent cannot read any session whose streaming flag is a text.
    cloud_watch_streaming_enabled: bool = _input("cloudWatchStreamingEnabled", _real_flag)
    kms_key_id: str = _input("kmsKeyId")
    run_as_enabled: bool = _input("runAsEnabled", _flag)
    run_as_default_user: str = _input("runAsDefaultUser")
    idle_session_timeout: str = _input("idleSessionTimeout", _idle)
    max_session_duration: str = _input("maxSessionDuration", _minutes)
    shell_profile_windows: str = _input("shellProfile.windows")
    shell_profile_linux: str = _input("shellProfile.linux")

    def values(self) -> dict[str, object]:
        """Return the flat values, in the order in which they are rendered."""
        return {**_FIXED, **{path: getattr(self, name) for path, (name, _) in _INPUTS.items()}}


_INPUTS: dict[str, tuple[str, Callable[[object], object]]] = {
    item.metadata["path"]: (item.name, item.metadata["read"]) for item in fields(Document)
}


@dataclass(frozen=True)
class Change:
    """One path whose value differs; None is absent. As text and as a dictionary it shows nothing that may be secret."""

    path: str
    before: object
    after: object

    def __str__(self) -> str:
        shown = self.as_dict()
        if is_hidden(self.path):
            return str(shown["path"])
        return f"{shown['path']} ({json.dumps(shown['from'])} to {json.dumps(shown['to'])})"

    def as_dict(self) -> dict[str, object]:
        """Return `{"path", "from", "to"}`; of a value that may be secret only whether there is one."""
        return {"path": shown_path(self.path), "from": self._shown(self.before), "to": self._shown(self.after)}

    def _shown(self, value: object) -> object:
        if value is None or value == "":
            return value
        if is_hidden(self.path):
            return _HIDDEN
        if isinstance(value, str):
            return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
        if isinstance(value, list) and self.path == "sharing":
            return value if len(value) <= _MOST_ACCOUNTS else [*value[:_MOST_ACCOUNTS], "…"]
        return value if isinstance(value, bool | int | float) else _HIDDEN


def is_hidden(path: str) -> bool:
    """Return whether the value may be secret: shell profiles, and what the schema lacks."""
    return path.startswith(_SHELL) or path not in {*_INPUTS, *_FIXED, *_BESIDE}


def shown_path(path: str) -> str:
    """Return a path without keys that no document should have and that may hold anything."""
    *parents, key = path.split(".")
    place = ".".join(parents)
    if path in {*_INPUTS, *_FIXED, *_BESIDE} or key == _REPEATED:
        return path
    if path.startswith(f"{_SHELL}."):
        return f"{_SHELL}.(other)"
    if place in {"", "inputs"} and re.fullmatch(r"\w{1,64}", key, re.ASCII):
        return path
    return "inputs.(other)" if path.startswith("inputs.") else "(other)"


def parse(text: str) -> dict[str, object]:
    """Return the flat values of a live document; raise UnreadableDocumentError if it is not a JSON object.

    Missing, null and empty are one, but for the idle timeout. Values that a reader may refuse stay raw, and keys that
    the schema lacks stay beside them, as do repeated keys and `parameters`, with which users override preferences: all
    of that differs from any wanted document. The description means nothing.
    """
    try:
        content = json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=str, object_pairs_hook=_object
        )
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UnreadableDocumentError(
            "The live document is not a JSON object, so it cannot be compared. Look at it with "
            "`aws ssm get-document` and repair or delete it by hand."
        )
    content.pop("description", None)
    values = dict(_entries(content))
    for path in ("parameters", "properties"):
        if not values.get(path):
            values.pop(path, None)
    for path, (_, read) in _INPUTS.items():
        value = values.get(path)
        # The agent reads these, AWS's console may not.
        if (read in {_minutes, _idle} and isinstance(value, int | float)) or (read is _idle and not value):
            continue
        try:
            values[path] = _strict(read)(value)
        except ValueError:
            continue
    return values


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    return content if len(content) == len(pairs) else {**content, _REPEATED: True}


def _number(text: str) -> object:
    """Return a number that JSON can hold again; one too large stays a text, which differs from any wanted value."""
    return text if math.isinf(float(text)) else json.loads(text)


def _entries(content: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        path = prefix + (json.dumps(key) if "." in key else key)  # no key can pose as a path
        if path in {"inputs", _SHELL} and (value is None or isinstance(value, dict)):
            yield from _entries(value or {}, f"{path}.")
        else:
            yield path, value


def managed(preferences: Mapping[str, object]) -> dict[str, object]:
    """Return the values that `preferences`, by input name, ask for, by path; null and absent are "not managed"."""
    return {path: value for path, value in _entries({"inputs": preferences}) if value is not None}


def build(preferences: Mapping[str, object], keep: Mapping[str, object] | None = None) -> Document:
    """Return the document that `preferences` ask for.

    Values that they do not manage come from `keep`, flat values, or are neutral. Raises InvalidPreferencesError for
    unknown names, wrong types and values that cannot be kept.
    """
    given = managed(preferences)
    wrong = [
        f"{shown_path(path)} is not a preference (shellProfile takes an object with linux and windows)."
        for path in given
        if path not in _INPUTS
    ]
    chosen: dict[str, Any] = {}
    for path, (name, read) in _INPUTS.items():
        try:
            if path in given:
                chosen[name] = _strict(read)(given[path])
            elif keep is not None:
                chosen[name] = read(keep.get(path))
        except ValueError as error:
            whose = "" if path in given else " of the live document cannot be kept, so set it: it"
            wrong.append(f"{path}{whose} {error}.")
    _refuse(wrong)
    document = Document(**chosen)
    if f"inputs.{_USER}" in given or document.run_as_enabled or _fits(_USER, document.run_as_default_user):
        return document
    return replace(document, run_as_default_user="")  # a kept user that no session runs as


def problems(document: Document, waived: Collection[str] = ()) -> list[str]:
    """Return what makes the document unfit to be written, a sentence each."""
    values, found = document.values(), []
    for name, (_, rule) in _RULES.items():
        value = str(values[f"inputs.{name}"])
        if not _fits(name, value):
            found.append(f"{name} {value[:_LONGEST_VALUE]!r} must be {rule}.")
    idle, longest = document.idle_session_timeout, document.max_session_duration
    if not found and longest and int(longest) <= int(idle):
        found.append(f"maxSessionDuration {longest} must be greater than idleSessionTimeout {idle}.")
    if document.run_as_enabled and not document.run_as_default_user and RUN_AS_BY_TAG not in waived:
        found.append(f"runAsEnabled needs runAsDefaultUser, or the waiver {RUN_AS_BY_TAG} if all callers are tagged.")
    logged = document.cloud_watch_log_group_name or document.s3_bucket_name
    if not logged and NO_LOG_DESTINATION not in waived:
        found.append(f"No logs: set cloudWatchLogGroupName or s3BucketName, or waive {NO_LOG_DESTINATION}.")
    if len(document.s3_key_prefix.encode(errors="surrogatepass")) > _MAX_PREFIX_BYTES:
        found.append(f"s3KeyPrefix must have at most {_MAX_PREFIX_BYTES} bytes.")
    found += _shell_problems(document.shell_profile_linux, document.shell_profile_windows)
    if not found and len(render(document)) > _MAX_BYTES:
        found.append("The document is larger than 64 KB; shorten shellProfile.")
    return found


def _fits(name: str, value: str) -> bool:
    return re.fullmatch(_RULES[name][0], value) is not None


def _shell_problems(linux: str, windows: str) -> Iterator[str]:
    if len((linux + windows).encode(errors="surrogatepass")) > _MAX_SHELL_BYTES:
        yield f"shellProfile must have at most {_MAX_SHELL_BYTES} bytes, linux and windows together."
    elif max(len(line.encode(errors="surrogatepass")) for line in re.split("[\r\n]", linux)) > _MAX_LINE_BYTES:
        yield f"shellProfile.linux must have lines of at most {_MAX_LINE_BYTES} bytes: the terminal cuts longer ones."
    # The agent replaces references in every input before a session, and refuses it when it cannot.
    if re.search(r"{{\s*ssm", linux + "\n" + windows, re.IGNORECASE):
        yield (
            "shellProfile must not have references such as {{ssm:name}}: who may write the parameter could run "
            "commands in every session."
        )


def check(document: Document, waived: Collection[str] = ()) -> None:
    """Raise InvalidPreferencesError with every problem, if there is one."""
    _refuse(problems(document, waived))


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise InvalidPreferencesError("The preferences are refused, nothing was written. " + " ".join(wrong))


def render(document: Document, description: str = DESCRIPTION) -> str:
    """Return the canonical text: JSON in ASCII, equal bytes for equal documents."""
    content: dict[str, Any] = {"schemaVersion": None, "description": description}
    for path, value in document.values().items():
        *parents, name = path.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return json.dumps(content, indent=2)


def diff(live: Mapping[str, object], wanted: Mapping[str, object]) -> list[Change]:
    """Return the differences between two documents' flat values, type for type; none when they mean the same."""
    paths = [*wanted, *sorted(live.keys() - wanted.keys())]
    changes = [Change(path, live.get(path), wanted.get(path)) for path in paths]
    return [c for c in changes if (type(c.before), c.before) != (type(c.after), c.after)]
