"""What must never get into the project: other providers, endpoints, addresses of machines, empty reasons."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# The parts are put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package index": re.compile("|".join(["files\\." + "pythonhosted", "pypi\\." + "org", "registry\\." + "npmjs"])),
    "a path of a developer's machine": re.compile(
        "|".join(
            "/".join(["", *parts]) for parts in (["opt", "tf-plugins"], ["root", ""], ["Users", ""], ["work", "main"])
        )
    ),
    "an access key": re.compile(r"\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}\b"),
    "a private key": re.compile("BEGIN " + "(RSA |EC )?PRIVATE KEY"),
}


def committed_files() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = PROJECT / name
        if path.is_file() and path.suffix not in {".zip", ".png"}:
            yield name, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_file_holds(what: str) -> None:
    found = [name for name, text in committed_files() if FORBIDDEN[what].search(text)]
    assert found == []


def test_terraform_uses_the_aws_provider_only_and_no_endpoints() -> None:
    for name, text in committed_files():
        if name.endswith(".tf"):
            assert not re.search(r"^\s*endpoints\s*\{", text, flags=re.MULTILINE), name
            assert set(re.findall(r'source\s*=\s*"([a-z0-9.-]+/[a-z0-9-]+)"', text)) <= {"hashicorp/aws"}, name


def test_reusable_modules_hold_no_provider_and_no_backend() -> None:
    for name, text in committed_files():
        if name.startswith("modules/") and name.endswith(".tf"):
            assert not re.search(r'^(provider\s+"|\s*backend\s+")', text, flags=re.MULTILINE), name


def test_every_skipped_check_has_a_real_reason() -> None:
    skips = [
        (name, check, reason)
        for name, text in committed_files()
        if name.endswith(".tf")
        for check, reason in re.findall(r"#\s*checkov:skip=([A-Z0-9_]+):?(.*)", text)
    ]
    assert skips
    for name, check, reason in skips:
        assert len(reason.split()) >= 5, f"{name}: {check} is skipped without a reason"
        assert not re.search(r"\b(todo|fixme|add reason)\b", reason, flags=re.IGNORECASE), f"{name}: {check}"


def test_the_lock_file_covers_every_platform() -> None:
    lock = (PROJECT / ".terraform.lock.hcl").read_text()
    assert re.findall(r'provider "([^"]+)"', lock) == ["registry.terraform.io/hashicorp/aws"]
    assert len(re.findall(r'"zh:[0-9a-f]{64}"', lock)) >= 14
    assert 'version     = "5.100.0"' in lock
