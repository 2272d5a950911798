"""One set of rules in three places: what the function, the Terraform module and the settings file accept and refuse."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fleet.settings_file import Preferences
from fleet.terraform import find_terraform
from fleet.tfvars import hcl
from session_preferences.document import build, check
from session_preferences.errors import InvalidPreferencesError, PreferencesError
from session_preferences.request import parse_event

pytestmark = pytest.mark.terraform

MODULES = Path(__file__).parents[2] / "modules"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOWHERE = {"create_log_group": False, "log_group_name": ""}
BUCKET = {"enabled": True, "bucket_name": "session-logs"}

# The preferences as in organization.yaml, and whether they are accepted: by all three, or by none.
CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "defaults": ({}, True),
    "shortest": ({"idle_session_timeout": 1, "max_session_duration": 2}, True),
    "longest": ({"idle_session_timeout": 60, "max_session_duration": 1440}, True),
    "no maximum": ({"idle_session_timeout": 60, "max_session_duration": 0}, True),
    "no idle time": ({"idle_session_timeout": 0}, False),
    "too idle": ({"idle_session_timeout": 61, "max_session_duration": 120}, False),
    "too long": ({"max_session_duration": 1441}, False),
    "maximum not above idle": ({"max_session_duration": 20}, False),
    "bucket only": ({"s3": BUCKET, "cloudwatch": NOWHERE}, True),
    "bucket with dots": ({"s3": {**BUCKET, "bucket_name": "session.logs"}}, False),
    "bucket in capitals": ({"s3": {**BUCKET, "bucket_name": "Logs"}}, False),
    "prefix in parts": ({"s3": {**BUCKET, "key_prefix": "a/b=1/c.d_e-f"}}, True),
    "prefix from the root": ({"s3": {**BUCKET, "key_prefix": "/a"}}, False),
    "prefix that climbs": ({"s3": {**BUCKET, "key_prefix": "a/../b"}}, False),
    "log group of somebody": ({"cloudwatch": {"create_log_group": False, "log_group_name": "/a/b_c.d#e-f"}}, True),
    "log group with a blank": ({"cloudwatch": {"log_group_name": "a b"}}, False),
    "log group too long": ({"cloudwatch": {"log_group_name": "a" * 513}}, False),
    "no logs": ({"cloudwatch": NOWHERE}, False),
    "no logs, waived": ({"cloudwatch": NOWHERE, "waive": ["no_log_destination"]}, True),
    "no logs, another rule waived": ({"cloudwatch": NOWHERE, "waive": ["run_as_by_tag"]}, False),
    "key": ({"session_key": {"kms_key_arn": KEY}}, True),
    "key that is none": ({"session_key": {"kms_key_arn": "my key"}}, False),
    "run as": ({"run_as": {"enabled": True, "default_user": "operator"}}, True),
    "run as a service account": ({"run_as": {"enabled": True, "default_user": "_host.name$"}}, True),
    "run as nobody": ({"run_as": {"enabled": True}}, False),
    "run as by tag": ({"run_as": {"enabled": True}, "waive": ["run_as_by_tag"]}, True),
    "run as nobody, another rule waived": ({"run_as": {"enabled": True}, "waive": ["no_log_destination"]}, False),
    "run as root": ({"run_as": {"enabled": True, "default_user": "root"}}, False),
    "run as root, waived": ({"run_as": {"enabled": True, "default_user": "root"}, "waive": ["run_as_by_tag"]}, False),
    "run as a command": ({"run_as": {"enabled": True, "default_user": "a;id"}}, False),
    "run as capitals": ({"run_as": {"enabled": True, "default_user": "Admin"}}, False),
    "unchecked destinations": ({"waive": ["preflight_permissions"]}, True),
    "everything waived": (
        {"cloudwatch": NOWHERE, "waive": ["preflight_permissions", "no_log_destination", "run_as_by_tag"]},
        True,
    ),
    "unknown waiver": ({"waive": ["everything"]}, False),
    "unknown way to adopt": ({"adopt": "overwrite"}, False),
    "unknown way to leave": ({"on_destroy": "delete"}, False),
    "topic that is none": ({"drift_repair": {"notify_topic_arn": "repairs"}}, False),
    "topic": ({"drift_repair": {"notify_topic_arn": "arn:aws:sns:eu-west-1:111122223333:repairs"}}, True),
}


# The bucket of the session logs, as the instances' permissions for it: accepted by the module and the settings.
BUCKET_CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "bucket": ({}, True),
    "bucket with dots": ({"bucket_name": "session.logs"}, False),
    "prefix that climbs": ({"key_prefix": "a/../b"}, False),
    "key": ({"kms_key_arn": KEY}, True),
    "alias": ({"kms_key_arn": KEY.replace("key/", "alias/")}, False),
    "account of the key": ({"kms_key_account_id": "012345678901"}, True),
    "name of the key's account": ({"kms_key_account_id": "log-archive"}, False),
    "key and its account": ({"kms_key_arn": KEY, "kms_key_account_id": "111122223333"}, False),
}


def merged(below: Any, above: Any) -> Any:  # noqa: ANN401 - values of any type
    if not isinstance(below, dict):
        return above
    return {key: merged(value, above[key]) if key in above else value for key, value in below.items()}


def event_of(preferences: dict[str, Any]) -> dict[str, Any]:
    """The event that the module makes of preferences."""
    full = merged(Preferences().model_dump(), preferences)
    s3, logs, run_as = full["s3"], full["cloudwatch"], full["run_as"]
    group = "ssm-sessionmanager-logs" if logs["log_group_name"] is None else logs["log_group_name"]
    inputs = {
        "s3BucketName": s3["bucket_name"] if s3["enabled"] else None,
        "s3KeyPrefix": f"{s3['key_prefix']}/111122223333/eu-west-1" if s3["enabled"] else None,
        "s3EncryptionEnabled": s3["encryption_enabled"] if s3["enabled"] else None,
        "cloudWatchLogGroupName": group or None,
        "cloudWatchEncryptionEnabled": logs["encryption_enabled"] if group else None,
        "cloudWatchStreamingEnabled": logs["streaming_enabled"] if group else None,
        "kmsKeyId": full["session_key"]["kms_key_arn"],
        "runAsEnabled": run_as["enabled"] or None,
        "runAsDefaultUser": run_as["default_user"] or None,
        "idleSessionTimeout": full["idle_session_timeout"],
        "maxSessionDuration": full["max_session_duration"] or None,
        "shellProfile": {"linux": None, "windows": None},
    }
    return {
        "tf": {"action": "create"},
        "preferences": inputs,
        "notify_topic_arn": full["drift_repair"]["notify_topic_arn"],
        **{key: full[key] for key in ("adopt", "on_destroy", "waive")},
    }


def accepted_by_the_function(preferences: dict[str, Any]) -> bool:
    try:
        request = parse_event(event_of(preferences))
        check(build(request.preferences), request.waive)
    except PreferencesError:
        return False
    return True


def accepted_by_the_settings(preferences: dict[str, Any]) -> bool:
    try:
        Preferences.model_validate(preferences)
    except ValidationError:
        return False
    return True


@pytest.fixture(scope="module")
def refused_by_terraform(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """The modules and cases that a plan refuses; the variables are the modules', the resources are left out."""
    folder = tmp_path_factory.mktemp("rules")
    for module in ("preferences", "instance_policy"):
        (folder / module).mkdir()
        variables = (MODULES / module / "variables.tf").read_text(encoding="utf-8")
        variables = re.sub(r"data\.aws_region\.current\.\w+", '"eu-west-1"', variables)
        (folder / module / "variables.tf").write_text(variables, encoding="utf-8")
    arguments = {("preferences", name): preferences for name, (preferences, _) in CASES.items()}
    for name, (bucket, _) in BUCKET_CASES.items():
        arguments["instance_policy", name] = {"s3": {"bucket_name": "session-logs", **bucket}}
    environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "GOGC": "400"}

    def terraform(*arguments: str) -> str:
        command = [find_terraform(), *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        ).stdout

    cases, refused = list(arguments), set[tuple[str, str]]()
    while True:
        calls = []
        for number, case in enumerate(cases):
            block = "".join(f"  {key} = {hcl(value, 2)}\n" for key, value in arguments[case].items())
            if case not in refused:
                calls.append(f'module "case_{number}" {{\n  source = "./{case[0]}"\n{block}}}\n')
        (folder / "main.tf").write_text("\n".join(calls), encoding="utf-8")
        terraform("init", "-input=false")
        lines = [json.loads(line) for line in terraform("plan", "-json", "-input=false").splitlines()]
        errors = [line["diagnostic"] for line in lines if line["@level"] == "error"]
        # Terraform does not check everything at once, so what is left is planned again.
        found = {cases[int(re.findall(r"case_(\d+)", error["snippet"]["context"])[0])] for error in errors}
        if not found:
            return refused
        refused |= found


@pytest.mark.parametrize("case", CASES)
def test_the_function_the_module_and_the_settings_agree(refused_by_terraform: set[tuple[str, str]], case: str) -> None:
    preferences, accepted = CASES[case]
    verdicts = {
        "function": accepted_by_the_function(preferences),
        "module": ("preferences", case) not in refused_by_terraform,
        "settings": accepted_by_the_settings(preferences),
    }
    assert verdicts == dict.fromkeys(verdicts, accepted)


@pytest.mark.parametrize("case", BUCKET_CASES)
def test_the_instance_policy_and_the_settings_agree(refused_by_terraform: set[tuple[str, str]], case: str) -> None:
    bucket, accepted = BUCKET_CASES[case]
    verdicts = {
        "module": ("instance_policy", case) not in refused_by_terraform,
        "settings": accepted_by_the_settings({"s3": {**BUCKET, **bucket}}),
    }
    assert verdicts == dict.fromkeys(verdicts, accepted)


def test_the_function_says_why() -> None:
    with pytest.raises(InvalidPreferencesError, match="waive no_log_destination"):
        check(build({}))
