"""--terraform-binary and OpenTofu: a stand-in that answers as OpenTofu does runs instead of terraform."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.session_manager_fleet.cli.conftest import TERRAFORM, Command, last_run, trace

# Its JSON has the name of Terraform's version and nothing about updates; its text names the product.
VERSION = """echo '{"terraform_version": "1.11.4"}'; exit ;;"""
TOFU = TERRAFORM.replace(
    VERSION,
    """
        case "$*" in *-json*) echo '{"terraform_version": "1.11.4", "platform": "linux_amd64"}' ;;
        *) printf 'OpenTofu v1.11.4\\non linux_amd64\\n' ;; esac; exit ;;""",
)
PASSPHRASE = "correct-horse-battery"
ENCRYPTION = f'key_provider "pbkdf2" "own" {{\n  passphrase = "{PASSPHRASE}"\n}}'


@pytest.fixture
def tofu(ready: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """OpenTofu beside the terraform of the PATH, which fails."""
    # Deletes at the end what the option leaves in the environment.
    monkeypatch.setenv("TERRAFORM", "")
    path = ready / "opentofu" / "tofu"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{TOFU}", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_named_program_runs_and_is_part_of_what_is_advised(ready: Path, tofu: Path, command: Command) -> None:
    (ready / "bin" / "terraform").write_text("#!/bin/sh\nexit 9\n")

    planned = command("plan", "--all", "--terraform-binary", str(tofu))

    assert planned.code == 2, planned.err
    assert len(trace(ready, "plan")) == 6
    folder, _ = last_run(ready)
    manifests = [json.loads(path.read_text()) for path in folder.rglob("bundle.json")]
    assert {manifest["origin"]["tools"]["terraform_version"] for manifest in manifests} == {"OpenTofu 1.11.4"}
    assert f"--terraform-binary {tofu}" in planned.out + planned.err


@pytest.mark.parametrize("before", [True, False])
def test_the_option_stands_before_or_after_the_command_and_wins_over_the_variable(
    ready: Path, tofu: Path, command: Command, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    old = ready / "opentofu" / "old"
    old.write_text(tofu.read_text().replace("1.11.4", "1.10.6"))
    old.chmod(0o755)
    monkeypatch.setenv("TERRAFORM", str(tofu))
    option = ("--terraform-binary", str(old))

    refused = command(*option, "plan", "--all") if before else command("plan", "--all", *option)

    assert refused.code == 64
    assert f"OpenTofu 1.11 or newer is needed; {old} is 1.10.6." in refused.err


def test_a_program_that_does_not_exist_is_refused(ready: Path, tofu: Path, command: Command) -> None:
    refused = command("plan", "--all", "--terraform-binary", f"{tofu}-of-tomorrow")

    assert refused.code == 64
    assert f"There is no program {tofu}-of-tomorrow: name Terraform or OpenTofu" in refused.err
    assert trace(ready, "plan") == []


def test_what_one_product_planned_the_other_does_not_apply(ready: Path, tofu: Path, command: Command) -> None:
    assert command("plan", "--all", "--terraform-binary", str(tofu)).code == 2
    folder, _ = last_run(ready)
    os.environ["TERRAFORM"] = ""

    refused = command("apply", folder.name, "--yes")

    assert refused.code == 1
    assert "The version of terraform" in refused.out + refused.err
    assert trace(ready, "apply") == []


def test_the_encryption_of_states_reaches_opentofu_and_no_log(
    ready: Path, tofu: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTofu reads TF_ENCRYPTION, and may repeat it where it cannot."""
    monkeypatch.setenv("TF_ENCRYPTION", ENCRYPTION)
    says = 'printf "%s" "$TF_ENCRYPTION" >"$HOME/encryption"; printf "Error: %s\\n" "$TF_ENCRYPTION" >&2; exit 1'
    tofu.write_text(tofu.read_text().replace('if [ "$1" = plan ]; then', f'if [ "$1" = plan ]; then {says};'))

    failed = command("plan", "--account", "Dev", "--region", "eu-west-1", "--terraform-binary", str(tofu))

    assert failed.code == 1
    assert (ready / "encryption").read_text() == ENCRYPTION
    folder, _ = last_run(ready)
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not [
        content for content in [*kept, failed.out.encode(), failed.err.encode()] if PASSPHRASE.encode() in content
    ]
