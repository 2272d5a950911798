"""Parse the function's event, and refuse it unless every part of it is understood."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .document import DEFAULT_NAME, WAIVERS
from .errors import InvalidEventError

# Allowed values; the first is the default.
_ADOPT = ("replace", "merge", "fail")
_ON_DESTROY = ("restore", "retain", "reset")
# `revision` and `function_digest` only make Terraform call again.
_KEYS = {
    *("preferences", "adopt", "on_destroy", "document", "waive", "tf", "action", "revision", "function_digest"),
    *("cause", "notify_topic_arn", "destinations"),
}
_LONGEST_VALUE = 200  # that an error quotes
_CAUSE = {"event_name", "principal", "time", "event_id"}


@dataclass(frozen=True)
class Request:
    """One event; `action` is create, update, delete (Terraform's), reconcile or diff.

    `previous` are the preferences before an update. `cause` is the API call, from CloudTrail, that EventBridge reports:
    event_name, principal (an ARN), time (ISO 8601) and event_id. `notify_topic_arn` is the SNS topic for repairs, "" is
    none. `destinations` asks a reconcile to check destinations and keys though nothing differs. The digests identify
    the whole event, its input (without `tf`) and the previous input.
    """

    action: str
    document: str
    preferences: Mapping[str, object]
    previous: Mapping[str, object]
    adopt: str
    on_destroy: str
    waive: frozenset[str]
    cause: Mapping[str, str]
    notify_topic_arn: str
    destinations: bool = False
    event_digest: str = field(default="", compare=False)
    input_digest: str = field(default="", compare=False)
    previous_digest: str = field(default="", compare=False)


def parse_event(event: object) -> Request:
    """Return the request of an event; raise InvalidEventError for unknown keys, wrong values and missing parts."""
    values = _object(event, "The event")
    unknown = sorted(values.keys() - _KEYS)
    _require(not unknown, f"The event has unknown keys: {_cut(unknown)}. Known: {sorted(_KEYS)}.")
    document, waive = values.get("document", DEFAULT_NAME), values.get("waive") or []
    _require(
        isinstance(document, str) and re.fullmatch(r"(?!(?i:aws|amazon|amzn))[a-zA-Z0-9_.-]{3,128}", document),
        f"document {_cut(document)} must be 3 to 128 letters, digits or _.-, not beginning with aws, amazon or amzn.",
    )
    cause, topic = _object(values.get("cause") or {}, "cause"), values.get("notify_topic_arn") or ""
    _require(
        cause.keys() <= _CAUSE and all(isinstance(value, str) for value in cause.values()),
        f"cause must have texts for {sorted(_CAUSE)} only.",
    )
    _require(
        isinstance(topic, str) and re.fullmatch(r"(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]+)?", topic, re.ASCII),
        f"notify_topic_arn {_cut(topic)} must be the ARN of an SNS topic.",
    )
    destinations = values.get("destinations", False)
    _require(isinstance(destinations, bool), "destinations must be true or false.")
    before = _object(_object(values.get("tf", {}), "tf").get("prev_input") or {}, "tf.prev_input")
    known = isinstance(waive, list) and all(isinstance(name, str) and name in WAIVERS for name in waive)
    _require(known, f"waive must be a list of {sorted(WAIVERS)}, not {_cut(waive)}.")
    return Request(
        action=_action(values, document, before),
        document=document,
        preferences=_object(values.get("preferences", {}), "preferences"),
        previous=_object(before.get("preferences") or {}, "tf.prev_input.preferences"),
        adopt=_one_of(values, "adopt", _ADOPT),
        on_destroy=_one_of(values, "on_destroy", _ON_DESTROY),
        waive=frozenset(waive),
        cause=cause,
        notify_topic_arn=topic,
        destinations=destinations,
        event_digest=_digest(values),
        input_digest=_digest({key: value for key, value in values.items() if key != "tf"}),
        previous_digest=_digest(before),
    )


def sha256(text: str) -> str:
    """Return the digest of a text, in hexadecimal digits."""
    import hashlib  # noqa: PLC0415 - slow to import

    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _digest(values: object) -> str:
    return sha256(json.dumps(values, sort_keys=True, default=str))[:16]


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _action(values: dict[str, Any], document: str, before: dict[str, Any]) -> str:
    _require(("tf" in values) != ("action" in values), "The event needs either tf (from Terraform) or action.")
    if "action" in values:
        return _one_of(values, "action", ("reconcile", "diff"))
    _require("action" in values["tf"], "tf needs an action.")
    action, name = _one_of(values["tf"], "action", ("create", "update", "delete")), before.get("document", DEFAULT_NAME)
    _require(
        action != "update" or name == document,
        f"{_cut(name)} cannot be renamed to {document}: destroy the preferences, which restores it, then create.",
    )
    return action


def _object(value: object, what: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidEventError(f"{what} must be an object.")


def _one_of(values: dict[str, Any], key: str, offered: tuple[str, ...]) -> str:
    value = values.get(key, offered[0])
    _require(value in offered, f"{key} is {_cut(value)}; it must be one of {offered}.")
    return str(value)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise InvalidEventError(message)
