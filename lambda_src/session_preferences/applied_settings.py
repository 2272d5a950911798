"""The settings of the last apply, stored in Parameter Store, from which drift repair reads what is wanted.

So no late event can bring old settings back. The value is JSON: `{"schema_version": 1, "document", "preferences",
"adopt", "waive", "input", "event", "superseded"}`. Shell profiles are replaced by `{"sha256", "parts"}`; parameters
below it, `<first half of the sha256>/<number>`, hold the text, compressed. These are written before and deleted after
the parameter that names them, so that each write takes effect as a whole.

`event` and `input` identify the event that stored the settings, with and without `tf`; `superseded` are earlier ones.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .aws import Call, pages
from .document import SHELL_PATHS
from .errors import CALL_AGAIN, AppliedSettingsError, LateEventError, OriginalRecordError, tolerated
from .request import Request, sha256

PARAMETER = "/session-manager/applied-preferences"
_SCHEMA_VERSION = 1
_PART = 4096  # characters that a standard parameter holds
_MOST_PARTS = 32  # so that damaged settings cannot fill the memory
_LARGEST_TEXT = 64 * 1024
_NAMES_PER_CALL = 10
_REMEMBERED = 30  # superseded events
_TEXTS = tuple(path.rpartition(".")[2] for path in SHELL_PATHS)


@dataclass(frozen=True)
class AppliedSettings:
    """The stored settings; `texts` are references to shell profiles by their name (`linux`, `windows`)."""

    document: str
    preferences: Mapping[str, Any]
    adopt: str
    waive: tuple[str, ...]
    input: str
    event: str
    superseded: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request, before: "AppliedSettings | None") -> "AppliedSettings":
        """Return what to store for a request of Terraform, after what is stored."""
        superseded = () if before is None else (*before.superseded, before.event)
        preferences = dict(request.preferences)
        if "shellProfile" in preferences:
            texts = _texts_of(preferences)
            preferences["shellProfile"] = {name: _reference(text) for name, text in texts.items()}
        return cls(
            document=request.document,
            preferences=preferences,
            adopt=request.adopt,
            waive=tuple(sorted(request.waive)),
            input=request.input_digest,
            event=request.event_digest,
            superseded=tuple(item for item in superseded if item != request.event_digest)[-_REMEMBERED:],
        )

    @property
    def settings(self) -> tuple[object, ...]:
        """Return what decides about the document, without the event that it came with."""
        return self.document, dict(self.preferences), self.adopt, self.waive

    def refuse_other(self, document: str) -> None:
        """Raise OriginalRecordError if the settings are about another document."""
        if self.document != document:
            raise OriginalRecordError(
                f"{PARAMETER} is about {self.document}, and a region has one managed document. Destroy those "
                f"preferences before {document} is managed."
            )

    def refuse_late(self, request: Request) -> None:
        """Raise LateEventError for a copy of an event that a later apply has superseded.

        One that continues from the stored input is new: preferences may go back to what they were.
        """
        continues = request.previous_digest == self.input
        if request.event_digest in self.superseded and request.event_digest != self.event and not continues:
            raise LateEventError(
                f"This event was applied to {request.document} before, and a later apply has superseded it. If these "
                f"preferences are wanted again, {CALL_AGAIN}"
            )

    def resolve(self, call: Call, live: Mapping[str, object]) -> dict[str, Any]:
        """Return the preferences with their shell profiles, taken from `live` values where these are the same.

        Raises AppliedSettingsError if a text is missing or damaged.
        """
        references = self.preferences.get("shellProfile") or {}
        texts = {}
        for name, reference in references.items():
            text = live.get(f"inputs.shellProfile.{name}")
            same = isinstance(text, str) and sha256(text) == reference["sha256"]
            texts[name] = text if same else _fetch(call, reference)
        return {**self.preferences, "shellProfile": texts} if texts else dict(self.preferences)

    def request(self, event: Request, call: Call, live: Mapping[str, object]) -> Request:
        """Return an event's request with the stored settings in place of its own; raise as `resolve`."""
        preferences = self.resolve(call, live)
        return replace(event, preferences=preferences, previous={}, adopt=self.adopt, waive=frozenset(self.waive))


def encode(settings: AppliedSettings) -> str:
    """Return the parameter's value."""
    return json.dumps({"schema_version": _SCHEMA_VERSION, **vars(settings)}, ensure_ascii=False)


