"""One set of rules in three places: what the function, the Terraform module and the settings file accept and refuse."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from session_manager_fleet.hcl import hcl
from session_manager_fleet.settings.foundation import Denials, Guardrails, LogArchive
from session_manager_fleet.settings.target import ConfigRule, Preferences
from session_manager_fleet.terraform.installation import find_terraform
from session_preferences.document import build, check
from session_preferences.errors import InvalidPreferencesError, PreferencesError
from session_preferences.request import parse_event

pytestmark = pytest.mark.terraform

MODULES = Path(__file__).parents[2] / "modules"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOWHERE = {"create_log_group": False, "log_group_name": ""}
BUCKET = {"enabled": True, "bucket_name": "session-logs"}


def moved(days: int, storage_class: str) -> dict[str, Any]:
    return {"days": days, "storage_class": storage_class}


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
    "multi-region key": ({"session_key": {"kms_key_arn": f"{KEY.partition('key/')[0]}key/mrk-{'0' * 32}"}}, True),
    "key with an id that no key has": ({"session_key": {"kms_key_arn": f"{KEY.partition('key/')[0]}key/mine"}}, False),
    "key with an id in capitals": ({"session_key": {"kms_key_arn": KEY.replace("abcd", "ABCD")}}, False),
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
    "shell profiles": ({"shell_profile": {"linux": "exec bash", "windows": "cd \\"}}, True),
    "longest shell profiles": ({"shell_profile": {"linux": "x" * 30_000, "windows": "y" * 30_000}}, True),
    "shell profiles too long together": ({"shell_profile": {"linux": "x" * 30_000, "windows": "y" * 30_001}}, False),
    "shell profile of letters with two bytes": ({"shell_profile": {"linux": "é" * 30_001}}, False),
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

# What the function never sees: accepted by the module and the settings, or by none.
RESOURCE_CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "retention": ({"cloudwatch": {"retention_in_days": 365}}, True),
    "retention for ever": ({"cloudwatch": {"retention_in_days": 0}}, True),
    "retention that CloudWatch lacks": ({"cloudwatch": {"retention_in_days": 100}}, False),
    "hours": ({"drift_repair": {"schedule": "rate(2 hours)"}}, True),
    "an hour": ({"drift_repair": {"schedule": "rate(1 hour)"}}, True),
    "one hours": ({"drift_repair": {"schedule": "rate(1 hours)"}}, False),
    "no time at all": ({"drift_repair": {"schedule": "rate(0 hours)"}}, False),
    "every night": ({"drift_repair": {"schedule": "cron(0 2 * * ? *)"}}, True),
    "five fields": ({"drift_repair": {"schedule": "cron(0 2 * * ?)"}}, False),
    "no schedule": ({"drift_repair": {"schedule": ""}}, True),
    "words": ({"drift_repair": {"schedule": "hourly"}}, False),
    "reserved executions": ({"function": {"reserved_concurrent_executions": 1}}, True),
    "no executions": ({"function": {"reserved_concurrent_executions": 0}}, False),
    "retention of the function's logs": ({"function": {"log_retention_in_days": 14}}, True),
    "retention of the function's logs that CloudWatch lacks": ({"function": {"log_retention_in_days": 15}}, False),
    "key of a log group": ({"cloudwatch": {"kms_key_arn": KEY}}, True),
    "alias for a log group": ({"cloudwatch": {"kms_key_arn": KEY.replace("key/", "alias/")}}, False),
    "organization": ({"session_key": {"organization_id": "o-exampleorgid"}}, True),
    "organization that is none": ({"session_key": {"organization_id": "exampleorg"}}, False),
    "organization for a given key": ({"session_key": {"kms_key_arn": KEY, "organization_id": "o-exampleorgid"}}, False),
    "a key that is off": ({"session_key": {"enabled": False, "kms_key_arn": KEY}}, False),
}

RULE_CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "defaults": ({}, True),
    "most attempts": ({"maximum_automatic_attempts": 25, "retry_attempt_seconds": 2678000}, True),
    "no attempt": ({"maximum_automatic_attempts": 0}, False),
    "too many attempts": ({"maximum_automatic_attempts": 26}, False),
    "no time": ({"retry_attempt_seconds": 0}, False),
    "half a time": ({"retry_attempt_seconds": 1.5}, False),
    "too much time": ({"retry_attempt_seconds": 2678001}, False),
    "nobody at once": ({"concurrent_execution_rate_percentage": 0}, False),
    "more than all at once": ({"concurrent_execution_rate_percentage": 101}, False),
    "no failure": ({"error_percentage": 0}, False),
    "names": ({"excluded_role_names": ["batch-*", "one?"]}, True),
    "names of wildcards and more": ({"excluded_role_names": ["*a", "??b*"]}, True),
    "names of wildcards only": ({"excluded_role_names": ["batch", "*?"]}, False),
    "name with a path": ({"excluded_role_names": ["platform/batch"]}, False),
    "path": ({"excluded_role_paths": ["/platform/"]}, True),
    "path without an end": ({"excluded_role_paths": ["/platform"]}, False),
    "every path": ({"excluded_role_paths": ["/"]}, False),
}

ARCHIVE_CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "defaults": ({}, True),
    "bucket": ({"bucket_name": "session-logs"}, True),
    "bucket with dots": ({"bucket_name": "session.logs"}, False),
    "reserved bucket": ({"bucket_name": "session-logs-s3alias"}, False),
    "two buckets": ({"bucket_name": "session-logs", "existing_bucket_name": "others"}, False),
    "bucket that exists": ({"existing_bucket_name": "session-logs"}, True),
    "all of a bucket that exists": ({"existing_bucket_name": "session-logs", "key_prefix": ""}, False),
    "all of a bucket": ({"key_prefix": ""}, True),
    "prefix that climbs": ({"key_prefix": "a/../b"}, False),
    "lock": ({"object_lock": {"days": 30}}, True),
    "lock in another mode": ({"object_lock": {"mode": "LEGAL", "days": 30}}, False),
    "lock for no time": ({"object_lock": {"days": 0}}, False),
    "lock longer than the logs": ({"object_lock": {"days": 366}}, False),
    "lock on logs for ever": ({"object_lock": {"days": 366}, "retention": {"days": 0}}, True),
    "lock on a bucket that exists": ({"existing_bucket_name": "session-logs", "object_lock": {"days": 30}}, False),
    "access logs": ({"access_logging": {"bucket_name": "access.logs"}}, True),
    "access logs in the bucket": ({"bucket_name": "logs-one", "access_logging": {"bucket_name": "logs-one"}}, False),
    "access logs of a bucket that exists": (
        {"existing_bucket_name": "session-logs", "access_logging": {"bucket_name": "access-logs"}},
        False,
    ),
    "days": ({"retention": {"days": 30, "noncurrent_days": 0}}, True),
    "days before today": ({"retention": {"days": -1}}, False),
    "transitions": (
        {"retention": {"transitions": [moved(30, "STANDARD_IA"), moved(90, "GLACIER_IR"), moved(180, "DEEP_ARCHIVE")]}},
        True,
    ),
    "transition that is too early": ({"retention": {"transitions": [moved(29, "ONEZONE_IA")]}}, False),
    "transition at once": ({"retention": {"transitions": [moved(0, "INTELLIGENT_TIERING")]}}, True),
    "transition of what is gone": ({"retention": {"days": 90, "transitions": [moved(90, "GLACIER")]}}, False),
    "disordered transitions": (
        {"retention": {"transitions": [moved(90, "GLACIER_IR"), moved(60, "GLACIER")]}},
        False,
    ),
    "transitions upwards": ({"retention": {"transitions": [moved(60, "GLACIER"), moved(90, "STANDARD_IA")]}}, False),
    "transition to nowhere": ({"retention": {"transitions": [moved(60, "TAPE")]}}, False),
    "key": ({"bucket_key": {"kms_key_arn": KEY}}, True),
    "alias in place of a key": ({"bucket_key": {"kms_key_arn": KEY.replace("key/", "alias/")}}, False),
    "alias of AWS": ({"bucket_key": {"alias": "alias/aws/s3"}}, False),
    "alias of nothing": ({"bucket_key": {"alias": "logs"}}, False),
    "session key": ({"session_key": {"mode": "shared"}}, True),
    "session key of another kind": ({"session_key": {"mode": "both"}}, False),
    "one alias for two keys": ({"session_key": {"alias": "alias/session-manager/log-archive"}}, False),
    "reader": ({"reader_role_arns": ["arn:aws:iam::111122223333:role/audit/Reader"]}, True),
    "all readers": ({"reader_role_arns": ["arn:aws:iam::111122223333:role/*"]}, False),
    "user that reads": ({"reader_role_arns": ["arn:aws:iam::111122223333:user/jane"]}, False),
}

GUARDRAIL_CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "defaults": ({}, True),
    "root": ({"attach_to": ["r-abcd", "ou-abcd-12345678", "111122223333"]}, True),
    "name of a unit": ({"attach_to": ["Workloads"]}, False),
    "nothing denied": ({"deny": dict.fromkeys(Denials.model_fields, False)}, False),
    "nothing but keys denied": ({"deny": {**dict.fromkeys(Denials.model_fields, False), "keys": True}}, True),
    "role": ({"exempt_role_arns": ["arn:aws:iam::*:role/BreakGlass*"]}, True),
    "every role": ({"exempt_role_arns": ["arn:aws:iam::*:role/*"]}, False),
    "user": ({"exempt_role_arns": ["arn:aws:iam::111122223333:user/jane"]}, False),
    "roles that are not logged": ({"unlogged_session_role_arns": ["arn:aws:iam::*:role/database-support"]}, True),
    "everybody is not logged": ({"unlogged_session_role_arns": ["*"]}, False),
    "documents": ({"other_session_documents": ["Team-Session"]}, True),
    "document of a pattern": ({"other_session_documents": ["Team-*"]}, False),
    "documents without a rule": (
        {"other_session_documents": ["Team-Session"], "deny": {"other_documents": False}},
        False,
    ),
    "name": ({"name": "Session Manager"}, True),
    "name with a colon": ({"name": "session:manager"}, False),
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


POLICY_ARN = "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"
DEPLOYMENT_ROLE = "arn:aws:iam::*:role/AWSControlTowerExecution"


def bucket_settings(bucket: dict[str, Any]) -> dict[str, Any]:
    return {"s3": {**BUCKET, **bucket}}


def bucket_arguments(bucket: dict[str, Any]) -> dict[str, Any]:
    return {"s3": {"bucket_name": "session-logs", **bucket}}


def rule_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    return {"home_region": "eu-west-1", "policy_arn": POLICY_ARN, **settings}


def archive_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    # Terraform does not tell which call it means where a default value is what it refuses.
    return {"organization_id": "o-exampleorgid", "retention": {}, **settings}


def guardrail_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "exempt_role_arns": [DEPLOYMENT_ROLE, *settings.get("exempt_role_arns", [])]}


@dataclass(frozen=True)
class Judges:
    """Who judges a table of cases besides the function.

    Attributes:
        module: The Terraform module.
        model: The settings.
        cases: What stands in organization.yaml, and whether it is accepted.
        arguments: Makes the module's arguments of a case.
        settings: Makes the settings of a case.
    """

    module: str
    model: type[BaseModel]
    cases: Mapping[str, tuple[dict[str, Any], bool]]
    arguments: Callable[[dict[str, Any]], dict[str, Any]] = dict
    settings: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def accepted_by_the_settings(self, case: str) -> bool:
        try:
            self.model.model_validate(self.settings(self.cases[case][0]))
        except ValidationError:
            return False
        return True


PREFERENCES = Judges("preferences", Preferences, CASES)
OTHERS = {
    "resources": Judges("preferences", Preferences, RESOURCE_CASES),
    "bucket": Judges("instance_policy", Preferences, BUCKET_CASES, bucket_arguments, bucket_settings),
    "rule": Judges("config_rule", ConfigRule, RULE_CASES, rule_arguments),
    "archive": Judges("log_archive", LogArchive, ARCHIVE_CASES, archive_arguments),
    "guardrails": Judges("guardrails", Guardrails, GUARDRAIL_CASES, guardrail_arguments),
}
TABLES = {"preferences": PREFERENCES, **OTHERS}


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
        "shellProfile": {system: text or None for system, text in full["shell_profile"].items()},
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


@pytest.fixture(scope="module")
def refused_by_terraform(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """The tables and cases that a plan refuses; the variables are the modules', the resources are left out."""
    folder = tmp_path_factory.mktemp("rules")
    for module in {judges.module for judges in TABLES.values()}:
        (folder / module).mkdir()
        variables = (MODULES / module / "variables.tf").read_text(encoding="utf-8")
        variables = re.sub(r"data\.aws_region\.current\.\w+", '"eu-west-1"', variables)
        (folder / module / "variables.tf").write_text(variables, encoding="utf-8")
    arguments = {
        (table, case): judges.arguments(settings)
        for table, judges in TABLES.items()
        for case, (settings, _) in judges.cases.items()
    }
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
                calls.append(f'module "case_{number}" {{\n  source = "./{TABLES[case[0]].module}"\n{block}}}\n')
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
        "settings": PREFERENCES.accepted_by_the_settings(case),
    }
    assert verdicts == dict.fromkeys(verdicts, accepted)


@pytest.mark.parametrize(("table", "case"), [(table, case) for table in OTHERS for case in OTHERS[table].cases])
def test_the_module_and_the_settings_agree(refused_by_terraform: set[tuple[str, str]], table: str, case: str) -> None:
    verdicts = {
        "module": (table, case) not in refused_by_terraform,
        "settings": OTHERS[table].accepted_by_the_settings(case),
    }
    assert verdicts == dict.fromkeys(verdicts, OTHERS[table].cases[case][1])


def test_the_function_says_why() -> None:
    with pytest.raises(InvalidPreferencesError, match="waive no_log_destination"):
        check(build({}))
