"""docs/sandbox.md: the files, tests and parts of AWS's API models that it names exist."""

import re
from functools import cache
from pathlib import Path

import botocore.loaders
import botocore.model
import pytest
from botocore.exceptions import UnknownServiceError

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "sandbox.md"
STRICT = PROJECT / "scripts" / "aws_sandbox" / "strict"
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| AWS ", "| the agent |"))
]


@cache
def parts_of_model(service: str) -> set[str]:
    """Return the operations and shapes of a service in botocore's model."""
    try:
        model = botocore.loaders.create_loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        return set()
    return {*model["operations"], *model["shapes"]}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row(row: list[str]) -> None:
    assert len(row) == 4
    _, source, sandbox, tests = row
    for service, part in re.findall(r"botocore `([\w-]+)\.(\w+)`", source):
        assert part in parts_of_model(service), f"botocore has no {service}.{part}"
    assert re.search(r"https://|botocore `", source), "a row needs a source"
    files = re.findall(r"[\w/]+\.py\b", sandbox)
    assert files or sandbox == "moto"
    assert [file for file in files if not (PROJECT / file).is_file()] == []
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", tests)
    assert named, "a row needs a test of the product"
    for file, test in named:
        assert re.search(
            rf"^    def {test}\(|^def {test}\(", (PROJECT / file).read_text(encoding="utf-8"), re.MULTILINE
        )


def test_every_module_of_refusals_has_a_row() -> None:
    named = {file for row in ROWS for file in re.findall(r"[\w/]+\.py\b", row[2])}
    modules = {str(file.relative_to(PROJECT)) for file in STRICT.glob("*.py") if file.stem != "__init__"}
    assert modules - named == set()