def decode(value: str) -> AppliedSettings:
    """Return the settings in a parameter's value; raise AppliedSettingsError if they are damaged."""
    try:
        return _decode(value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(f"it is no record of settings ({type(error).__name__})") from None


def _decode(value: str) -> AppliedSettings:
    content = json.loads(value)
    if content.pop("schema_version") != _SCHEMA_VERSION:
        raise ValueError("unknown version")
    settings = AppliedSettings(
        **{**content, "waive": tuple(content["waive"]), "superseded": tuple(content["superseded"])}
    )
    texts = settings.preferences.get("shellProfile") or {}
    sound = (
        all(isinstance(item, str) for item in (settings.document, settings.adopt, settings.input, settings.event))
        and all(isinstance(item, str) for item in (*settings.waive, *settings.superseded))
        and settings.adopt in {"replace", "merge", "fail"}
        and texts.keys() <= set(_TEXTS)
        and all(re.fullmatch("[0-9a-f]{64}", item["sha256"]) for item in texts.values())
        and all(type(item["parts"]) is int and 1 <= item["parts"] <= _MOST_PARTS for item in texts.values())
    )
    if not sound:
        raise ValueError("wrong types")
    return settings


def store(call: Call, settings: AppliedSettings, request: Request) -> None:
    """Store the settings of a request of Terraform; what they replace counts until the last call but the cleaning."""
    for text in _texts_of(request.preferences).values():
        for name, part in zip(_parts(_reference(text)), _split(text), strict=True):
            with tolerated("ParameterAlreadyExists"):
                call("ssm", "PutParameter", Name=name, Value=part, Type="String", Tier="Standard", Overwrite=False)
    call("ssm", "PutParameter", Name=PARAMETER, Value=encode(settings), Type="String", Tier="Standard", Overwrite=True)


def clean(call: Call, settings: AppliedSettings | None) -> None:
    """Delete the parts of texts that the settings do not name."""
    references = (settings.preferences.get("shellProfile") or {}).values() if settings else ()
    named = {name for reference in references for name in _parts(reference)}
    _delete(call, (item["Name"] for item in list(_stored_parts(call)) if item["Name"] not in named))


def forget(call: Call) -> None:
    """Delete the settings: from then on no repair writes."""
    _delete(call, [PARAMETER])


def _stored_parts(call: Call) -> Iterable[Mapping[str, Any]]:
    return pages(call, "Parameters", "NextToken", "ssm", "GetParametersByPath", Path=PARAMETER, Recursive=True)


def _delete(call: Call, names: Iterable[str]) -> None:
    for name in names:
        with tolerated("ParameterNotFound"):
            call("ssm", "DeleteParameter", Name=name)


def _texts_of(preferences: Mapping[str, Any]) -> dict[str, str]:
    profile = preferences.get("shellProfile") or {}
    return {name: profile[name] for name in _TEXTS if profile.get(name) is not None}


def _split(text: str) -> list[str]:
    # Ascii85 has no braces, two of which Parameter Store refuses.
    packed = base64.a85encode(zlib.compress(text.encode(errors="surrogatepass"), 9)).decode()
    return [packed[start : start + _PART] for start in range(0, len(packed), _PART)]


def _reference(text: str) -> dict[str, Any]:
    return {"sha256": sha256(text), "parts": len(_split(text))}


def _parts(reference: Mapping[str, Any]) -> list[str]:
    return [f"{PARAMETER}/{reference['sha256'][:32]}/{number}" for number in range(1, reference["parts"] + 1)]


def _fetch(call: Call, reference: Mapping[str, Any]) -> str:
    names, found = _parts(reference), {}
    for start in range(0, len(names), _NAMES_PER_CALL):
        answer = call("ssm", "GetParameters", Names=names[start : start + _NAMES_PER_CALL])
        found.update({item["Name"]: item["Value"] for item in answer["Parameters"]})
    try:
        packed = base64.a85decode("".join(found[name] for name in names))
        text = zlib.decompressobj().decompress(packed, _LARGEST_TEXT).decode(errors="surrogatepass")
    except (KeyError, ValueError, zlib.error) as error:
        raise _damaged(f"a shell profile of it is missing or damaged ({type(error).__name__})") from None
    if sha256(text) != reference["sha256"]:
        raise _damaged("a shell profile of it was changed")
    return text


def _damaged(reason: str) -> AppliedSettingsError:
    return AppliedSettingsError(
        f"{PARAMETER} cannot be used: {reason}. Nothing was written. To store the settings again, {CALL_AGAIN}"
    )
