"""What a plan would create is looked for first, and named with the ways out, or used as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from session_manager_fleet.errors import AccessError
from session_manager_fleet.run import adopting, existing as work
from session_manager_fleet.run.adopting import (
    adoptions_of,
    as_imported,
    restore_log_groups,
    still_there,
    unusable_keys,
)
from session_manager_fleet.run.existing import Existing, creates_anything, find_existing, problem_of
from session_manager_fleet.terraform import Adoption, Kind

REGION, ACCOUNT = "eu-west-1", "123456789012"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
GRANTS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)

# Everything with a fixed name that the root creates, as a plan has it.
PLANNED: Mapping[str, Mapping[str, Any]] = {
    "preferences[0].aws_cloudwatch_log_group.sessions[0]": {"name": "sessions"},
    "preferences[0].aws_cloudwatch_log_group.function": {"name": "/aws/lambda/keeper"},
    "preferences[0].aws_kms_alias.logs[0]": {"name": "alias/logs"},
    "preferences[0].aws_kms_alias.session_data[0]": {"name": "alias/data"},
    "preferences[0].aws_ssm_parameter.session_key[0]": {"name": "/keys/data"},
    "preferences[0].aws_lambda_function.this": {"function_name": "keeper"},
    "preferences[0].aws_iam_role.function": {"name": "keeper-eu-west-1"},
    "preferences[0].aws_sqs_queue.failures[0]": {"name": "keeper-failures"},
    "preferences[0].aws_cloudwatch_metric_alarm.failures[0]": {"alarm_name": "keeper-failures"},
    "preferences[0].aws_cloudwatch_event_rule.schedule[0]": {"name": "keeper-schedule"},
    "instance_policy[0].aws_iam_policy.this": {"name": "Sessions", "path": "/"},
    "config_rule[0].aws_config_config_rule.this": {"name": "required-policy"},
    "config_rule[0].aws_config_remediation_configuration.this": {"config_rule_name": "required-policy"},
    "config_rule[0].aws_ssm_document.this": {"name": "Attach-policy"},
    "guardrails[0].aws_organizations_policy.this[0]": {"name": "guardrails", "type": "SERVICE_CONTROL_POLICY"},
}


def plan(*addresses: str, **more: Mapping[str, Any]) -> dict[str, Any]:
    """A plan that creates these."""
    return plan_of({name: PLANNED[name] for name in addresses or PLANNED} | more)


def plan_of(planned: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A plan that creates these, with their values."""
    return {
        "resource_changes": [
            {
                "mode": "managed",
                "type": name.split(".")[1],
                "address": f"module.{name}",
                "change": {"actions": ["create"], "before": None, "after": after},
            }
            for name, after in planned.items()
        ]
    }


@pytest.fixture
def session(credentials: None) -> Iterator[boto3.Session]:  # noqa: ARG001 - in the environment
    with mock_aws():
        yield boto3.Session(region_name=REGION)


