"""What the tests of the fleet library share: a clean environment, an organization and settings for it."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import boto3
import pytest

from session_manager_fleet.accounts.model import LOG_ARCHIVE, MANAGEMENT, Account, Organization
from session_manager_fleet.settings import Settings, load_settings

HEAD = """\
schema_version: 1
organization:
  id: o-exampleorgid
  home_region: eu-west-1
  regions: [eu-west-1, us-east-1]
  deployment_role: {name: AWSControlTowerExecution}
  accounts: {source: file, path: accounts.yaml}
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the caller's AWS and Terraform settings out, and instance metadata too."""
    for name in os.environ:
        if name.startswith(("AWS_", "TF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that only an emulator accepts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")


@pytest.fixture
def create_organization(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Create the caller's organization in moto, with an id."""

    def create(organization_id: str = "o-exampleorgid") -> None:
        monkeypatch.setattr("moto.organizations.utils.make_random_org_id", lambda: organization_id)
        client = boto3.client("organizations", region_name="us-east-1")
        # Fixtures that share an emulated account may each ask for it.
        with suppress(client.exceptions.AlreadyInOrganizationException):
            client.create_organization()

    return create


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a text, freed from its indentation, to a file of the test's own folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def settings_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write an organization.yaml: seven lines that say which organization, then the lines of the test."""

    def write(rest: str = "") -> Path:
        path = tmp_path / "organization.yaml"
        path.write_text(HEAD + dedent(rest), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_settings(settings_file: Callable[[str], Path], organization: Organization) -> Callable[[str], Settings]:
    """Load the settings of `settings_file` and complete them with `organization`."""
    return lambda rest: Settings.of(load_settings(settings_file(rest)), organization, "eu-west-1")


@pytest.fixture
def organization() -> Organization:
    """Five accounts, one of them suspended, and an organizational unit without accounts."""
    return Organization(
        id="o-exampleorgid",
        accounts=(
            Account("100000000001", "Management", role=MANAGEMENT),
            Account("111122223333", "Payments Prod", ou="Workloads/Prod", tags={"data": "restricted"}),
            Account("222233334444", "payments-dev", ou="Workloads/NonProd", tags={"data": "public", "env": "dev"}),
            Account("333344445555", "Legacy", ou="Workloads/Prod/Old", state="SUSPENDED"),
            Account("444455556666", "Log Archive", ou="Security", role=LOG_ARCHIVE),
        ),
        organizational_units=("Empty", "Security", "Workloads", "Workloads/NonProd", "Workloads/Prod"),
    )


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """Write a shell script that stands in for the terraform executable, alone in its folder."""

    def write(body: str) -> Path:
        path = tmp_path / "bin" / "terraform"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{dedent(body)}", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write
