"""The record of the document before the first write, a parameter written once, so that it can be restored.

Its value is JSON: `{"schema_version": 1, "document": name, "existed": bool, "default_version", "latest_version",
"document_format", "shared_with": [account], "content_encoding": "plain" | "zlib+base64", "content", "as_json"}`, the
last one only where the document's own format is another. `existed` is null where an update found no record. Older
records lack `latest_version`, `shared_with`, `as_json`.
"""

import base64
import json
import re
import zlib
from dataclasses import asdict, dataclass, field

from .aws import Call
from .errors import OriginalRecordError, tolerated

PARAMETER = "/session-manager/original-document"
_SCHEMA_VERSION = 1
_STANDARD, _ADVANCED = 4096, 8192  # bytes that a parameter of the tier holds
_TEXTS = ("content", "as_json")
_LARGEST_CONTENT = 128 * 1024  # bytes, so that a forged record cannot fill the memory


@dataclass(frozen=True)
class Original:
    """The document before it was managed: the text of its default version, in its own format and as JSON.

    `existed` is False if there was none, and None if that is not known. In `shared_with`, "all" is everybody.
    """

    document: str
    existed: bool | None
    content: str | None = None
    default_version: str | None = None
    document_format: str | None = None
    as_json: str | None = None
    latest_version: str | None = None
    shared_with: list[str] = field(default_factory=list)

    @property
    def json_text(self) -> str | None:
        """Return the text as JSON; None if there was none, or only YAML was recorded."""
        return self.content if self.document_format == "JSON" else self.as_json


def encode(original: Original) -> str:
    """Return the parameter's value; raise OriginalRecordError if it does not fit even when compressed."""
    record = {"schema_version": _SCHEMA_VERSION, "content_encoding": "plain", **asdict(original)}
    value = json.dumps(record)
    # Parameter Store refuses double braces, and documents with references contain them.
    if original.content and (len(value) > _STANDARD or "{{" in value):
        packed = {name: _pack(record[name]) for name in _TEXTS if record[name]}
        value = json.dumps({**record, "content_encoding": "zlib+base64", **packed})
    if len(value) > _ADVANCED:
        raise OriginalRecordError(
            f"{original.document} takes {len(value)} bytes compressed and a parameter holds {_ADVANCED}, so it "
            "cannot be recorded and nothing was written. Keep a copy, shorten its shell profile, run it again."
        )
    return value


def _pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpack(text: str) -> str:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST_CONTENT).decode()
    if not unpacker.eof:
        raise ValueError("incomplete content")
    return content


def decode(value: str) -> Original:
    """Return the record in a parameter's value; raise OriginalRecordError if it is damaged."""
    try:
        return _decode(value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        # Without the error's text, which may quote the document.
        raise OriginalRecordError(
            f"{PARAMETER} is not a record of a document ({type(error).__name__}), so nothing can be restored from it. "
            'Correct it, or set on_destroy to "retain" and apply.'
        ) from None


def _decode(value: str) -> Original:
    record = json.loads(value)
    version, encoding = record.pop("schema_version"), record.pop("content_encoding")
    if version != _SCHEMA_VERSION or encoding not in {"plain", "zlib+base64"}:
        raise ValueError("unknown version")
    if encoding != "plain":
        record |= {name: _unpack(record[name]) for name in _TEXTS if record.get(name)}
    original = Original(**record)
    texts = (original.document, original.content, original.as_json, original.default_version, original.latest_version)
    if not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError("wrong types")
    numbers = (original.default_version, original.latest_version)
    if not all(text is None or re.fullmatch("[1-9][0-9]{0,9}", text, re.ASCII) for text in numbers):
        raise ValueError("versions are numbers")
    if original.existed is not None and not isinstance(original.existed, bool):
        raise ValueError("existed is neither true nor false")
    if original.existed and not (original.content and original.document_format in {"JSON", "YAML"}):
        raise ValueError("no content")
    if not all(re.fullmatch("all|[0-9]{12}", account) for account in original.shared_with):
        raise ValueError("shared_with has no accounts")
    return original


def read(call: Call) -> Original | None:
    """Return the record of this account and region, if there is one."""
    with tolerated("ParameterNotFound"):
        return decode(call("ssm", "GetParameter", Name=PARAMETER)["Parameter"]["Value"])
    return None


def record(call: Call, original: Original) -> None:
    """Write the record, unless there is one already."""
    value = encode(original)
    tier = "Standard" if len(value) <= _STANDARD else "Advanced"
    with tolerated("ParameterAlreadyExists"):
        call("ssm", "PutParameter", Name=PARAMETER, Value=value, Type="String", Tier=tier, Overwrite=False)


def forget(call: Call) -> None:
    """Remove the record, if there is one."""
    with tolerated("ParameterNotFound"):
        call("ssm", "DeleteParameter", Name=PARAMETER)
