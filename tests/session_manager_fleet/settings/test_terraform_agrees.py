"""The settings and the Terraform variables mean the same: equal defaults, and what one refuses, the other refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from session_manager_fleet.hcl import hcl
from session_manager_fleet.settings.schema import DeploymentRole
from session_manager_fleet.settings.target import TargetSettings

REPOSITORY = Path(__file__).parents[3]
ACCOUNT = "111122223333"
REGION = "eu-west-1"
TARGET = {"account_id": ACCOUNT, "region": REGION, "home_region": REGION}
PORTION = 40
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# Values as below `defaults` in organization.yaml; `deployment_role` is that of the organization.
Values = Mapping[str, Any]


def preferences(**values: object) -> Values:
    return {"preferences": values}


def names(**values: object) -> Values:
    return {"names": values}


def role(**values: object) -> Values:
    return {"deployment_role": {"name": "Deploy", **values}}


S3 = {"enabled": True, "bucket_name": "session-logs-of-all"}
NO_CLOUDWATCH = {"log_group_name": "", "create_log_group": False}

ACCEPTED: Mapping[str, Values] = {
    "defaults": {},
    "least of everything": preferences(
        idle_session_timeout=1,
        max_session_duration=2,
        cloudwatch={"retention_in_days": 0},
        function={"reserved_concurrent_executions": 1, "log_retention_in_days": 1},
        session_key={"enabled": False},
        adopt="merge",
        on_destroy="retain",
    ),
    "most of everything": preferences(
        idle_session_timeout=60,
        max_session_duration=1440,
        s3={**S3, "key_prefix": "logs/session=1/a.b_c-d", "kms_key_arn": KEY},
        cloudwatch={"retention_in_days": 3653, "streaming_enabled": True, "kms_key_arn": KEY},
        session_key={"kms_key_arn": KEY},
        run_as={"enabled": True, "default_user": "_host.name$"},
        shell_profile={"linux": 'cd "${HOME}"\nexec bash', "windows": "%{if}"},
        adopt="fail",
        on_destroy="reset",
        revision="2027-01-01",
    ),
    "no maximum, bucket only, multi-region key": preferences(
        max_session_duration=0,
        s3={**S3, "key_prefix": ""},
        cloudwatch=NO_CLOUDWATCH,
        session_key={"kms_key_arn": f"{KEY.partition('key/')[0]}key/mrk-{'0' * 32}"},
    ),
    "log group of somebody else": preferences(
        cloudwatch={"log_group_name": "/a/b_c.d#e-f", "create_log_group": False},
    ),
    "regions of keys and roles to attach to": {
        "instance_policy": {"regions": ["us-gov-west-1", "ap-southeast-2"], "attach_to_roles": ["web", "worker"]}
    },
    "basics of the agent": {
        "instance_policy": {"attach_to_roles": ["we+b=,.@-_"], "attach_managed_instance_core": True}
    },
    "excluded roles": {
        "config_rule": {
            "excluded_role_names": ["break-glass", "legacy-*", "node?", "a+=,.@-_", "*" * 63 + "a"],
            "excluded_role_paths": ["/platform/", "/a+=,.@-_/b/"],
        }
    },
    "remediation at its limits": {
        "config_rule": {
            "auto_remediation": True,
            "maximum_automatic_attempts": 25,
            "retry_attempt_seconds": 2_678_000,
            "concurrent_execution_rate_percentage": 100,
            "error_percentage": 1,
        }
    },
    "names at their limits": names(
        log_group="a" * 512,
        policy="Policy+=,.@-_",
        policy_path="/a/b+=,.@-_/",
        data_key_alias="alias/a/b_c-d",
        data_key_parameter="/a.b/c_d-e",
        document="abc",
        config_rule="a" * 128,
        automation_document="a" * 64,
        function="f" * 49,
    ),
    "tags": {"tags": {"Owner": "${name}", "cost centre": "é 日本"}},
    "role": role(name="teams/security/Deploy", external_id="a:b/c", session_name="me@example.com", duration="1h30m"),
}

REFUSED: Mapping[str, Values] = {
    "no idle timeout": preferences(idle_session_timeout=0),
    "idle timeout of an hour and more": preferences(idle_session_timeout=61, max_session_duration=120),
    "half minutes": preferences(idle_session_timeout=20.5),
    "negative duration": preferences(max_session_duration=-1),
    "session of more than a day": preferences(max_session_duration=1441),
    "maximum not above idle": preferences(max_session_duration=20),
    "bucket without a name": preferences(s3={"enabled": True}),
    "bucket with dots": preferences(s3={**S3, "bucket_name": "my.logs"}),
    "bucket with capitals": preferences(s3={**S3, "bucket_name": "Logs"}),
    "bucket with line end": preferences(s3={**S3, "bucket_name": "session-logs\n"}),
    "prefix with slash in front": preferences(s3={**S3, "key_prefix": "/a"}),
    "prefix with slash behind": preferences(s3={**S3, "key_prefix": "a/"}),
    "prefix with empty part": preferences(s3={**S3, "key_prefix": "a//b"}),
    "prefix that climbs": preferences(s3={**S3, "key_prefix": "a/../b"}),
    "prefix with wildcard": preferences(s3={**S3, "key_prefix": "a*"}),
    "key of bucket by alias": preferences(s3={**S3, "kms_key_arn": "alias/logs"}),
    "log group with blank": preferences(cloudwatch={"log_group_name": "a b"}),
    "log group too long": preferences(cloudwatch={"log_group_name": "a" * 513}),
    "no logs at all": preferences(cloudwatch=NO_CLOUDWATCH),
    "group without a name to create": preferences(s3=S3, cloudwatch={"log_group_name": ""}),
    "stream to nowhere": preferences(s3=S3, cloudwatch={**NO_CLOUDWATCH, "streaming_enabled": True}),
    "retention that CloudWatch lacks": preferences(cloudwatch={"retention_in_days": 91}),
    "key of logs by alias": preferences(cloudwatch={"kms_key_arn": "alias/logs"}),
    "session key by alias": preferences(session_key={"kms_key_arn": KEY.replace("key/", "alias/")}),
    "session key by id": preferences(session_key={"kms_key_arn": "1234abcd-12ab-34cd-56ef-1234567890ab"}),
    "session key with line end": preferences(session_key={"kms_key_arn": f"{KEY}\n"}),
    "session key with other digits": preferences(session_key={"kms_key_arn": KEY.replace("1111", "\u0661" * 4)}),
    "session key without use": preferences(session_key={"enabled": False, "kms_key_arn": KEY}),
    "run as nobody": preferences(run_as={"enabled": True}),
    "run as root": preferences(run_as={"enabled": True, "default_user": "root"}),
    "run as a command": preferences(run_as={"enabled": True, "default_user": "a;id"}),
    "run as two lines": preferences(run_as={"enabled": True, "default_user": "ec2-user\n"}),
    "run as capitals": preferences(run_as={"enabled": True, "default_user": "Admin"}),
    "run as too long": preferences(run_as={"enabled": True, "default_user": "a" * 33}),
    "adopt otherwise": preferences(adopt="overwrite"),
    "destroy otherwise": preferences(on_destroy="delete"),
    "no reserved concurrency": preferences(function={"reserved_concurrent_executions": 0}),
    "retention of the function": preferences(function={"log_retention_in_days": 91}),
    "no region of keys": {"instance_policy": {"regions": []}},
    "region that is none": {"instance_policy": {"regions": ["Ireland"]}},
    "role to attach to by its path": {"instance_policy": {"attach_to_roles": ["team/web"]}},
    "role to attach to by a pattern": {"instance_policy": {"attach_to_roles": ["web*"]}},
    "basics for no role": {"instance_policy": {"attach_managed_instance_core": True}},
    "excluded name with a path": {"config_rule": {"excluded_role_names": ["team/web"]}},
    "excluded name with a blank": {"config_rule": {"excluded_role_names": ["web worker"]}},
    "excluded name with a class": {"config_rule": {"excluded_role_names": ["web[0-9]"]}},
    "excluded name of nothing": {"config_rule": {"excluded_role_names": [""]}},
    "excluded name too long": {"config_rule": {"excluded_role_names": ["a" * 65]}},
    "excluded path without end": {"config_rule": {"excluded_role_paths": ["/platform"]}},
    "excluded path without begin": {"config_rule": {"excluded_role_paths": ["platform/"]}},
    "excluded path of everything": {"config_rule": {"excluded_role_paths": ["/"]}},
    "excluded path with wildcard": {"config_rule": {"excluded_role_paths": ["/team*/"]}},
    "excluded path too long": {"config_rule": {"excluded_role_paths": [f"/{'a' * 511}/"]}},
    "no attempts": {"config_rule": {"maximum_automatic_attempts": 0}},
    "too many attempts": {"config_rule": {"maximum_automatic_attempts": 26}},
    "no retry time": {"config_rule": {"retry_attempt_seconds": 0}},
    "too long a retry time": {"config_rule": {"retry_attempt_seconds": 2_678_001}},
    "no concurrency": {"config_rule": {"concurrent_execution_rate_percentage": 0}},
    "too much concurrency": {"config_rule": {"concurrent_execution_rate_percentage": 101}},
    "no error percentage": {"config_rule": {"error_percentage": 0}},
    "too high an error percentage": {"config_rule": {"error_percentage": 101}},
    "name of log group": names(log_group="a:b"),
    "name of policy": names(policy="a b"),
    "name of policy too long": names(policy="a" * 129),
    "path of policy without end": names(policy_path="/a"),
    "path of policy with empty part": names(policy_path="//"),
    "alias without prefix": names(data_key_alias="session-manager/data"),
    "alias of AWS": names(data_key_alias="alias/aws/ssm"),
    "alias of logs of AWS": names(logs_key_alias="alias/aws/logs"),
    "one alias for both": names(logs_key_alias="alias/session-manager/data"),
    "relative parameter": names(data_key_parameter="key"),
    "parameter with end": names(data_key_parameter="/a/"),
    "parameter of AWS": names(data_key_parameter="/AWS/key"),
    "parameter of Systems Manager": names(data_key_parameter="/ssm-key"),
    "name of document": names(document="ab"),
    "name of document with blank": names(document="a b c"),
    "name of rule": names(config_rule="a b"),
    "name of automation": names(automation_document="ab"),
    "name of automation too long": names(automation_document="a" * 65),
    "name of automation of AWS": names(automation_document="AWS-Attach"),
    "name of function": names(function="a.b"),
    "name of function too long": names(function="f" * 50),
    "role by ARN": role(name=f"arn:aws:iam::{ACCOUNT}:role/Deploy"),
    "role with slash in front": role(name="/Deploy"),
    "role with empty part": role(name="a//Deploy"),
    "role without a name": role(name="a/"),
    "role too long": role(name="a" * 65),
    "session name too short": role(session_name="a"),
    "session name with blank": role(session_name="a b"),
    "duration without a unit": role(duration="60"),
    "no duration": role(duration=""),
}

CASES = {**{f"accepted: {name}": v for name, v in ACCEPTED.items()}, **{f"refused: {n}": v for n, v in REFUSED.items()}}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: value for key, value in above.items() if key not in below}
    for key, value in below.items():
        over = above.get(key, value)
        both[key] = merged(value, over) if isinstance(value, dict) and key != "tags" else over
    return both


DEFAULTS = TargetSettings().model_dump()
NAMES_OF_PREFERENCES = ("document", "data_key_alias", "data_key_parameter", "logs_key_alias", "function")


def component_inputs(values: Values) -> dict[str, dict[str, Any]]:
    """What the root module hands to its component modules, which check most values."""
    full = merged(DEFAULTS, values)
    wanted, named = full["preferences"], full["names"]
    group = wanted["cloudwatch"]["log_group_name"]
    group = named["log_group"] if group is None else group
    return {
        "preferences": {
            **{key: value for key, value in wanted.items() if key != "enabled"},
            "cloudwatch": {**wanted["cloudwatch"], "log_group_name": group},
            "names": {name: named[name] for name in NAMES_OF_PREFERENCES},
        },
        "instance_policy": {
            "name": named["policy"],
            "path": named["policy_path"],
            "log_group_name": group,
            "session_key_alias": named["data_key_alias"],
            "session_key_regions": full["instance_policy"]["regions"],
            "session_key_arns": [arn for arn in [wanted["session_key"]["kms_key_arn"]] if arn is not None],
            "attach_to_roles": full["instance_policy"]["attach_to_roles"],
            "attach_managed_instance_core": full["instance_policy"]["attach_managed_instance_core"],
            "s3": wanted["s3"] if wanted["s3"]["enabled"] else None,
        },
        "config_rule": {
            "name": named["config_rule"],
            "automation_document_name": named["automation_document"],
            "home_region": REGION,
            "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy{named['policy_path']}{named['policy']}",
            **{key: value for key, value in full["config_rule"].items() if key != "enabled"},
        },
    }


@dataclass(frozen=True)
class Verdicts:
    """What terraform says: the defaults of the root module, and its errors by case."""

    defaults: Mapping[str, Any]
    errors: Mapping[str, list[str]]


def copy_variables(source: Path, folder: Path) -> None:
    """Copy the variables of a module without its resources, so that no provider is needed."""
    folder.mkdir()
    text = (source / "variables.tf").read_text(encoding="utf-8")
    text = re.sub(r"data\.aws_region\.current\.\w+", f'"{REGION}"', text)
    (folder / "variables.tf").write_text(text, encoding="utf-8")


def terraform(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "GOGC": "400"}
    environment["TF_WORKSPACE"] = ACCOUNT
    done = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    assert not done.stderr.replace("Warning", ""), done.stderr
    return done.stdout


def inputs_of(values: Values) -> dict[str, dict[str, Any]]:
    """Return the inputs of every module that has something to say about these values."""
    defaults = component_inputs({})
    inputs = {name: given for name, given in component_inputs(values).items() if given != defaults[name]}
    return inputs if inputs else {"root": {**TARGET, **values}}


def errors_of(cases: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """Plan all cases at once, and again without those that were refused: terraform does not check all at once."""
    folder.mkdir()
    errors: dict[str, list[str]] = {case: [] for case in cases}
    while True:
        blocks = [
            f'module "case_{number}_{module}" {{\n'
            + "".join(f"  {name} = {hcl(value, 2)}\n" for name, value in {"source": f"../{module}", **inputs}.items())
            + "}\n"
            for number, case in enumerate(cases)
            for module, inputs in inputs_of(CASES[case]).items()
            if not errors[case]
        ]
        (folder / "main.tf").write_text("\n".join(blocks), encoding="utf-8")
        terraform(folder, "init", "-input=false", "-no-color")
        messages = [json.loads(line) for line in terraform(folder, "plan", "-json", "-input=false").splitlines()]
        refused = [message["diagnostic"] for message in messages if message["@level"] == "error"]
        if not refused:
            return errors
        for diagnostic in refused:
            found = re.fullmatch(r'module "case_(\d+)_\w+"', diagnostic["snippet"]["context"])
            assert found, diagnostic
            errors[cases[int(found[1])]].append(f"{diagnostic['summary']}: {diagnostic['detail']}")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Ask the real terraform about all cases, in portions: the time of a plan grows faster than their number."""
    if shutil.which("terraform") is None:
        pytest.fail("Terraform is needed on the PATH.")
    folder = tmp_path_factory.mktemp("agreement")
    copy_variables(REPOSITORY, folder / "root")
    for component in component_inputs({}):
        copy_variables(REPOSITORY / "modules" / component, folder / component)

    errors: dict[str, list[str]] = {}
    for start in range(0, len(CASES), PORTION):
        errors |= errors_of(list(CASES)[start : start + PORTION], folder / f"cases_{start}")

    root = folder / "root"
    (root / "outputs.tf").write_text(
        "".join(f'output "{name}" {{\n  value = var.{name}\n}}\n' for name in ("deployment_role", *DEFAULTS)),
        encoding="utf-8",
    )
    (root / "terraform.tfvars").write_text(
        "".join(f"{name} = {hcl(value)}\n" for name, value in {**TARGET, **role()}.items()), encoding="utf-8"
    )
    terraform(root, "apply", "-auto-approve", "-input=false", "-no-color")
    state = json.loads((root / "terraform.tfstate.d" / ACCOUNT / "terraform.tfstate").read_text(encoding="utf-8"))
    return Verdicts({name: output["value"] for name, output in state["outputs"].items()}, errors)


def refused_by_settings(values: Values) -> list[str]:
    try:
        TargetSettings.model_validate({key: value for key, value in values.items() if key != "deployment_role"})
        DeploymentRole.model_validate(values.get("deployment_role", {"name": "Deploy"}))
    except ValidationError as error:
        return [str(detail["msg"]) for detail in error.errors()]
    return []


def test_every_attribute_has_the_default_of_the_root_module(verdicts: Verdicts) -> None:
    expected = {
        **DEFAULTS,
        "deployment_role": DeploymentRole(name="Deploy").model_dump(exclude={"in_management_account"}),
    }

    assert verdicts.defaults == expected


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_the_settings_accept_terraform_accepts(verdicts: Verdicts, case: str) -> None:
    assert refused_by_settings(ACCEPTED[case]) == []
    assert verdicts.errors[f"accepted: {case}"] == []


@pytest.mark.parametrize("case", REFUSED)
def test_what_terraform_refuses_the_settings_refuse_before(verdicts: Verdicts, case: str) -> None:
    assert refused_by_settings(REFUSED[case])
    assert verdicts.errors[f"refused: {case}"]
