"""The root module: the digest covers what terraform reads and nothing else."""

from pathlib import Path

import pytest

from session_manager_fleet.terraform.root_module import RootModule


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lock_file = 'provider "registry.terraform.io/hashicorp/aws" {\n  version     = "5.100.0"\n}\n'
    texts = {"main.tf": "# root\n", ".terraform.lock.hcl": lock_file, "modules/preferences/main.tf": "# module\n"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["main.tf", ".terraform.lock.hcl", "modules/preferences/main.tf", "modules/preferences/lambda.zip"]
)
def test_the_digest_is_that_of_what_terraform_reads(root: Path, name: str) -> None:
    before = RootModule(root).digest()
    with (root / name).open("a") as file:
        file.write("x")

    assert RootModule(root).digest() != before


def test_a_new_name_is_another_digest(root: Path) -> None:
    before = RootModule(root).digest()
    (root / "main.tf").rename(root / "other.tf")

    assert RootModule(root).digest() != before


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "modules/preferences/README.md", "modules/preferences/tests/x.yaml"),
        *("runs/1/tfplan", "modules/preferences/.terraform/x.tf", "modules/config_rule/automation/__pycache__/a.pyc"),
    ],
)
def test_other_files_are_not_part_of_it(root: Path, name: str) -> None:
    before = RootModule(root).digest()
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("x")

    assert RootModule(root).digest() == before


def test_the_version_of_the_provider_is_that_of_the_lock_file(root: Path) -> None:
    assert RootModule(root).provider_version == "5.100.0"
    (root / ".terraform.lock.hcl").unlink()
    assert RootModule(root).provider_version == ""
