"""The Terraform code against what version 6 of the AWS provider knows (tools/provider_6.json).

Version 5 judges the same code by `terraform validate`; version 6 cannot be run here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import hcl2
import pytest

from tools.provider_schema import FILE, REPOSITORY, terraform_files, used_types

SCHEMA: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
META = {"count", "depends_on", "for_each", "lifecycle", "provider", "provisioner", "connection"}
RANGE = ">= 5.84.0, < 7.0.0"
_REFERENCE = re.compile(r"(?<![\w.])(data\.)?(aws_\w+)\.\w+(?:\[[^\[\]]*\])?\.(\w+)")
_BLOCK = re.compile(r'^(resource|data) "(aws_\w+)" "\w+" \{\n(.*?)^\}', re.M | re.S)


def _plain(name: str) -> str:
    return name.strip('"')


def _uses(blocks: Mapping[str, Any], known: Mapping[str, Any] | None, path: str) -> Iterator[str]:
    """What a block sets that the schema does not have, nested and dynamic blocks included."""
    of_resource = path.count(".") == path.startswith("data.")
    for quoted, values in blocks.items():
        name = _plain(quoted)
        if name == "dynamic":
            for dynamic in values:
                for label, body in dynamic.items():
                    if not label.startswith("__"):
                        yield from _uses({label: [body["content"][0]]}, known, path)
        elif not name.startswith("__") and not (of_resource and name in META):
            if known is not None and name not in known:
                yield f"{path}.{name}"
            for value in values if isinstance(values, list) else ():
                if isinstance(value, dict) and known and known.get(name):
                    yield from _uses(value, known[name], f"{path}.{name}")


def _blocks(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parsed = hcl2.loads(text)
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for one in parsed.get(kind, []):
            for label, instances in one.items():
                yield from ((prefix + _plain(label), body) for body in instances.values())


def _references(text: str) -> Iterator[tuple[str, str]]:
    yield from (((data or "") + kind, attribute) for data, kind, attribute in _REFERENCE.findall(text))
    for block, kind, body in _BLOCK.findall(text):
        name = ("data." if block == "data" else "") + kind
        yield from ((name, attribute) for attribute in re.findall(r"\bself\.(\w+)", body))


def _judge(name: str, attribute: str) -> Iterator[str]:
    known = SCHEMA["types"][name]
    if attribute not in known["set"] and attribute not in known["computed"]:
        yield f"{name}.{attribute}"
    for reason in (known["deprecated"].get(attribute), known["changed"].get(attribute)):
        if reason:
            yield f"{name}.{attribute}: {reason}"
    if attribute == "region" and not name.startswith("data."):
        yield f"{name}.region: version 5 does not have it"


def unknown(text: str) -> list[str]:
    """Arguments, blocks and attributes that version 6 does not know, deprecates, or changed in meaning."""
    found: list[str] = []
    for name, body in _blocks(text):
        if name not in SCHEMA["types"]:
            found.append(f"{name} is not in {FILE.name}")
            continue
        known = SCHEMA["types"][name]
        found += _uses(body, known["set"], name)
        found += [
            f"{name}.{_plain(argument)}: {known['deprecated'][_plain(argument)]}"
            for argument in body
            if _plain(argument) in known["deprecated"]
        ]
    for name, attribute in _references(text):
        if name in SCHEMA["types"]:
            found += _judge(name, attribute)
    return found


@pytest.mark.parametrize("file", [str(file.relative_to(REPOSITORY)) for file in terraform_files(REPOSITORY)])
def test_every_argument_and_attribute_is_known_to_both_versions(file: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    # The only attribute whose meaning changed: where version 6 has another one, that is asked first.
    text = re.sub(r'lookup\(self, "bucket_region", self\.region\)', '"region"', text)
    assert unknown(text) == []


def test_the_file_is_of_the_types_that_are_used() -> None:
    assert sorted(SCHEMA["types"]) == used_types(REPOSITORY)
    assert re.fullmatch(r"6\.\d+\.\d+", SCHEMA["provider"])
    assert all(re.fullmatch(r"(cdktn|pulumi)_aws-[\d.]+-py3-none-any\.whl", source) for source in SCHEMA["sources"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("locals {\n  region = data.aws_region.current.name\n}\n", "data.aws_region.name: name is deprecated"),
        ("locals {\n  region = data.aws_region.current.id\n}\n", "data.aws_region.id: Use 'region'"),
        ("locals {\n  region = data.aws_s3_bucket.existing[0].region\n}\n", "data.aws_s3_bucket.region: the region of"),
        ("locals {\n  region = aws_s3_bucket.this[0].region\n}\n", "aws_s3_bucket.region: version 5"),
        ('resource "aws_s3_bucket" "this" {\n  acl = "private"\n}\n', "aws_s3_bucket.acl: acl is deprecated"),
        ('resource "aws_kms_key" "this" {\n  rotation = true\n}\n', "aws_kms_key.rotation"),
        (
            'resource "aws_config_config_rule" "this" {\n  source {\n    owners = "AWS"\n  }\n}\n',
            "aws_config_config_rule.source.owners",
        ),
        (
            'resource "aws_sqs_queue" "this" {\n  dynamic "rule" {\n    for_each = []\n    content {\n    }\n  }\n}\n',
            "aws_sqs_queue.rule",
        ),
        ("locals {\n  arn = aws_sqs_queue.this.arns\n}\n", "aws_sqs_queue.arns"),
        ('resource "aws_eip" "this" {\n  vpc = true\n}\n', "aws_eip is not in"),
    ],
)
def test_a_planted_use_is_found(text: str, expected: str) -> None:
    found = unknown(text)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_root_modules_and_examples_accept_both_versions() -> None:
    files = [
        REPOSITORY / "versions.tf",
        *(REPOSITORY / "modules").glob("*/versions.tf"),
        *(REPOSITORY / "examples").glob("*/versions.tf"),
    ]
    for file in files:
        assert f'version = "{RANGE}"' in file.read_text(encoding="utf-8"), file
