"""What Terraform produces, and the engines that judge it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from fleet.sandbox import Sandbox
from fleet.terraform import child_environment, find_terraform

FOLDER = Path(__file__).parent
MODULES = FOLDER.parents[1] / "modules"

# What is judged, in a member account; the targets are all that is made of it.
CONFIGURATION = """
provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "china"
  region = "cn-north-1"
}

module "instance_policy" {
  source              = "MODULES/instance_policy"
  session_key_regions = ["eu-west-1", "us-east-1"]
  session_key_arns    = ["arn:aws:kms:eu-west-1:999988887777:key/5e55105e-cb57-4552-8153-5e55105e5510"]
  s3 = {
    bucket_name = "example-session-logs"
    kms_key_arn = "arn:aws:kms:eu-west-1:999988887777:key/b0c4e70b-cb57-4552-8153-b0c4e70bb0c4"
  }
}

module "instance_policy_without_s3" {
  source = "MODULES/instance_policy"
}

module "instance_policy_china" {
  source    = "MODULES/instance_policy"
  providers = { aws = aws.china }
}

module "config_rule" {
  source      = "MODULES/config_rule"
  home_region = "eu-west-1"
  policy_arn  = "arn:aws:iam::ACCOUNT:policy/SessionManagerLogPolicy"

  excluded_role_names = ["break-glass", "legacy-*", "node?.prod+1"]
  excluded_role_paths = ["/platform/"]
}

module "preferences" {
  source = "MODULES/preferences"
  s3 = {
    enabled     = true
    bucket_name = "example-session-logs"
  }
}
"""
TARGETS = [
    "module.instance_policy.data.aws_iam_policy_document.this",
    "module.instance_policy_without_s3.data.aws_iam_policy_document.this",
    "module.instance_policy_china.data.aws_iam_policy_document.this",
    "module.config_rule.data.aws_iam_policy_document.permissions",
    "module.config_rule.data.aws_iam_policy_document.trust",
    "module.config_rule.aws_config_config_rule.this",
    "module.config_rule.aws_ssm_document.this",
    "module.preferences.data.aws_iam_policy_document.function",
    "module.preferences.data.aws_iam_policy_document.trust",
]


@dataclass(frozen=True)
class Products:
    """What Terraform makes of the modules.

    Attributes:
        account: The account of all of it.
        session_key: ARN of the key for session data.
        policies: Policy documents by module and name: `config_rule.permissions`.
        rule: Text of the Guard rule.
        document: Content of the Automation document.
    """

    account: str
    session_key: str
    policies: dict[str, dict[str, Any]]
    rule: str
    document: str


@pytest.fixture(scope="session")
def products(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Products:
    """The products in a member account, which is left as it was."""
    member, folder = sandbox.organization.members[0], tmp_path_factory.mktemp("products")
    text = CONFIGURATION.replace("MODULES", str(MODULES)).replace("ACCOUNT", member.id)
    (folder / "main.tf").write_text(text, encoding="utf-8")
    credentials = sandbox.session(member.id, sandbox.organization.home_region).get_credentials()
    assert credentials
    environment = {
        **child_environment({**os.environ, **sandbox.environment()}, folder, gogc="400"),
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": str(credentials.access_key),
        "AWS_SECRET_ACCESS_KEY": str(credentials.secret_key),
        "AWS_SESSION_TOKEN": str(credentials.token),
    }

    def terraform(*arguments: str) -> str:
        done = subprocess.run(
            [find_terraform(), *arguments, "-no-color"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    terraform("init", "-input=false")
    try:
        terraform("apply", "-auto-approve", "-input=false", *(f"-target={target}" for target in TARGETS))
        return _products(member.id, json.loads(terraform("show", "-json")))
    finally:
        terraform("destroy", "-auto-approve", "-input=false")


def _products(account: str, state: dict[str, Any]) -> Products:
    values = {
        (module["address"].removeprefix("module."), resource["type"], resource["name"]): resource["values"]
        for module in state["values"]["root_module"]["child_modules"]
        for resource in module["resources"]
    }
    rule = values["config_rule", "aws_config_config_rule", "this"]
    return Products(
        account=account,
        session_key=values["preferences", "aws_kms_key", "session_data"]["arn"],
        policies={
            f"{module}.{name}": json.loads(content["json"])
            for (module, kind, name), content in values.items()
            if kind == "aws_iam_policy_document"
        },
        rule=rule["source"][0]["custom_policy_details"][0]["policy_text"],
        document=values["config_rule", "aws_ssm_document", "this"]["content"],
    )


class Judge(Protocol):
    """Runs one of the programs beside this file."""

    def __call__(self, program: str, question: object, environment: dict[str, str] | None = None) -> Any:  # noqa: ANN401
        """Return the program's answer to a question, both of them JSON."""


@pytest.fixture(scope="session")
def packages() -> Path:
    """The installed packages of the judges."""
    folder = FOLDER / "node_modules"
    assert shutil.which("node"), "Node.js 20 or newer is needed for these tests: put node on the PATH."
    assert folder.is_dir(), "The judges are not installed: run the tests with `make test`."
    return folder


@pytest.fixture(scope="session")
def judge(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Runs programs with Node.js."""
    folder = tmp_path_factory.mktemp("answers")

    def ask(program: str, question: object, environment: dict[str, str] | None = None) -> Any:  # noqa: ANN401
        answer = folder / f"{program}.json"
        done = subprocess.run(
            ["node", str(packages.parent / program), str(answer)],
            input=json.dumps(question),
            env={**os.environ, **(environment or {})},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(answer.read_text(encoding="utf-8"))

    return ask


@pytest.fixture(scope="session")
def cfn_guard(packages: Path) -> str:
    """The cfn-guard binary for this machine."""
    system = {"Linux": "ubuntu", "Darwin": "macos"}[platform.system()]
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return str(packages / "@cdklabs" / "cdk-validator-cfnguard" / "bin" / system / machine / "cfn-guard")
