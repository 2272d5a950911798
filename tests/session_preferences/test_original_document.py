"""The record of what was there survives the trip through Parameter Store, and a damaged one is never trusted."""

import base64
import json
import os
import zlib

import pytest
from hypothesis import given, strategies as st

from session_preferences.errors import OriginalRecordError
from session_preferences.original_document import Original, decode, encode

NAME = "SSM-SessionManagerRunShell"


def of(content: str) -> Original:
    return Original(
        NAME,
        existed=True,
        content=content,
        default_version="3",
        document_format="YAML",
        as_json=content[::-1],
        latest_version="7",
        shared_with=["111122223333", "all"],
    )


@given(st.text(min_size=1, max_size=3000))
def test_a_record_holds_every_text_exactly(content: str) -> None:
    value = encode(of(content))
    assert decode(value) == of(content)
    assert len(value.encode()) <= 8192
    assert "{{" not in value


def test_nothing_is_a_record_too() -> None:
    assert decode(encode(Original(NAME, existed=False))) == Original(NAME, existed=False)


def test_a_short_text_stays_readable_and_a_long_one_is_compressed() -> None:
    assert json.loads(encode(of("schemaVersion: '1.0'")))["content"] == "schemaVersion: '1.0'"
    assert json.loads(encode(of("x" * 60_000)))["content_encoding"] == "zlib+base64"
    assert json.loads(encode(of('{"a": "{{ssm:b}}"}')))["content_encoding"] == "zlib+base64"


def test_a_text_that_no_parameter_holds_is_refused_with_advice() -> None:
    with pytest.raises(OriginalRecordError, match=r"cannot be recorded and nothing was written\. Keep a copy"):
        encode(of(base64.b64encode(os.urandom(8000)).decode()))


def packed(data: bytes, **changes: object) -> str:
    record = json.loads(encode(of("x")))
    text = base64.b64encode(data).decode()
    return json.dumps({**record, "content_encoding": "zlib+base64", "content": text, **changes})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "{}",
        encode(of("x")).replace('"schema_version": 1', '"schema_version": 2'),
        encode(of("x")).replace('"plain"', '"rot13"'),
        encode(of("x")).replace('"content": "x"', '"content": null'),
        encode(of("x")).replace('"YAML"', '"TEXT"'),
        encode(of("x")).replace('"existed": true', '"existed": "no"').replace('"x"', "null"),
        encode(of("x")).replace("{", '{"more": 1, ', 1),
        packed(b"not compressed"),
        packed(zlib.compress(b"x" * 100)[:-6]),
        packed(zlib.compress(b"x" * 10_000_000)),
        packed(zlib.compress(b"\xff\xfe")),
        packed(b"", content="***"),
        encode(of("x")).replace('"111122223333"', '"1234"'),
        encode(of("x")).replace('["111122223333", "all"]', "7"),
    ],
)
def test_a_damaged_record_is_refused_with_advice(value: str) -> None:
    with pytest.raises(OriginalRecordError, match=r"is not a record of a document .* on_destroy"):
        decode(value)
