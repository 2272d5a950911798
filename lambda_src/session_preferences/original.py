"""The record of what was there before the first write, a parameter written once, so that it can be given back.

Its value is JSON: `{"schema_version": 1, "document": name, "existed": bool, "default_version",
"document_format", "content_encoding": "plain" | "zlib+base64", "content"}`.
"""

import base64
import json
import zlib
from dataclasses import asdict, dataclass

from .aws import Call
from .errors import OriginalRecordError, tolerated

PARAMETER = "/session-manager/original-document"
_SCHEMA_VERSION = 1
_STANDARD, _ADVANCED = 4096, 8192  # bytes that a parameter of the tier holds
_LARGEST_CONTENT = 128 * 1024  # bytes, so that a forged record cannot fill the memory


@dataclass(frozen=True, slots=True)
class Original:
    """What was there: nothing, or a document with the text of its default version."""

    document: str
    existed: bool
    content: str | None = None
    default_version: str | None = None
    document_format: str | None = None


def encode(original: Original) -> str:
    """The parameter's value; raises OriginalRecordError if it does not fit even when compressed."""
    record = {"schema_version": _SCHEMA_VERSION, "content_encoding": "plain", **asdict(original)}
    value = json.dumps(record)
    # Parameter Store refuses double braces, and documents with references contain them.
    if original.content and (len(value) > _STANDARD or "{{" in value):
        packed = base64.b64encode(zlib.compress(original.content.encode(), 9)).decode()
        value = json.dumps({**record, "content_encoding": "zlib+base64", "content": packed})
    if len(value) > _ADVANCED:
        raise OriginalRecordError(
            f"{original.document} takes {len(value)} bytes compressed and a parameter holds {_ADVANCED}, so it "
            "cannot be recorded and nothing was written. Keep a copy, shorten its shell profile, run it again."
        )
    return value


def decode(value: str) -> Original:
    """The record in a parameter's value; raises OriginalRecordError if it is none."""
    try:
        return _decode(value)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise OriginalRecordError(
            f"{PARAMETER} is not a record of a document ({error}), so nothing can be given back from it. Put it "
            'right, or set on_destroy to "retain" and apply.'
        ) from None


def _decode(value: str) -> Original:
    record = json.loads(value)
    version, encoding = record.pop("schema_version"), record.pop("content_encoding")
    if version != _SCHEMA_VERSION or encoding not in {"plain", "zlib+base64"}:
        raise ValueError("unknown version")
    if encoding != "plain":
        unpacker = zlib.decompressobj()
        packed = base64.b64decode(record["content"], validate=True)
        record["content"] = unpacker.decompress(packed, _LARGEST_CONTENT).decode()
        if not unpacker.eof:
            raise ValueError("incomplete content")
    original = Original(**record)
    if original.existed is not False and not (original.content and original.document_format in {"JSON", "YAML"}):
        raise ValueError("no content")
    return original


def read(call: Call) -> Original | None:
    """The record of this account and region, if there is one."""
    with tolerated("ParameterNotFound"):
        return decode(call("ssm", "GetParameter", Name=PARAMETER)["Parameter"]["Value"])
    return None


def record(call: Call, original: Original) -> None:
    """Write the record, unless there is one."""
    value = encode(original)
    tier = "Standard" if len(value) <= _STANDARD else "Advanced"
    with tolerated("ParameterAlreadyExists"):
        call("ssm", "PutParameter", Name=PARAMETER, Value=value, Type="String", Tier=tier, Overwrite=False)


def forget(call: Call) -> None:
    """Remove the record, if there is one."""
    with tolerated("ParameterNotFound"):
        call("ssm", "DeleteParameter", Name=PARAMETER)
