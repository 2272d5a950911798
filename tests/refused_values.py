"""Accepted and refused values: one table for the settings (pydantic), the modules (HCL) and the function (Lambda).

A row has the values and what the module, or its provider, says; nothing is said of values that are accepted.
tests/modules/test_refused_values.py has the judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from session_manager_fleet.settings.foundation import Denials

Values = Mapping[str, Any]
Rows = Mapping[str, tuple[Values, str]]

ACCOUNT = "614208975316"
KEYS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/"
KEY = f"{KEYS}1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ELSEWHERE = KEY.replace("eu-west-1", "us-east-1")
ALIAS_ARN = KEY.replace("key/", "alias/")
S3 = {"enabled": True, "bucket_name": "session-logs"}
LINE = "x" * 4095
NO_GROUP = {"create_log_group": False, "log_group_name": ""}
NOTHING_DENIED = dict.fromkeys(Denials.model_fields, False)
MANY_ROLES = [f"arn:aws:iam::*:role/AWSControlTowerExecution-{number}" for number in range(30)]

CI = {
    "plan_subjects": ["repo:example/zone:pull_request"],
    "apply_subjects": ["repo:example/zone:environment:rollout"],
    "organization_id": "o-exampleorgid",
    "state_bucket": "states",
}


SUBSCRIPTION = {"destination_arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:destination:central"}
PROTECTION = {"identifiers": ["EmailAddress"]}


def sent(**values: object) -> dict[str, Any]:
    return {"cloudwatch": {"subscription": {**SUBSCRIPTION, **values}}}


def masked(**values: object) -> dict[str, Any]:
    return {"cloudwatch": {"data_protection": {**PROTECTION, **values}}}


def moved(days: int, storage_class: str) -> dict[str, Any]:
    return {"days": days, "storage_class": storage_class}


# What organization.yaml may say, by section.
SETTINGS: Mapping[str, Rows] = {
    # `preferences` of organization.yaml, as far as the function sees them.
    "preferences": {
        "defaults": ({}, ""),
        "shortest": ({"idle_session_timeout": 1, "max_session_duration": 2}, ""),
        "longest": ({"idle_session_timeout": 60, "max_session_duration": 1440}, ""),
        "no maximum": ({"idle_session_timeout": 60, "max_session_duration": 0}, ""),
        "no idle time": ({"idle_session_timeout": 0}, "idle_session_timeout must"),
        "too idle": ({"idle_session_timeout": 61, "max_session_duration": 120}, "idle_session_timeout must"),
        "too long": ({"max_session_duration": 1441}, "max_session_duration must"),
        "maximum not above idle": ({"max_session_duration": 20}, "max_session_duration must"),
        "bucket only": ({"s3": S3, "cloudwatch": NO_GROUP}, ""),
        "bucket with dots": ({"s3": {**S3, "bucket_name": "session.logs"}}, "s3.bucket_name must be"),
        "bucket in capitals": ({"s3": {**S3, "bucket_name": "Logs"}}, "s3.bucket_name must be"),
        "prefix in parts": ({"s3": {**S3, "key_prefix": "a/b=1/c.d_e-f"}}, ""),
        "prefix from the root": ({"s3": {**S3, "key_prefix": "/a"}}, "s3.key_prefix must be letters"),
        "prefix that is a dot": ({"s3": {**S3, "key_prefix": "."}}, "s3.key_prefix must be letters"),
        "prefix that climbs": ({"s3": {**S3, "key_prefix": "a/../b"}}, "s3.key_prefix must be letters"),
        "prefix with a part that the agent drops": (
            {"s3": {**S3, "key_prefix": "a/./b"}},
            "s3.key_prefix must be letters",
        ),
        "log group of somebody": ({"cloudwatch": {"create_log_group": False, "log_group_name": "/a/b_c.d#e-f"}}, ""),
        "log group that AWS reserves": ({"cloudwatch": {"log_group_name": "aws/ssm/x"}}, "log_group_name must have"),
        "log group in capitals that AWS reserves": (
            {"cloudwatch": {"log_group_name": "AWS/sessions"}},
            "log_group_name must have",
        ),
        "log group of a service": ({"cloudwatch": {"log_group_name": "/aws/ssm/x"}}, ""),
        "log group with a blank": ({"cloudwatch": {"log_group_name": "a b"}}, "log_group_name must have"),
        "log group too long": ({"cloudwatch": {"log_group_name": "a" * 513}}, "log_group_name must have"),
        "no logs": ({"cloudwatch": NO_GROUP}, "Sessions must be logged"),
        "no logs, waived": ({"cloudwatch": NO_GROUP, "waive": ["no_log_destination"]}, ""),
        "no logs, another rule waived": (
            {"cloudwatch": NO_GROUP, "waive": ["run_as_by_tag"]},
            "Sessions must be logged",
        ),
        "key": ({"session_key": {"kms_key_arn": KEY}}, ""),
        "multi-region key": ({"session_key": {"kms_key_arn": f"{KEYS}mrk-{'0' * 32}"}}, ""),
        "key with an id that no key has": ({"session_key": {"kms_key_arn": f"{KEYS}mine"}}, "session_key.kms_key_arn"),
        "key with an id in capitals": (
            {"session_key": {"kms_key_arn": f"{KEYS}1234ABCD-12ab-34cd-56ef-1234567890ab"}},
            "session_key.kms_key_arn",
        ),
        "key that is none": ({"session_key": {"kms_key_arn": "my key"}}, "session_key_arns must be"),
        "run as": ({"run_as": {"enabled": True, "default_user": "operator"}}, ""),
        "run as a service account": ({"run_as": {"enabled": True, "default_user": "_host.name$"}}, ""),
        "run as nobody": ({"run_as": {"enabled": True}}, "run_as.enabled needs a"),
        "run as by tag": ({"run_as": {"enabled": True}, "waive": ["run_as_by_tag"]}, ""),
        "run as nobody, another rule waived": (
            {"run_as": {"enabled": True}, "waive": ["no_log_destination"]},
            "run_as.enabled needs a",
        ),
        "run as root": ({"run_as": {"enabled": True, "default_user": "root"}}, "run_as.default_user must"),
        "run as root, waived": (
            {"run_as": {"enabled": True, "default_user": "root"}, "waive": ["run_as_by_tag"]},
            "run_as.default_user must",
        ),
        "run as a command": ({"run_as": {"enabled": True, "default_user": "a;id"}}, "run_as.default_user must"),
        "run as a role": ({"run_as": {"enabled": True, "default_user": "DevRoleLogin"}}, ""),
        "run as a user of a domain": ({"run_as": {"enabled": True, "default_user": "Ops.x@corp.example.com"}}, ""),
        "run as a user of Windows": ({"run_as": {"enabled": True, "default_user": "CORP\\ops"}}, "default_user must"),
        "run as a substitution": ({"run_as": {"enabled": True, "default_user": "a$(id)"}}, "run_as.default_user must"),
        "run as all arguments": ({"run_as": {"enabled": True, "default_user": "a$@b"}}, "run_as.default_user must"),
        "run as a number": ({"run_as": {"enabled": True, "default_user": "0"}}, "run_as.default_user must"),
        "run as an option": ({"run_as": {"enabled": True, "default_user": "-u"}}, "run_as.default_user must"),
        "run as two users": ({"run_as": {"enabled": True, "default_user": "a@b@c"}}, "run_as.default_user must"),
        "run as a user of no domain": ({"run_as": {"enabled": True, "default_user": "a@"}}, "run_as.default_user must"),
        "no run as, but a command": ({"run_as": {"default_user": "a;id"}}, "run_as.default_user must"),
        "shell profiles": ({"shell_profile": {"linux": "exec bash", "windows": "cd \\"}}, ""),
        "longest shell profiles": ({"shell_profile": {"linux": f"{LINE}\n" * 7, "windows": "y" * 31328}}, ""),
        "longest line": ({"shell_profile": {"linux": f"ls\n{LINE}\r\nls"}}, ""),
        "line that a terminal cuts": ({"shell_profile": {"linux": f"ls\nx{LINE}"}}, "shell_profile.linux must have"),
        "reference to a parameter": (
            {"shell_profile": {"linux": "echo {{ ssm:/motd }}"}},
            "shell_profile must not have",
        ),
        "reference to a secret": ({"shell_profile": {"windows": "{{ssm-secure:x}}"}}, "shell_profile must not have"),
        "format of a tool": ({"shell_profile": {"linux": "docker ps --format '{{.Names}}'"}}, ""),
        "shell profiles too long together": (
            {"shell_profile": {"linux": f"{LINE}\n" * 7, "windows": "y" * 31329}},
            "shell_profile must have",
        ),
        "shell profile of letters with two bytes": (
            {"shell_profile": {"linux": "\u00e9\n" * 20001}},
            "shell_profile must have",
        ),
        "unchecked destinations": ({"waive": ["preflight_permissions"]}, ""),
        "everything waived": (
            {"cloudwatch": NO_GROUP, "waive": ["preflight_permissions", "no_log_destination", "run_as_by_tag"]},
            "",
        ),
        "unknown waiver": ({"waive": ["everything"]}, "waive must hold no_log_destination"),
        "unknown way to adopt": ({"adopt": "overwrite"}, "adopt must be replace"),
        "unknown way to leave": ({"on_destroy": "delete"}, "on_destroy must be restore"),
        "topic that is none": ({"drift_repair": {"notify_topic_arn": "repairs"}}, "drift_repair.notify_topic_arn"),
        "topic": ({"drift_repair": {"notify_topic_arn": "arn:aws:sns:eu-west-1:614208975316:repairs"}}, ""),
        "least of everything": (
            {
                "idle_session_timeout": 1,
                "max_session_duration": 2,
                "cloudwatch": {"retention_in_days": 0},
                "function": {"reserved_concurrent_executions": 1, "log_retention_in_days": 1},
                "session_key": {"enabled": False},
                "adopt": "merge",
                "on_destroy": "retain",
            },
            "",
        ),
        "most of everything": (
            {
                "idle_session_timeout": 60,
                "max_session_duration": 1440,
                "s3": {**S3, "key_prefix": "logs/session=1/a.b_c-d", "kms_key_arn": KEY},
                "cloudwatch": {"retention_in_days": 3653, "streaming_enabled": True, "kms_key_arn": KEY},
                "session_key": {"kms_key_arn": KEY},
                "run_as": {"enabled": True, "default_user": "_host.name$"},
                "shell_profile": {"linux": 'cd "${HOME}"\nexec bash', "windows": "%{if}"},
                "adopt": "fail",
                "on_destroy": "reset",
                "revision": "2027-01-01",
            },
            "",
        ),
        "no maximum, bucket only, multi-region key": (
            {
                "max_session_duration": 0,
                "s3": {**S3, "key_prefix": ""},
                "cloudwatch": NO_GROUP,
                "session_key": {"kms_key_arn": f"{KEYS}mrk-{'0' * 32}"},
            },
            "",
        ),
        "half minutes": ({"idle_session_timeout": 20.5}, "idle_session_timeout must"),
        "negative duration": ({"max_session_duration": -1}, "max_session_duration must"),
        "bucket with line end": ({"s3": {**S3, "bucket_name": "session-logs\n"}}, "s3.bucket_name must be"),
        "session key with line end": ({"session_key": {"kms_key_arn": f"{KEY}\n"}}, "session_key.kms_key_arn"),
        "session key with other digits": (
            {"session_key": {"kms_key_arn": KEY.replace("6142", "\u0661" * 4)}},
            "session_key.kms_key_arn",
        ),
        "run as two lines": ({"run_as": {"enabled": True, "default_user": "ec2-user\n"}}, "run_as.default_user must"),
        "run as too long": ({"run_as": {"enabled": True, "default_user": "a" * 65}}, "run_as.default_user must"),
        "bucket": ({"s3": S3}, ""),
        "S3 key": ({"s3": {**S3, "kms_key_arn": KEY}}, ""),
        "S3 account of the key": ({"s3": {**S3, "kms_key_account_id": "012345678901"}}, ""),
    },
    # `preferences`, too, but what the function does not see, or lets through.
    "resources": {
        "retention": ({"cloudwatch": {"retention_in_days": 365}}, ""),
        "retention for ever": ({"cloudwatch": {"retention_in_days": 0}}, ""),
        "retention that CloudWatch lacks": (
            {"cloudwatch": {"retention_in_days": 100}},
            "expected retention_in_days to be one of",
        ),
        "class for rare access": ({"cloudwatch": {"log_group_class": "INFREQUENT_ACCESS"}}, ""),
        "class that is none": ({"cloudwatch": {"log_group_class": "DELIVERY"}}, "cloudwatch.log_group_class must"),
        "subscription": (sent(), ""),
        "subscription of a function": (
            sent(destination_arn=f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:siem"),
            "",
        ),
        "subscription of a stream": (
            sent(
                destination_arn=f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/a.b_c-d",
                role_arn=f"arn:aws:iam::{ACCOUNT}:role/logs/sender",
                filter_pattern="%sudo%",
                distribution="Random",
                name="siem",
            ),
            "",
        ),
        "subscription of a topic": (
            sent(destination_arn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:siem"),
            "subscription.destination_arn must be the ARN",
        ),
        "subscription by name": (sent(destination_arn="central"), "subscription.destination_arn must be the ARN"),
        "subscription with a role's name": (sent(role_arn="sender"), "subscription.role_arn must be the ARN"),
        "subscription of a function, with a role": (
            sent(
                destination_arn=f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:siem",
                role_arn=f"arn:aws:iam::{ACCOUNT}:role/sender",
            ),
            "subscription.role_arn has no effect",
        ),
        "subscription with a long pattern": (sent(filter_pattern="x" * 1025), "subscription.filter_pattern must"),
        "subscription that is shared out": (sent(distribution="Evenly"), "subscription.distribution must be"),
        "subscription with a colon": (sent(name="a:b"), "subscription.name must have 1"),
        "subscription of a rare class": (
            {"cloudwatch": {"log_group_class": "INFREQUENT_ACCESS", "subscription": SUBSCRIPTION}},
            "need the cloudwatch.log_group_class",
        ),
        "subscription of nothing": (
            {"s3": S3, "cloudwatch": {**NO_GROUP, "subscription": SUBSCRIPTION}},
            "must be left out when the cloudwatch.log_group_name",
        ),
        "masking": (masked(), ""),
        "masking of all kinds": (
            masked(
                identifiers=["EmailAddress", "PassportNumber-US"],
                custom_identifiers={"Badge_no-1": "^B-[0-9]{6}|x\\d+ #=@/;,.*?$"},
                findings_destination={
                    "log_group_name": "/aws/vendedlogs/findings",
                    "bucket_name": "find.ings",
                    "delivery_stream_name": "a.b",
                },
            ),
            "",
        ),
        "masking of nothing": (masked(credentials=False, identifiers=[]), "data_protection must mask something"),
        "masking of an ARN": (
            masked(identifiers=["arn:aws:dataprotection::aws:x"]),
            "data_protection.identifiers must",
        ),
        "masking of eleven kinds": (
            masked(custom_identifiers={f"own{number}": "x" for number in range(11)}),
            "custom_identifiers must be at most 10",
        ),
        "masking by a name with a blank": (
            masked(custom_identifiers={"a b": "x"}),
            "custom_identifiers must be at most 10",
        ),
        "masking by a group": (masked(custom_identifiers={"own": "(x)"}), "custom_identifiers must be regular"),
        "masking of one name twice": (
            masked(custom_identifiers={"EmailAddress": "x"}),
            "custom_identifiers must not have the names",
        ),
        "findings in no bucket": (
            masked(findings_destination={"bucket_name": "B"}),
            "findings_destination.bucket_name must",
        ),
        "findings in no group": (
            masked(findings_destination={"log_group_name": "a b"}),
            "findings_destination.log_group_name must",
        ),
        "findings in the group itself": (
            masked(findings_destination={"log_group_name": "ssm-sessionmanager-logs"}),
            "findings_destination.log_group_name must",
        ),
        "findings in no stream": (
            masked(findings_destination={"delivery_stream_name": "a/b"}),
            "findings_destination.delivery_stream_name must",
        ),
        "masking of a rare class": (
            {"cloudwatch": {"log_group_class": "INFREQUENT_ACCESS", "data_protection": PROTECTION}},
            "need the cloudwatch.log_group_class",
        ),
        "masking in nothing": (
            {"s3": S3, "cloudwatch": {**NO_GROUP, "data_protection": PROTECTION}},
            "must be left out when the cloudwatch.log_group_name",
        ),
        "hours": ({"drift_repair": {"schedule": "rate(2 hours)"}}, ""),
        "an hour": ({"drift_repair": {"schedule": "rate(1 hour)"}}, ""),
        "one hours": ({"drift_repair": {"schedule": "rate(1 hours)"}}, "drift_repair.schedule must"),
        "no time at all": ({"drift_repair": {"schedule": "rate(0 hours)"}}, "drift_repair.schedule must"),
        "every night": ({"drift_repair": {"schedule": "cron(0 2 * * ? *)"}}, ""),
        "five fields": ({"drift_repair": {"schedule": "cron(0 2 * * ?)"}}, "drift_repair.schedule must"),
        "no schedule": ({"drift_repair": {"schedule": ""}}, ""),
        "words": ({"drift_repair": {"schedule": "hourly"}}, "drift_repair.schedule must"),
        "reserved executions": ({"function": {"reserved_concurrent_executions": 1}}, ""),
        "no executions": (
            {"function": {"reserved_concurrent_executions": 0}},
            "function.reserved_concurrent_executions",
        ),
        "retention of the function's logs": ({"function": {"log_retention_in_days": 14}}, ""),
        "retention of the function's logs that CloudWatch lacks": (
            {"function": {"log_retention_in_days": 15}},
            "expected retention_in_days to be one of",
        ),
        "key of a log group": ({"cloudwatch": {"kms_key_arn": KEY}}, ""),
        "alias for a log group": ({"cloudwatch": {"kms_key_arn": ALIAS_ARN}}, "cloudwatch.kms_key_arn"),
        "organization": ({"session_key": {"organization_id": "o-exampleorgid"}}, ""),
        "organization that is none": (
            {"session_key": {"organization_id": "exampleorg"}},
            "session_key.organization_id",
        ),
        "organization for a given key": (
            {"session_key": {"kms_key_arn": KEY, "organization_id": "o-exampleorgid"}},
            "session_key.organization_id",
        ),
        "a key that is off": ({"session_key": {"enabled": False, "kms_key_arn": KEY}}, "session_key.kms_key_arn"),
        "bucket without a name": ({"s3": {"enabled": True}}, "s3.enabled needs an s3.bucket_name"),
        "prefix with slash behind": ({"s3": {**S3, "key_prefix": "a/"}}, "s3.key_prefix must be letters"),
        "prefix with empty part": ({"s3": {**S3, "key_prefix": "a//b"}}, "s3.key_prefix must be letters"),
        "prefix with wildcard": ({"s3": {**S3, "key_prefix": "a*"}}, "s3.key_prefix must be letters"),
        "key of bucket by alias": ({"s3": {**S3, "kms_key_arn": "alias/logs"}}, "s3.kms_key_arn must be"),
        "group without a name to create": (
            {"s3": S3, "cloudwatch": {"log_group_name": ""}},
            "cloudwatch.create_log_group",
        ),
        "stream to nowhere": (
            {"s3": S3, "cloudwatch": {**NO_GROUP, "streaming_enabled": True}},
            "cloudwatch.create_log_group",
        ),
        "key of logs by alias": ({"cloudwatch": {"kms_key_arn": "alias/logs"}}, "cloudwatch.kms_key_arn"),
        "session key by alias": ({"session_key": {"kms_key_arn": ALIAS_ARN}}, "session_key_arns must be"),
        "session key by id": (
            {"session_key": {"kms_key_arn": "1234abcd-12ab-34cd-56ef-1234567890ab"}},
            "session_key_arns must be",
        ),
        "retention of the function": (
            {"function": {"log_retention_in_days": 91}},
            "expected retention_in_days to be one of",
        ),
        "S3 alias": ({"s3": {**S3, "kms_key_arn": ALIAS_ARN}}, "s3.kms_key_arn must be"),
        "S3 name of the key's account": (
            {"s3": {**S3, "kms_key_account_id": "log-archive"}},
            "s3.kms_key_account_id must",
        ),
        "S3 key and its account": (
            {"s3": {**S3, "kms_key_arn": KEY, "kms_key_account_id": "111122223333"}},
            "s3.kms_key_arn and the",
        ),
        "organization without a key": (
            {"session_key": {"enabled": False, "organization_id": "o-exampleorgid"}},
            "session_key.organization_id",
        ),
    },
    # The other sections of a target.
    "names": {
        "names at their limits": (
            {
                "log_group": "a" * 512,
                "policy": "Policy+=,.@-_",
                "policy_path": "/a/b+=,.@-_/",
                "data_key_alias": "alias/a/b_c-d",
                "data_key_parameter": "/a.b/c_d-e",
                "document": "abc",
                "config_rule": "a" * 128,
                "automation_document": "a" * 64,
                "function": "f" * 49,
            },
            "",
        ),
        "name of log group": ({"log_group": "a:b"}, "cloudwatch.log_group_name"),
        "name of policy": ({"policy": "a b"}, "policy_arn must be the"),
        "name of policy too long": ({"policy": "a" * 129}, "policy_arn must be the ARN"),
        "path of policy without end": ({"policy_path": "/a"}, "path must begin and end"),
        "path of policy with empty part": ({"policy_path": "//"}, "policy_arn must be the"),
        "alias without prefix": ({"data_key_alias": "session-manager/data"}, "session_key_alias must"),
        "alias of AWS": ({"data_key_alias": "alias/aws/ssm"}, "session_key_alias must"),
        "alias of logs of AWS": ({"logs_key_alias": "alias/aws/logs"}, "cannot begin with reserved AWS CMK prefix"),
        "one alias for both": ({"logs_key_alias": "alias/session-manager/data"}, "names.data_key_alias and"),
        "relative parameter": ({"data_key_parameter": "key"}, "names.data_key_parameter"),
        "parameter with end": ({"data_key_parameter": "/a/"}, "names.data_key_parameter"),
        "parameter of AWS": ({"data_key_parameter": "/AWS/key"}, "names.data_key_parameter"),
        "parameter of Systems Manager": ({"data_key_parameter": "/ssm-key"}, "names.data_key_parameter"),
        "name of document": ({"document": "ab"}, "names.document must have"),
        "name of document with blank": ({"document": "a b c"}, "names.document must have"),
        "name of document of AWS": ({"document": "AWS-Shell"}, "names.document must have"),
        "name of document of Amazon": ({"document": "amazon_x"}, "names.document must have"),
        "name of document of Amazon in short": ({"document": "Amzn.x"}, "names.document must have"),
        "name of log group of AWS": ({"log_group": "Aws/x"}, "cloudwatch.log_group_name"),
        "name of rule": ({"config_rule": "a b"}, "name must have 1 to 128"),
        "name of automation": ({"automation_document": "ab"}, "automation_document_name"),
        "name of automation too long": ({"automation_document": "a" * 65}, "automation_document_name"),
        "name of automation of AWS": ({"automation_document": "AWS-Attach"}, "automation_document_name"),
        "name of function": ({"function": "a.b"}, "names.function must have"),
        "name of function too long": ({"function": "f" * 50}, "names.function must have"),
    },
    "config_rule": {
        "excluded roles": (
            {
                "excluded_role_names": [
                    "break-glass",
                    "legacy-*",
                    "node?",
                    "a+=,.@-_",
                    "***************************************************************a",
                ],
                "excluded_role_paths": ["/platform/", "/a+=,.@-_/b/"],
            },
            "",
        ),
        "remediation at its limits": (
            {
                "auto_remediation": True,
                "maximum_automatic_attempts": 25,
                "retry_attempt_seconds": 2678000,
                "concurrent_execution_rate_percentage": 100,
                "error_percentage": 1,
            },
            "",
        ),
        "excluded name with a path": ({"excluded_role_names": ["team/web"]}, "excluded_role_names must"),
        "excluded name with a blank": ({"excluded_role_names": ["web worker"]}, "excluded_role_names must"),
        "excluded name with a class": ({"excluded_role_names": ["web[0-9]"]}, "excluded_role_names must"),
        "excluded name of nothing": ({"excluded_role_names": [""]}, "excluded_role_names must"),
        "excluded name too long": ({"excluded_role_names": ["a" * 65]}, "excluded_role_names must"),
        "excluded path without end": ({"excluded_role_paths": ["/platform"]}, "excluded_role_paths must"),
        "excluded path without begin": ({"excluded_role_paths": ["platform/"]}, "excluded_role_paths must"),
        "excluded path of everything": ({"excluded_role_paths": ["/"]}, "excluded_role_paths must"),
        "excluded path with wildcard": ({"excluded_role_paths": ["/team*/"]}, "excluded_role_paths must"),
        "excluded path too long": ({"excluded_role_paths": [f"/{'a' * 511}/"]}, "excluded_role_paths must"),
        "no attempts": ({"maximum_automatic_attempts": 0}, "maximum_automatic_attempts to be in the range (1 - 25)"),
        "too many attempts": (
            {"maximum_automatic_attempts": 26},
            "maximum_automatic_attempts to be in the range (1 - 25)",
        ),
        "no retry time": ({"retry_attempt_seconds": 0}, "retry_attempt_seconds to be in the range"),
        "too long a retry time": ({"retry_attempt_seconds": 2678001}, "retry_attempt_seconds to be in the range"),
        "no concurrency": (
            {"concurrent_execution_rate_percentage": 0},
            "concurrent_execution_rate_percentage to be in the range",
        ),
        "too much concurrency": (
            {"concurrent_execution_rate_percentage": 101},
            "concurrent_execution_rate_percentage to be in the range",
        ),
        "no error percentage": ({"error_percentage": 0}, "error_percentage to be in the range"),
        "too high an error percentage": ({"error_percentage": 101}, "error_percentage to be in the range"),
        "most attempts": ({"maximum_automatic_attempts": 25, "retry_attempt_seconds": 2678000}, ""),
        "half a time": ({"retry_attempt_seconds": 1.5}, "Attribute must be a whole number"),
        "names": ({"excluded_role_names": ["batch-*", "one?"]}, ""),
        "names of wildcards and more": ({"excluded_role_names": ["*a", "??b*"]}, ""),
        "names of wildcards only": ({"excluded_role_names": ["batch", "*?"]}, "excluded_role_names must"),
        "name with a path": ({"excluded_role_names": ["platform/batch"]}, "excluded_role_names must"),
        "path": ({"excluded_role_paths": ["/platform/"]}, ""),
    },
    "instance_policy": {
        "regions of keys and roles to attach to": (
            {"regions": ["us-gov-west-1", "ap-southeast-2"], "attach_to_roles": ["web", "worker"]},
            "",
        ),
        "basics of the agent": ({"attach_to_roles": ["we+b=,.@-_"], "attach_managed_instance_core": True}, ""),
        "buckets of other regions": (
            {
                "other_log_buckets": [
                    {"bucket_name": "logs-us", "kms_key_arn": KEY_ELSEWHERE, "bucket_account_id": "012345678901"},
                    {"bucket_name": "logs-ap", "key_prefix": "", "kms_key_account_id": "012345678901"},
                ]
            },
            "",
        ),
        "bucket of another region with dots": (
            {"other_log_buckets": [{"bucket_name": "logs.us"}]},
            "other_log_buckets must have names",
        ),
        "bucket of another region with a prefix that climbs": (
            {"other_log_buckets": [{"bucket_name": "logs-us", "key_prefix": "a/../b"}]},
            "other_log_buckets must have key_prefixes",
        ),
        "bucket of another region with an alias": (
            {"other_log_buckets": [{"bucket_name": "logs-us", "kms_key_arn": ALIAS_ARN}]},
            "other_log_buckets must have a kms_key_arn of a key",
        ),
        "bucket of another region in no account": (
            {"other_log_buckets": [{"bucket_name": "logs-us", "bucket_account_id": "log-archive"}]},
            "other_log_buckets must have accounts",
        ),
        "bucket of another region with two keys": (
            {
                "other_log_buckets": [
                    {"bucket_name": "logs-us", "kms_key_arn": KEY, "kms_key_account_id": "012345678901"}
                ]
            },
            "other_log_buckets must have a kms_key_arn or",
        ),
        "no region of keys": ({"regions": []}, "session_key_regions must"),
        "region that is none": ({"regions": ["Ireland"]}, "session_key_regions must"),
        "role to attach to by its path": ({"attach_to_roles": ["team/web"]}, "attach_to_roles must be"),
        "role to attach to by a pattern": ({"attach_to_roles": ["web*"]}, "attach_to_roles must be"),
        "nodes of Systems Manager only": (
            {"nodes": {"instance_profiles": False, "hybrid": True, "inline_at_quota": True}},
            "",
        ),
        "no nodes": (
            {"nodes": {"instance_profiles": False, "default_host_management": False, "hybrid": False}},
            "nodes must include",
        ),
        "basics for no role": ({"attach_managed_instance_core": True}, "attach_managed_instance_core"),
    },
    "deployment_role": {
        "role": (
            {
                "name": "teams/security/Deploy",
                "external_id": "a:b/c",
                "session_name": "me@example.com",
                "duration": "1h30m",
            },
            "",
        ),
        "role by ARN": ({"name": "arn:aws:iam::111122223333:role/Deploy"}, "deployment_role.name must"),
        "role with slash in front": ({"name": "/Deploy"}, "deployment_role.name must"),
        "role with empty part": ({"name": "a//Deploy"}, "deployment_role.name must"),
        "role without a name": ({"name": "a/"}, "deployment_role.name must"),
        "role too long": ({"name": "a" * 65}, "deployment_role.name must"),
        "session name too short": ({"session_name": "a"}, "deployment_role.session_name"),
        "session name with blank": ({"session_name": "a b"}, "deployment_role.session_name"),
        "duration without a unit": ({"duration": "60"}, "deployment_role.duration"),
        "no duration": ({"duration": ""}, "deployment_role.duration"),
        "shortest session": ({"duration": "900s"}, ""),
        "longest session": ({"duration": "12h"}, ""),
        "session under 15 minutes": ({"duration": "14m59s"}, "deployment_role.duration"),
        "session over 12 hours": ({"duration": "12h1s"}, "deployment_role.duration"),
    },
    # All of a target.
    "target": {
        "defaults": ({}, ""),
        "tags of AWS": ({"tags": {"Aws:owner": "security"}}, "The tags must not begin with aws:"),
        "long name of the function, and a role": (
            {"names": {"function": "f" * 45}, "preferences": sent()},
            "subscription needs a role_arn",
        ),
        "long name of the function, and a role that is given": (
            {
                "names": {"function": "f" * 45},
                "preferences": sent(role_arn=f"arn:aws:iam::{ACCOUNT}:role/sender"),
            },
            "",
        ),
        "tags": ({"tags": {"Owner": "${name}", "cost centre": "é 日本"}}, ""),
    },
    "log_archive": {
        "defaults": ({}, ""),
        "bucket": ({"bucket_name": "session-logs"}, ""),
        "bucket with dots": ({"bucket_name": "session.logs"}, "bucket_name must have 3"),
        "reserved bucket": ({"bucket_name": "session-logs-s3alias"}, "bucket_name begins or ends"),
        "two buckets": (
            {"bucket_name": "session-logs", "existing_bucket_name": "others"},
            "bucket_name names a bucket",
        ),
        "bucket that exists": ({"existing_bucket_name": "session-logs"}, ""),
        "all of a bucket that exists": (
            {"existing_bucket_name": "session-logs", "key_prefix": ""},
            "key_prefix must not be",
        ),
        "all of a bucket": ({"key_prefix": ""}, ""),
        "prefix that climbs": ({"key_prefix": "a/../b"}, "key_prefix must be letters"),
        "prefix with a part that the agent drops": ({"key_prefix": "a/./b"}, "key_prefix must be letters"),
        "lock": ({"object_lock": {"days": 30}}, ""),
        "lock in another mode": ({"object_lock": {"mode": "LEGAL", "days": 30}}, "expected mode to be one of"),
        "lock for no time": ({"object_lock": {"days": 0}}, "object_lock.days must be"),
        "lock longer than the logs": ({"object_lock": {"days": 366}}, "retention.days must not"),
        "lock on logs for ever": ({"object_lock": {"days": 366}, "retention": {"days": 0}}, ""),
        "lock on a bucket that exists": (
            {"existing_bucket_name": "session-logs", "object_lock": {"days": 30}},
            "object_lock has no effect",
        ),
        "access logs": ({"access_logging": {"bucket_name": "access.logs"}}, ""),
        "access logs in the bucket": (
            {"bucket_name": "logs-one", "access_logging": {"bucket_name": "logs-one"}},
            "access_logging.bucket_name",
        ),
        "access logs of a bucket that exists": (
            {"existing_bucket_name": "session-logs", "access_logging": {"bucket_name": "access-logs"}},
            "access_logging has no effect",
        ),
        "days": ({"retention": {"days": 30, "noncurrent_days": 0}}, ""),
        "days before today": ({"retention": {"days": -1}}, "retention.days and retention.noncurrent_days"),
        "transitions": (
            {
                "retention": {
                    "transitions": [moved(30, "STANDARD_IA"), moved(90, "GLACIER_IR"), moved(180, "DEEP_ARCHIVE")]
                }
            },
            "",
        ),
        "transition that is too early": (
            {"retention": {"transitions": [moved(29, "ONEZONE_IA")]}},
            "days of each of the retention.transitions",
        ),
        "transition at once": ({"retention": {"transitions": [moved(0, "INTELLIGENT_TIERING")]}}, ""),
        "transition of what is gone": (
            {"retention": {"days": 90, "transitions": [moved(90, "GLACIER")]}},
            "days of the retention.transitions",
        ),
        "disordered transitions": (
            {"retention": {"transitions": [moved(90, "GLACIER_IR"), moved(60, "GLACIER")]}},
            "retention.transitions must",
        ),
        "transitions upwards": (
            {"retention": {"transitions": [moved(60, "GLACIER"), moved(90, "STANDARD_IA")]}},
            "retention.transitions must",
        ),
        "transition out of infrequent access too soon": (
            {"retention": {"transitions": [moved(30, "STANDARD_IA"), moved(45, "GLACIER")]}},
            "retention.transitions must leave",
        ),
        "transition out of one zone too soon": (
            {"retention": {"transitions": [moved(30, "ONEZONE_IA"), moved(59, "DEEP_ARCHIVE")]}},
            "retention.transitions must leave",
        ),
        "transition out of infrequent access in time": (
            {"retention": {"transitions": [moved(30, "STANDARD_IA"), moved(60, "ONEZONE_IA"), moved(90, "GLACIER")]}},
            "",
        ),
        "transition that S3 does not support": (
            {"retention": {"transitions": [moved(30, "ONEZONE_IA"), moved(90, "GLACIER_IR")]}},
            "must not go from ONEZONE_IA to GLACIER_IR",
        ),
        "transition to nowhere": ({"retention": {"transitions": [moved(60, "TAPE")]}}, "Invalid String Enum Value"),
        "key": ({"bucket_key": {"kms_key_arn": KEY}}, ""),
        "alias in place of a key": ({"bucket_key": {"kms_key_arn": ALIAS_ARN}}, "bucket_key.kms_key_arn"),
        "alias of AWS": ({"bucket_key": {"alias": "alias/aws/s3"}}, "cannot begin with reserved AWS CMK prefix"),
        "alias of nothing": ({"bucket_key": {"alias": "logs"}}, "must begin with 'alias/'"),
        "session key": ({"session_key": {"mode": "shared"}}, ""),
        "session key of another kind": ({"session_key": {"mode": "both"}}, "session_key.mode must be"),
        "one alias for two keys": (
            {"session_key": {"alias": "alias/session-manager/log-archive"}},
            "session_key.alias and the",
        ),
        "reader": ({"reader_role_arns": ["arn:aws:iam::111122223333:role/audit/Reader"]}, ""),
        "all readers": ({"reader_role_arns": ["arn:aws:iam::111122223333:role/*"]}, "reader_role_arns must be"),
        "user that reads": ({"reader_role_arns": ["arn:aws:iam::111122223333:user/jane"]}, "reader_role_arns must be"),
        "bucket in capitals": ({"bucket_name": "Session-Logs"}, "bucket_name must have 3"),
        "bucket of a reserved beginning": ({"bucket_name": "sthree-logs"}, "bucket_name begins or ends"),
        "bucket of a reserved end": ({"bucket_name": "logs--x-s3"}, "bucket_name begins or ends"),
        "bucket that exists, with dots": ({"existing_bucket_name": "session.logs"}, "existing_bucket_name must"),
        "session key's alias of nothing": (
            {"session_key": {"mode": "separate", "alias": "data"}},
            "must begin with 'alias/'",
        ),
        "account that reads": ({"reader_role_arns": ["arn:aws:iam::111122223333:root"]}, "reader_role_arns must be"),
    },
    "guardrails": {
        "defaults": ({}, ""),
        "root": ({"attach_to": ["r-abcd", "ou-abcd-12345678", "111122223333"]}, ""),
        "name of a unit": ({"attach_to": ["Workloads"]}, "attach_to must be ids of"),
        "nothing denied": ({"deny": NOTHING_DENIED}, "deny must leave at least"),
        "nothing but keys denied": ({"deny": {**NOTHING_DENIED, "keys": True}}, ""),
        "role": ({"exempt_role_arns": ["arn:aws:iam::*:role/BreakGlass*"]}, ""),
        "every role": ({"exempt_role_arns": ["arn:aws:iam::*:role/*"]}, "exempt_role_arns must be"),
        "user": ({"exempt_role_arns": ["arn:aws:iam::111122223333:user/jane"]}, "exempt_role_arns must be"),
        "roles that are not logged": ({"unlogged_session_role_arns": ["arn:aws:iam::*:role/database-support"]}, ""),
        "everybody is not logged": ({"unlogged_session_role_arns": ["*"]}, "unlogged_session_role_arns"),
        "documents": ({"other_session_documents": ["Team-Session"]}, ""),
        "documents that log": ({"logged_session_documents": ["Team-Session"]}, ""),
        "documents that log, by a pattern": (
            {"logged_session_documents": ["Team-*"]},
            "logged_session_documents must be",
        ),
        "documents that log, without a rule": (
            {"logged_session_documents": ["Team-Session"], "deny": {"other_documents": False}},
            "logged_session_documents have no effect",
        ),
        "documents that log or not": (
            {"logged_session_documents": ["Team-Session"], "other_session_documents": ["Team-Session"]},
            "must not name the same documents",
        ),
        "document of a pattern": ({"other_session_documents": ["Team-*"]}, "other_session_documents"),
        "documents without a rule": (
            {"other_session_documents": ["Team-Session"], "deny": {"other_documents": False}},
            "other_session_documents",
        ),
        "name": ({"name": "Session Manager"}, ""),
        "name with a colon": ({"name": "session:manager"}, "name must have 1 to 128"),
        "every role of a path": ({"exempt_role_arns": ["arn:aws:iam::*:role/team/*"]}, "exempt_role_arns must be"),
        "role of no account": ({"exempt_role_arns": ["arn:aws:iam::12345:role/deploy"]}, "exempt_role_arns must be"),
        "everybody is exempt": ({"exempt_role_arns": ["*"]}, "exempt_role_arns must be"),
        "half of a unit's id": ({"attach_to": ["ou-abcd"]}, "attach_to must be ids of"),
        "half of an account's id": ({"attach_to": ["12345"]}, "attach_to must be ids of"),
    },
}

# What only the modules know, as their arguments; a row is named by what the module says.
_ARGUMENTS: Mapping[str, list[tuple[Values, str]]] = {
    "instance_policy": [
        ({"name": "two words"}, "invalid value for name"),
        ({"path": "team"}, "path must begin and end with a"),
        ({"log_group_name": "no:colons"}, "log_group_name must have at most"),
        ({"log_group_name": "aws/sessions"}, "and not begin with aws/"),
        ({"s3": {"bucket_name": "logs", "key_prefix": "a/."}}, 'without "." as a part'),
        ({"s3": {"bucket_name": "with.dots"}}, "s3.bucket_name must be a bucket's"),
        ({"s3": {"bucket_name": "logs", "key_prefix": "a/*"}}, "s3.key_prefix must be letters"),
        ({"s3": {"bucket_name": "logs", "kms_key_arn": "alias/x"}}, "s3.kms_key_arn must be the ARN"),
        ({"s3": {"bucket_name": "logs", "kms_key_account_id": "1234"}}, "s3.kms_key_account_id must have"),
        ({"s3": {"bucket_name": "logs", "bucket_account_id": "1234"}}, "s3.bucket_account_id must have"),
        (
            {"s3": {"bucket_name": "logs", "kms_key_arn": KEY, "kms_key_account_id": "210987654321"}},
            "s3.kms_key_arn and the s3.kms_key_account_id",
        ),
        ({"session_key_alias": "data"}, "session_key_alias must begin with"),
        ({"session_key_alias": "alias/aws/ssm"}, "but not with alias/aws/, which"),
        ({"session_key_arns": ["alias/x"]}, "session_key_arns must be ARNs of"),
        ({"session_key_regions": []}, "session_key_regions must be names"),
        ({"session_key_regions": ["eu-west-1", "cn-north-1"]}, "session_key_regions must be regions"),
        ({"log_group_name": "", "session_key_alias": None}, "policy SessionManagerLogPolicy"),
        ({"session_key_arns": [f"{KEY}{n}" for n in range(100)]}, "policy SessionManagerLogPolicy"),
    ],
    "config_rule": [
        ({"policy_arn": "SessionManagerLogPolicy"}, "policy_arn must be the ARN of a"),
        ({"home_region": "us-east-1"}, "in the home region us-east-1 only"),
        ({"policy_arn": "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"}, "must be the ARN of a policy in"),
        ({"excluded_role_paths": [f"/{n}{'/p' * 100}/" for n in range(20)]}, "Guard rule would be too long for"),
        ({"excluded_role_names": [f"{n}-{'n' * 50}" for n in range(60)]}, "policy of the Automation role would"),
    ],
    "preferences": [
        (
            {"drift_repair": {"notify_topic_arn": "arn:aws:sns:us-east-1:614208975316:repairs"}},
            "drift_repair.notify_topic_arn must",
        ),
        ({"cloudwatch": {"kms_key_arn": KEY_ELSEWHERE}}, "cloudwatch.kms_key_arn must be"),
        ({"session_key": {"kms_key_arn": KEY_ELSEWHERE}}, "session_key.kms_key_arn must be"),
    ],
    "guardrails": [
        ({"exempt_role_arns": []}, "exempt_role_arns must name at least"),
        ({"boundary": {"enabled": True, "name": "two words"}}, "invalid value for name"),
        ({"boundary": {"path": "team"}}, "boundary.path must begin and end"),
        ({"config_rule_tag": {"key": ""}}, "config_rule_tag must have a key"),
        ({"log_archive": {"bucket_name": "with.dots"}}, "log_archive.bucket_name must be"),
        (
            {"log_archive": {"bucket_name": "logs", "other_buckets": [{"bucket_name": "Logs"}]}},
            "The log_archive.bucket_name must be a bucket's name without",
        ),
        ({"log_archive": {"bucket_name": "logs", "key_prefix": "logs/"}}, "log_archive.key_prefix must be"),
        ({"log_archive": {"bucket_name": "logs", "key_prefix": "./logs"}}, 'without "." as a part'),
        ({"log_archive": {"bucket_name": "logs", "key_aliases": ["x"]}}, "log_archive.key_aliases must begin"),
        ({"names": {"function": "session-*"}}, "names must have letters, digits"),
        ({"names": {"data_key_alias": "data"}}, "names.data_key_alias and names.logs_key_alias"),
        ({"names": {"data_key_parameter": "key"}}, "names.data_key_parameter must begin"),
        ({"names": {"policy_path": "team"}}, "names.policy_path must begin and"),
        ({"scp_length_limit": 0}, "scp_length_limit must be a whole number"),
        ({"scp_length_limit": 5120.5}, "scp_length_limit must be a whole number"),
        ({"scp_length_limit": 5120, "exempt_role_arns": MANY_ROLES[:10]}, "and scp_length_limit is 5120: exempt fewer"),
        ({"attach_to": ["r-abcd"], "exempt_role_arns": MANY_ROLES}, "and scp_length_limit is 10240: exempt fewer"),
        ({"exempt_role_arns": MANY_ROLES}, "and scp_length_limit is 10240: exempt fewer"),
        ({"boundary": {"enabled": True}, "exempt_role_arns": MANY_ROLES}, "and IAM takes 6144: exempt fewer"),
    ],
    "deployment_roles": [
        ({"ci": {**CI, "service": "jenkins"}}, "ci.service must be github or"),
        ({"ci": {**CI, "plan_subjects": ["repo:example/*:pull_request"]}}, "subjects must name a repository without"),
        ({"ci": {**CI, "plan_subjects": ["*"]}}, "subjects must name a repository without"),
        (
            {"ci": {**CI, "apply_subjects": ["repo:example/zone:pull_request"]}},
            "apply_subjects must name an environment",
        ),
        ({"ci": {**CI, "apply_subjects": ["repo:example/zone:*"]}}, "apply_subjects must name an environment"),
        ({"ci": {**CI, "max_session_duration": 900}}, "ci.max_session_duration must be"),
        (
            {"member": {"trusted_by_read_role": ["*"], "trusted_by_deployment_role": ["*"]}},
            "trusted principals must be",
        ),
        ({"member": {"trusted_by_read_role": [], "trusted_by_deployment_role": []}}, "need at least one trusted"),
        ({"path": "platform"}, "path must begin and end with a slash"),
    ],
    "operator_access": [
        ({"operator": {}}, "operator.instance_tags must name"),
        ({"operator": {"instance_tags": {"team": []}}}, "operator.instance_tags must be"),
        ({"operator": {"instance_tags": {"team": ["web-*"]}}}, "values of operator.instance_tags"),
        ({"operator": {"instance_tags": {"team": ["$${aws:x}"]}}}, "values of operator.instance_tags"),
        (
            {"operator": {"instance_tags": {"team": ["web"]}, "policy_name": "two words"}},
            "invalid value for name",
        ),
        (
            {"operator": {"instance_tags": {"team": ["web"]}, "attach_to_roles": ["team/ops"]}},
            "operator.attach_to_roles must be",
        ),
        ({"auditor": {"policy_name": "a/b"}}, "invalid value for name"),
        ({"auditor": {"attach_to_roles": ["*"]}}, "auditor.attach_to_roles must be"),
        ({"names": {"data_key_alias": "data"}}, "names.data_key_alias and names.logs_key_alias"),
        ({"names": {"document": "Session*"}}, "names.document must have 3 to 128"),
        ({"names": {"function": ""}}, "names.function must have 1 to 49"),
        ({"names": {"log_group": "logs:*"}}, "names.log_group must have 1 to"),
        ({"names": {"log_group": "AWS/logs"}}, "and not begin with aws/"),
        ({"names": {"document": "AWS-Shell"}}, "and not begin with aws, amazon or amzn"),
        ({"s3": {"bucket_name": "logs", "key_prefix": "."}}, 'without "." as a part'),
        ({"path": "team"}, "path must begin and end with a"),
        ({"regions": []}, "regions must be names of regions"),
        ({"s3": {"bucket_name": "with.dots"}}, "s3.bucket_name must be a bucket's"),
        ({"s3": {"bucket_name": "logs", "key_prefix": "a/*"}}, "s3.key_prefix must be letters"),
        ({"s3": {"bucket_name": "logs", "kms_key_arn": "alias/x"}}, "s3.kms_key_arn must be the ARN"),
        ({"session_key_arns": ["alias/x"]}, "session_key_arns must be ARNs of"),
        ({"auditor": {"policy_name": "SessionManagerOperator"}}, "and the operator.policy_name must"),
        ({"session_key_arns": [f"{KEY}{n}" for n in range(90)]}, "policy SessionManagerOperator would"),
    ],
    "log_archive": [
        ({"organization_id": "our-organization"}, "organization_id must be the id"),
        ({"bucket_key": {"kms_key_arn": KEY_ELSEWHERE}}, "bucket_key.kms_key_arn must be"),
    ],
    "log_destination": [
        ({"organization_id": "our-organization"}, "organization_id must be the id"),
        ({"organization_id": None}, "organization_id or the account_ids must say"),
        ({"account_ids": ["1234"]}, "account_ids must have exactly 12 digits"),
        ({"name": "session logs"}, "name must have 1 to 49"),
        (
            {"target_arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:siem"},
            "target_arn must be the ARN of a Kinesis",
        ),
        ({"target_kms_key_arn": ALIAS_ARN}, "target_kms_key_arn must be the ARN of a key"),
        (
            {"target_arn": "arn:aws:kinesis:eu-west-1:111122223333:stream/x"},
            "a destination sends to a stream of its own",
        ),
        (
            {"account_ids": [f"{number:012d}" for number in range(330)]},
            "longer than the 5120 bytes that CloudWatch Logs accepts",
        ),
    ],
    "vpc_endpoints": [
        ({"organization_id": "our-organization"}, "organization_id must be the id"),
        ({"vpc_id": "main"}, "vpc_id must be the id of a VPC"),
        ({"subnet_ids": ["a"]}, "subnet_ids must be ids of subnets"),
        ({"subnet_ids": ["subnet-0a1b2c3d", "subnet-0a1b2c3d"]}, "subnet_ids must not name a subnet"),
        ({"route_table_ids": ["a"]}, "route_table_ids must be ids of"),
        ({"route_table_ids": ["rtb-0a1b2c3d", "rtb-0a1b2c3d"]}, "route_table_ids must not name a"),
        ({"security_group_ids": ["default"]}, "security_group_ids must be ids"),
        ({"security_group_name": "sg-endpoints"}, "security_group_name must have"),
        ({"services": {"ssm": "gateway"}}, "services must be interface or none"),
        ({"existing_endpoints": {"sns": "vpce-0a1b2c3d"}}, "existing_endpoints must be for"),
        ({"existing_endpoints": {"ssm": "ssm"}}, "existing_endpoints must be ids"),
        ({"aws_bucket_names": ["*"]}, "aws_bucket_names must be names"),
        ({"allowed_cidr_blocks": ["10.0.0.1/16"]}, "allowed_cidr_blocks must be IPv4"),
        ({"allowed_cidr_blocks": ["0.0.0.0/0"]}, "allowed_cidr_blocks must not be"),
        ({"allowed_cidr_blocks": ["10.0.0.0/16", "10.0.0.0/16"]}, "allowed_cidr_blocks must not overlap"),
        ({"allowed_cidr_blocks": ["10.0.128.0/17", "192.168.0.0/16", "10.0.0.0/8"]}, "allowed_cidr_blocks must not"),
        ({"subnet_ids": []}, "subnet_ids must name at least one"),
        ({"route_table_ids": []}, "route_table_ids must name at least"),
        (
            {"security_group_ids": ["sg-0a1b2c3d"], "allowed_cidr_blocks": ["10.0.0.0/16"]},
            "allowed_cidr_blocks have no effect",
        ),
    ],
}

MODULES: Mapping[str, Rows] = {
    module: {f"{number}: {row[1]}": row for number, row in enumerate(rows)} for module, rows in _ARGUMENTS.items()
}
