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

from aws_sandbox import Sandbox
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform.installation import child_environment, find_terraform

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

variable "log_archive_credentials" {
  type      = object({ access_key = string, secret_key = string, token = string })
  sensitive = true
}

provider "aws" {
  alias      = "log_archive"
  region     = "eu-west-1"
  access_key = var.log_archive_credentials.access_key
  secret_key = var.log_archive_credentials.secret_key
  token      = var.log_archive_credentials.token
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

module "instance_policy_central" {
  source = "MODULES/instance_policy"
  s3 = {
    bucket_name        = "example-session-logs"
    kms_key_account_id = "999988887777"
  }
  other_log_buckets = [{
    bucket_name        = "example-session-logs-us-east-1"
    kms_key_account_id = "999988887777"
  }]
}

module "instance_policy_without_s3" {
  source = "MODULES/instance_policy"
}

module "instance_policy_china" {
  source    = "MODULES/instance_policy"
  providers = { aws = aws.china }
}

module "member_policy" {
  source = "MODULES/instance_policy"
  s3 = {
    bucket_name        = "example-session-logs"
    bucket_account_id  = "LOG_ARCHIVE"
    kms_key_account_id = "LOG_ARCHIVE"
  }
}

module "instance_policy_own_bucket" {
  source = "MODULES/instance_policy"
  s3     = { bucket_name = "example-session-logs" }
}

module "log_archive" {
  source           = "MODULES/log_archive"
  providers        = { aws = aws.log_archive }
  organization_id  = "ORGANIZATION"
  bucket_name      = "example-session-logs"
  session_key      = { mode = "separate" }
  reader_role_arns = ["arn:aws:iam::ACCOUNT:role/SessionLogAuditor"]
}

module "vpc_endpoints" {
  source          = "MODULES/vpc_endpoints"
  organization_id = "ORGANIZATION"
  vpc_id          = "vpc-0a1b2c3d4e5f60718"
  subnet_ids      = ["subnet-0a1b2c3d4e5f60718"]
  route_table_ids = ["rtb-0a1b2c3d4e5f60718"]
}

module "operator_access" {
  source           = "MODULES/operator_access"
  regions          = ["eu-west-1", "us-east-1"]
  session_key_arns = ["arn:aws:kms:eu-west-1:999988887777:key/5e55105e-cb57-4552-8153-5e55105e5510"]
  operator = {
    instance_tags = { session-access = ["operators", "sre"] }
  }
  s3 = {
    bucket_name = "example-audited-logs"
    kms_key_arn = "arn:aws:kms:eu-west-1:999988887777:key/b0c4e70b-cb57-4552-8153-b0c4e70bb0c4"
  }
}

module "operator_access_forwarding" {
  source = "MODULES/operator_access"
  operator = {
    instance_tags   = { team = ["$${aws:PrincipalTag/team}"] }
    port_forwarding = { to_instance = true }
  }
}

module "guardrails" {
  source           = "MODULES/guardrails"
  exempt_role_arns = ["arn:aws:iam::*:role/AWSControlTowerExecution", "arn:aws:iam::*:role/break-glass"]

  log_archive = {
    bucket_name = "example-session-logs"
    key_aliases = ["alias/session-manager/log-archive", "alias/session-manager/organization-data"]
  }

  unlogged_session_role_arns = ["arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_DatabaseSupport_*"]
}

module "guardrails_more_documents" {
  source                   = "MODULES/guardrails"
  exempt_role_arns         = ["arn:aws:iam::*:role/AWSControlTowerExecution"]
  other_session_documents  = ["team-shell"]
  logged_session_documents = ["logged-shell"]
  deny                     = merge(local.nothing, { ssh = true, other_documents = true })
}

module "guardrails_any_document" {
  source           = "MODULES/guardrails"
  exempt_role_arns = ["arn:aws:iam::*:role/AWSControlTowerExecution"]
  deny             = merge(local.nothing, { ssh = true, port_forwarding = true })
}

module "guardrails_shared_bucket" {
  source           = "MODULES/guardrails"
  exempt_role_arns = ["arn:aws:iam::*:role/AWSControlTowerExecution"]
  log_archive      = { bucket_name = "example-shared-bucket", key_prefix = "sessionmanager" }
  deny             = merge(local.nothing, { instance_policy = true })
}

locals {
  nothing = {
    preferences            = false
    public_sharing         = false
    ssh                    = false
    port_forwarding        = false
    other_documents        = false
    keys                   = false
    log_groups             = false
    subscription_filters   = false
    account_log_policies   = false
    function               = false
    drift_repair           = false
    cloudtrail             = false
    config_rule            = false
    config_recorder        = false
    remediation_exceptions = false
    instance_policy        = false
    exempt_roles           = false
  }
}

module "config_rule" {
  source      = "MODULES/config_rule"
  home_region = "eu-west-1"
  policy_arn  = "arn:aws:iam::ACCOUNT:policy/SessionManagerLogPolicy"

  excluded_role_names = ["break-glass", "legacy-*", "node?.prod+1"]
  excluded_role_paths = ["/platform/"]
}

module "config_rule_inline" {
  source                   = "MODULES/config_rule"
  name                     = "inline"
  automation_document_name = "inline"
  home_region              = "eu-west-1"
  policy_arn               = "arn:aws:iam::ACCOUNT:policy/SessionManagerLogPolicy"
  excluded_role_paths      = ["/platform/"]
  nodes                    = { inline_at_quota = true, hybrid = false }
}

module "preferences_merged" {
  source = "MODULES/preferences"
  adopt  = "merge"
}

module "preferences_organization_key" {
  source      = "MODULES/preferences"
  session_key = { kms_key_arn = "arn:aws:kms:eu-west-1:LOG_ARCHIVE:key/5e55105e-cb57-4552-8153-5e55105e5510" }
}

module "preferences_lent_key" {
  source      = "MODULES/preferences"
  session_key = { organization_id = "ORGANIZATION" }
}

module "preferences" {
  source = "MODULES/preferences"
  s3 = {
    enabled     = true
    bucket_name = "example-session-logs"
  }
  drift_repair = {
    notify_topic_arn = "arn:aws:sns:eu-west-1:999988887777:repairs"
  }
  cloudwatch = {
    subscription = { destination_arn = "arn:aws:logs:eu-west-1:999988887777:destination:session-manager-logs" }
  }
}

module "log_destination" {
  source             = "MODULES/log_destination"
  organization_id    = "ORGANIZATION"
  account_ids        = ["111122223333"]
  target_arn         = "arn:aws:kinesis:us-east-1:ACCOUNT:stream/session-logs"
  target_kms_key_arn = "arn:aws:kms:us-east-1:ACCOUNT:key/5e55105e-cb57-4552-8153-5e55105e5510"
}
"""
TARGETS = [
    "module.instance_policy.data.aws_iam_policy_document.this",
    "module.instance_policy_central.data.aws_iam_policy_document.this",
    "module.instance_policy_without_s3.data.aws_iam_policy_document.this",
    "module.instance_policy_china.data.aws_iam_policy_document.this",
    "module.instance_policy_own_bucket.data.aws_iam_policy_document.this",
    "module.member_policy.data.aws_iam_policy_document.this",
    "module.log_archive.data.aws_iam_policy_document.bucket",
    "module.log_archive.data.aws_iam_policy_document.bucket_key",
    "module.log_archive.data.aws_iam_policy_document.session_key",
    "module.log_archive.aws_kms_key.session_data",
    "module.vpc_endpoints.data.aws_iam_policy_document.this",
    "module.operator_access.data.aws_iam_policy_document.operator",
    "module.operator_access.data.aws_iam_policy_document.auditor",
    "module.operator_access_forwarding.data.aws_iam_policy_document.operator",
    "module.guardrails.data.aws_iam_policy_document.this",
    "module.guardrails.data.aws_iam_policy_document.boundary",
    "module.guardrails_more_documents.data.aws_iam_policy_document.this",
    "module.guardrails_any_document.data.aws_iam_policy_document.this",
    "module.guardrails_shared_bucket.data.aws_iam_policy_document.this",
    "module.config_rule.data.aws_iam_policy_document.permissions",
    "module.config_rule.data.aws_iam_policy_document.trust",
    "module.config_rule_inline.data.aws_iam_policy_document.permissions",
    "module.config_rule_inline.aws_config_config_rule.this",
    "module.config_rule.aws_config_config_rule.this",
    "module.config_rule.aws_ssm_document.this",
    "module.preferences.data.aws_iam_policy_document.function",
    "module.preferences.data.aws_iam_policy_document.subscription",
    "module.preferences.data.aws_iam_policy_document.subscription_trust",
    "module.log_destination.data.aws_iam_policy_document.send",
    "module.log_destination.data.aws_iam_policy_document.senders",
    "module.log_destination.data.aws_iam_policy_document.trust",
    "module.preferences_merged.data.aws_iam_policy_document.function",
    "module.preferences.data.aws_iam_policy_document.trust",
    "module.preferences_organization_key.data.aws_iam_policy_document.function",
    "module.preferences_lent_key.data.aws_iam_policy_document.session_data_key",
    "module.preferences_lent_key.data.aws_iam_policy_document.logs_key",
]


@dataclass(frozen=True)
class Products:
    """What Terraform makes of the modules.

    Attributes:
        names: What a name in braces stands for: `account` for the account of all but the log archive.
        policies: Policy documents by module, name and key: `config_rule.permissions`, `vpc_endpoints.this.kms`.
        rule: Text of the Guard rule.
        inline_rule: The same where copies count, and roles of hybrid nodes are not judged.
        document: Content of the Automation document.
    """

    names: dict[str, str]
    policies: dict[str, dict[str, Any]]
    rule: str
    inline_rule: str
    document: str

    def fill(self, text: str) -> str:
        """A text with its names in braces replaced."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture(scope="session")
def products(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Products:
    """The products in the log archive and a member account, which are left as they were."""
    organization, folder = sandbox.organization, tmp_path_factory.mktemp("products")
    member, log_archive, *_ = organization.members
    names = {"account": member.id, "log_archive": log_archive.id, "organization": organization.id}
    text = CONFIGURATION.replace("MODULES", str(MODULES))
    for name, value in names.items():
        text = text.replace(name.upper(), value)
    (folder / "main.tf").write_text(text, encoding="utf-8")
    keys = _credentials(sandbox, member.id)
    environment = {
        **child_environment({**os.environ, **sandbox.environment()}, folder, COLLECT_LATE),
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": keys["access_key"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
        "AWS_SESSION_TOKEN": keys["token"],
        "TF_VAR_log_archive_credentials": json.dumps(_credentials(sandbox, log_archive.id)),
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
        return _products(names, json.loads(terraform("show", "-json")))
    finally:
        # Without a look at what was not a target, such as the VPC of the endpoints, which does not exist.
        terraform("destroy", "-auto-approve", "-input=false", "-refresh=false")


def _credentials(sandbox: Sandbox, account_id: str) -> dict[str, str]:
    credentials = sandbox.session(account_id, sandbox.organization.home_region).get_credentials()
    assert credentials
    return {
        "access_key": str(credentials.access_key),
        "secret_key": str(credentials.secret_key),
        "token": str(credentials.token),
    }


def _products(names: dict[str, str], state: dict[str, Any]) -> Products:
    def name(resource: dict[str, Any]) -> str:
        index = resource.get("index")
        return f"{resource['name']}.{index}" if isinstance(index, str) else str(resource["name"])

    values = {
        (module["address"].removeprefix("module."), resource["type"], name(resource)): resource["values"]
        for module in state["values"]["root_module"]["child_modules"]
        for resource in module["resources"]
    }
    rule, inline_rule = (
        values[module, "aws_config_config_rule", "this"]["source"][0]["custom_policy_details"][0]["policy_text"]
        for module in ("config_rule", "config_rule_inline")
    )
    return Products(
        names={
            **names,
            "session_key": values["preferences", "aws_kms_key", "session_data"]["arn"],
            "merging_session_key": values["preferences_merged", "aws_kms_key", "session_data"]["arn"],
            "bucket_key": values["log_archive", "aws_kms_key", "bucket"]["arn"],
            "organization_key": values["log_archive", "aws_kms_key", "session_data"]["arn"],
        },
        policies={
            f"{module}.{name}": json.loads(content["json"])
            for (module, kind, name), content in values.items()
            if kind == "aws_iam_policy_document"
        },
        rule=rule,
        inline_rule=inline_rule,
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