def make_all(session: boto3.Session) -> str:
    """Make everything that the plan creates; return the ARN of the key."""
    logs, kms, ssm, iam = session.client("logs"), session.client("kms"), session.client("ssm"), session.client("iam")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    for alias in ("alias/logs", "alias/data"):
        kms.create_alias(AliasName=alias, TargetKeyId=key)
    logs.create_log_group(logGroupName="sessions", kmsKeyId=key)
    logs.put_retention_policy(logGroupName="sessions", retentionInDays=30)
    logs.create_log_group(logGroupName="/aws/lambda/keeper")
    ssm.put_parameter(Name="/keys/data", Value="x", Type="String")
    ssm.create_document(Name="Attach-policy", DocumentType="Automation", Content='{"schemaVersion": "0.3"}')
    role = iam.create_role(RoleName="keeper-eu-west-1", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.create_policy(PolicyName="sessions", Path="/other/", PolicyDocument=GRANTS)
    session.client("lambda").create_function(
        FunctionName="keeper", Role=role, Code={"ZipFile": b""}, Handler="x.y", Runtime="python3.13"
    )
    session.client("sqs").create_queue(QueueName="keeper-failures")
    session.client("cloudwatch").put_metric_alarm(
        AlarmName="keeper-failures", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold"
    )
    session.client("events").put_rule(Name="keeper-schedule", ScheduleExpression="rate(1 hour)")
    config = session.client("config")
    source: Any = {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED"}
    recorder: Any = {"name": "default", "roleARN": role}
    config.put_configuration_recorder(ConfigurationRecorder=recorder)
    config.put_config_rule(ConfigRule={"ConfigRuleName": "required-policy", "Source": source})
    organizations = session.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    organizations.create_policy(Name="guardrails", Description="", Content=GRANTS, Type="SERVICE_CONTROL_POLICY")
    return str(key)


def test_everything_with_a_fixed_name_is_found(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # moto has no remediations.
    monkeypatch.setattr(work, "_KINDS", {**work._KINDS, "aws_config_remediation_configuration": REMEDIATION})
    session.client("organizations")
    key = make_all(session)

    found = {each.address.removeprefix("module."): each for each in find_existing(session, plan())}

    assert list(found) == list(PLANNED)
    group = found["preferences[0].aws_cloudwatch_log_group.sessions[0]"]
    assert str(group) == f"log group sessions (key {key}, retention 30 days)"
    assert "kept forever" in str(found["preferences[0].aws_cloudwatch_log_group.function"])
    policy = found["instance_policy[0].aws_iam_policy.this"]
    assert (policy.import_id, policy.detail) == (f"arn:aws:iam::{ACCOUNT}:policy/other/sessions", "path /other/")
    assert found["preferences[0].aws_sqs_queue.failures[0]"].import_id.startswith("https://")
    messages = [problem_of(each).message for each in found.values()]
    assert all("choose another " in message and "or delete it." in message for message in messages)
    names = ("cloudwatch.existing: adopt", "session_key.existing: adopt", "instance_policy.enabled: false")
    assert all(any(name in message for message in messages) for name in names)


REMEDIATION = work._Kind("remediation", lambda *_: ("required-policy", "", ""), "config_rule_name")


def test_nothing_is_found_in_an_empty_account(session: boto3.Session) -> None:
    planned = plan(*(name for name in PLANNED if "remediation" not in name and "organizations" not in name))

    assert creates_anything(planned)
    assert find_existing(session, planned) == []


@pytest.mark.parametrize("actions", [["update"], ["no-op"], ["delete"], ["delete", "create"], ["create", "delete"]])
def test_nobody_is_asked_for_what_is_not_created(actions: list[str]) -> None:
    planned = plan()
    for entry in planned["resource_changes"]:
        entry["change"]["actions"] = actions

    assert not creates_anything(planned)
    assert find_existing(None, planned) == []  # type: ignore[arg-type]


def test_an_alias_is_imported_with_its_key(session: boto3.Session) -> None:
    key = make_all_keys(session)
    more: dict[str, dict[str, Any]] = {"preferences[0].aws_kms_key.logs[0]": {}}

    (found,) = find_existing(session, plan("preferences[0].aws_kms_alias.logs[0]", **more))

    assert found.imports == (
        ("module.preferences[0].aws_kms_key.logs[0]", key.rpartition("/")[2]),
        ("module.preferences[0].aws_kms_alias.logs[0]", "alias/logs"),
    )


def make_all_keys(session: boto3.Session) -> str:
    kms = session.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/logs", TargetKeyId=key)
    return str(key)


def test_an_answer_that_is_refused_fails_the_plan(session: boto3.Session) -> None:
    def refuse(**_: object) -> None:
        raise session.client("kms").exceptions.ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeKey"
        )

    session.events.register("before-call.kms.DescribeKey", refuse)

    with pytest.raises(AccessError, match="Cannot ask whether the KMS alias alias/logs exists"):
        find_existing(session, plan("preferences[0].aws_kms_alias.logs[0]"))


# --- Adoption ----------------------------------------------------------------------------------------------------

GROUP, LOGS, DATA = (
    Existing(kind, f"module.preferences[0].{kind}.{name}[0]", label, label, key_arn)
    for kind, name, label, key_arn in (
        ("aws_cloudwatch_log_group", "sessions", "sessions", "arn:key"),
        ("aws_kms_alias", "logs", "alias/logs", "arn:key"),
        ("aws_kms_alias", "session_data", "alias/data", "arn:data"),
    )
)
SHARED = Existing(
    "aws_ssm_service_setting", "module.preferences[0].aws_ssm_service_setting.public_sharing[0]", "s", "s"
)
LOGGING: tuple[Kind, ...] = ("log_group", "logs_key")


@pytest.mark.parametrize(
    ("found", "allowed", "adopted"),
    [
        ([GROUP, LOGS], LOGGING, [Adoption("log_group", "sessions", "arn:key")]),
        ([LOGS], LOGGING, [Adoption("logs_key", "alias/logs", "arn:key")]),
        ([GROUP, LOGS, DATA], ("session_key",), [Adoption("session_key", "alias/data", "arn:data")]),
        ([GROUP, LOGS, DATA], (), []),
        ([SHARED], ("public_sharing",), [Adoption("public_sharing", "s")]),
    ],
    ids=["group with its key", "alias alone", "data", "nothing allowed", "sharing"],
)
def test_what_is_adopted(found: list[Existing], allowed: tuple[Any, ...], adopted: list[Adoption]) -> None:
    assert list(adoptions_of(found, allowed)) == adopted


def test_a_key_that_will_be_deleted_is_not_adopted(session: boto3.Session) -> None:
    key = make_all_keys(session)
    session.client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2])
    address = "preferences[0].aws_kms_alias.logs[0]"

    (found,) = find_existing(session, plan(address))

    assert adoptions_of([found], LOGGING) == ()
    assert "which is PendingDeletion" in problem_of(found).message
    assert still_there(session, [Adoption("logs_key", "alias/logs", key)]) == ()


def test_what_is_adopted_is_looked_for_again(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_all_keys(session)
    session.client("logs").create_log_group(logGroupName="sessions")
    monkeypatch.setattr(adopting, "is_sharing_blocked", lambda _session, setting: setting == "blocked")
    moved = Adoption("logs_key", "alias/logs", "arn:another")
    adopted = (
        *(Adoption("log_group", name) for name in ("sessions", "gone")),
        *(moved, Adoption("session_key", "alias/gone", "arn:gone")),
        *(Adoption("public_sharing", name) for name in ("blocked", "open")),
    )

    assert still_there(session, adopted) == (
        Adoption("log_group", "sessions", "", 0),
        Adoption("logs_key", "alias/logs", key),
        Adoption("public_sharing", "blocked"),
    )
    (problem,) = unusable_keys(session, REGION, [Adoption("logs_key", "alias/logs", key)])
    assert "does not name logs.eu-west-1.amazonaws.com in its policy" in problem.message
    session.client("kms").put_key_policy(
        KeyId=key,
        PolicyName="default",
        Policy=TRUST.replace("[]", '[{"Principal": {"Service": "logs.eu-west-1.amazonaws.com"}}]'),
    )
    assert unusable_keys(session, REGION, [Adoption("logs_key", "alias/logs", key)]) == []


# --- Adopted log groups that are changed -------------------------------------------------------------------------


def change_of(name: str, *actions: str, **change: object) -> dict[str, Any]:
    """A plan that does something to an adopted log group."""
    before = {"name": name, "kms_key_id": "", "retention_in_days": 30, "skip_destroy": True}
    after = None if actions == ("delete",) else {**before, "retention_in_days": 90}
    changed = {"actions": list(actions), "before": before, "after": after, **change}
    return {
        "resource_changes": [
            {"mode": "managed", "type": "aws_cloudwatch_log_group", "address": "adopted", "change": changed}
        ]
    }


def test_what_a_log_group_was_is_known_from_its_import() -> None:
    stale, key = Adoption("log_group", "sessions", "arn:old", 7), Adoption("logs_key", "alias/logs", "arn:key")

    assert as_imported([stale, key], change_of("sessions", "update", importing={"id": "sessions"})) == (
        Adoption("log_group", "sessions", "", 30),
        key,
    )
    # Later plans find what they have changed themselves.
    assert as_imported([stale], change_of("sessions", "update")) == (stale,)


@pytest.mark.parametrize(("key", "days"), [("", 0), ("", 30), ("key", 0), ("key", 30)])
def test_a_log_group_that_is_forgotten_is_as_it_was(session: boto3.Session, key: str, days: int) -> None:
    logs, kms = session.client("logs"), session.client("kms")
    old, new = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    logs.create_log_group(logGroupName="sessions", kmsKeyId=new)
    logs.put_retention_policy(logGroupName="sessions", retentionInDays=90)
    adoption = Adoption("log_group", "sessions", old if key else "", days)
    associated: list[str] = []
    for name in ("AssociateKmsKey", "DisassociateKmsKey"):
        # moto knows neither.
        session.events.register(f"before-call.logs.{name}", answering(associated, name))

    (sentence,) = restore_log_groups(session, change_of("sessions", "delete"), [adoption])

    assert sentence == "The log group sessions has the key and the retention that it had before."
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group.get("retentionInDays", 0) == days
    assert associated == ["AssociateKmsKey" if key else "DisassociateKmsKey"]


def answering(called: list[str], name: str) -> Any:  # noqa: ANN401 - a handler of botocore's events
    def handler(**_: object) -> tuple[AWSResponse, dict[str, object]]:
        called.append(name)
        return AWSResponse("https://logs", 200, HTTPHeaders(), None), {}

    return handler


def test_nothing_else_is_restored(session: boto3.Session) -> None:
    adoption = Adoption("log_group", "sessions", "", 30)
    kept = change_of("sessions", "delete")
    kept["resource_changes"][0]["change"]["before"]["skip_destroy"] = False

    assert restore_log_groups(session, kept, [adoption]) == []
    assert restore_log_groups(session, change_of("sessions", "update"), [adoption]) == []
    (unknown,) = restore_log_groups(session, change_of("sessions", "delete"), [])
    assert unknown == "The log group sessions stays as it is: what it was before is not known."


def test_a_filter_and_a_policy_of_somebody_are_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Logs:
        """Filters and policies of log groups; moto has no policies."""

        def describe_subscription_filters(self, **asked: str) -> Any:  # noqa: ANN401 - as boto3 has it
            assert asked == {"logGroupName": "sessions", "filterNamePrefix": "siem"}
            return {
                "subscriptionFilters": [{"filterName": "siem-2"}, {"filterName": "siem", "destinationArn": "arn:x"}]
            }

        def get_data_protection_policy(self, **asked: str) -> Any:  # noqa: ANN401 - as boto3 has it
            return {"policyDocument": "{}"} if asked == {"logGroupIdentifier": "sessions"} else {}

    monkeypatch.setattr(work, "client_of", lambda *_: Logs())
    here = "preferences[0].aws_cloudwatch_log_"
    policy = f"{here}data_protection_policy.sessions[0]"
    planned = {
        f"{here}subscription_filter.sessions[0]": {"log_group_name": "sessions", "name": "siem"},
        policy: {"log_group_name": "sessions"},
    }
    found = find_existing(boto3.Session(region_name=REGION), plan_of(planned))
    assert [each.import_id for each in found] == ["sessions|siem", "sessions"]
    first, second = (problem_of(each).message for each in found)
    assert first.startswith("The subscription filter siem (to arn:x) exists already")
    assert "choose another preferences.cloudwatch.subscription.name" in first
    assert "without preferences.cloudwatch.data_protection" in second
    assert find_existing(boto3.Session(region_name=REGION), plan_of({policy: {"log_group_name": "other"}})) == []
