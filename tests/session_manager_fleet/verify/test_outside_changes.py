"""What was changed outside of Terraform: every kind of resource as in the state, changed, and gone."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Inventory
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform import ManagedResource, StateBackend, StoredState, UnreadableStateError
from session_manager_fleet.verify import outside_changes
from session_manager_fleet.verify.applied_resources import _COMPARE, Live, differences
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check
from session_manager_fleet.verify.outside_changes import OutsideChanges, States
from session_manager_fleet.verify.reading import Reader, run_check
from tests.e2e import cures

HOME = "eu-west-1"
TARGET = Target(Account("123456789012", "Member"), HOME, HOME)
ARN = "arn:aws:iam::123456789012"


class Answers:
    """A reader that knows the answers: by method, None for what is absent, or a list of entries for pages."""

    def __init__(self, **answers: Any) -> None:  # noqa: ANN401 - any answer
        self.answers = answers

    def find(self, _service: str, _region: str, method: str, **_: object) -> Any:  # noqa: ANN401
        if isinstance(self.answers[method], ClientError):
            raise self.answers[method]
        return self.answers[method]

    call = find_once = find

    def once(self, _what: object, read: Any) -> Any:  # noqa: ANN401 - what is read
        return read()

    def pages(self, _service: str, _region: str, method: str, _key: str, **_: object) -> Iterator[Any]:
        yield from self.find("", "", method)


def policy(action: str = "kms:Decrypt", **more: object) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": "*", **more}]}


TEXT = json.dumps(policy())
OTHER = policy("*")
ROLE = {"name": "function", "assume_role_policy": TEXT, "permissions_boundary": ""}
FUNCTION = {
    "function_name": "preferences",
    "role": f"{ARN}:role/function",
    "handler": "a.handler",
    "runtime": "python3.13",
    "timeout": 420,
    "layers": None,
    "environment": [],
    "logging_config": [{"log_group": "/aws/lambda/preferences"}],
}
CONFIGURATION = {
    "Role": f"{ARN}:role/function",
    "Handler": "a.handler",
    "Runtime": "python3.13",
    "Timeout": 420,
    "LoggingConfig": {"LogGroup": "/aws/lambda/preferences"},
}
RULE = {
    "name": "rule",
    "scope": [{"compliance_resource_types": ["AWS::IAM::Role"]}],
    "source": [{"source_detail": [{"event_source": "aws.config", "message_type": "Oversized"}]}],
}
LIVE_RULE = {
    "Scope": {"ComplianceResourceTypes": ["AWS::IAM::Role"]},
    "Source": {"SourceDetails": [{"EventSource": "aws.config", "MessageType": "Oversized"}]},
}
PARAMETER = {"name": "PolicyArn", "static_value": f"{ARN}:policy/own", "static_values": [], "resource_value": ""}
OF_ROLE = {"name": "Role", "static_value": "", "static_values": [], "resource_value": "RESOURCE_ID"}
REMEDIATION = {"config_rule_name": "rule", "target_id": "attach", "parameter": [PARAMETER, OF_ROLE]}
LIVE_PARAMETERS = {
    "PolicyArn": {"StaticValue": {"Values": [f"{ARN}:policy/own"]}},
    "Role": {"ResourceValue": {"Value": "RESOURCE_ID"}},
}
ADMINISTRATOR = {"PolicyArn": {"StaticValue": {"Values": ["arn:aws:iam::aws:policy/AdministratorAccess"]}}}
QUEUE = {"url": "https://queue", "name": "failures", "policy": TEXT, "kms_master_key_id": "alias/aws/sqs"}
LIVE_QUEUE = {"Policy": TEXT, "KmsMasterKeyId": "alias/aws/sqs", "MessageRetentionPeriod": "1209600"}
GROUP = {"name": "sessions", "kms_key_id": "arn:key", "retention_in_days": 90}
DOCUMENT = {"name": "attach", "content": '{"a": 1}', "permissions": {}}
NO_POLICY = ClientError({"Error": {"Code": "NoSuchBucketPolicy", "Message": "none"}}, "GetBucketPolicy")
NO_GUARDRAILS = ClientError({"Error": {"Code": "PolicyNotFoundException", "Message": "none"}}, "DescribePolicy")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "denied"}}, "ListRolePolicies")
NO_ROLE = ClientError({"Error": {"Code": "NoSuchEntity", "Message": "none"}}, "ListAttachedRolePolicies")


def role(document: object = None, **more: object) -> dict[str, Any]:
    policies: dict[str, Any] = {"list_role_policies": [], "list_attached_role_policies": []}
    return {"get_role": {"Role": {"AssumeRolePolicyDocument": document or policy(), **more}}, **policies}


def queue(**changes: str) -> dict[str, Any]:
    return {"get_queue_attributes": {"Attributes": {**LIVE_QUEUE, **changes}}}


def function(**changes: object) -> dict[str, Any]:
    return {"get_function": {"Configuration": {**CONFIGURATION, **changes}}}


def document(content: str = '{"a":1}', *accounts: str) -> dict[str, Any]:
    return {"get_document": {"Content": content}, "describe_document_permission": {"AccountIds": list(accounts)}}


def rule(**changes: object) -> dict[str, Any]:
    return {"describe_config_rules": {"ConfigRules": [{**LIVE_RULE, **changes}]}}


def remediation(target: str = "attach", parameters: Mapping[str, Any] = LIVE_PARAMETERS) -> dict[str, Any]:
    found = {"TargetId": target, "Parameters": parameters}
    return {"describe_remediation_configurations": {"RemediationConfigurations": [found]}}


def group(**changes: object) -> dict[str, Any]:
    found = {"logGroupName": "sessions", "kmsKeyId": "arn:key", "retentionInDays": 90}
    return {"describe_log_groups": [{"logGroupName": "sessions-2"}, {**found, **changes}]}


def versions(found: object) -> dict[str, Any]:
    version = {"PolicyVersion": {"Document": found}}
    return {"get_policy": {"Policy": {"DefaultVersionId": "v2"}}, "get_policy_version": version}


# By type: attributes in the state, answers as applied, changed answers with what is said, and answers without it.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[dict[str, Any], str]], dict[str, Any]]] = {
    "aws_iam_role": (
        ROLE,
        role(),
        [
            (role(policy(Principal="*")), "the role function has another trust policy"),
            (role(PermissionsBoundary={"PermissionsBoundaryArn": "arn:x"}), "has another permissions boundary"),
        ],
        {"get_role": None},
    ),
    "aws_iam_role_policy": (
        {"role": "function", "name": "function", "policy": TEXT},
        {"get_role_policy": {"PolicyDocument": policy()}},
        [({"get_role_policy": {"PolicyDocument": OTHER}}, "the policy of the role function has another text")],
        {"get_role_policy": None},
    ),
    "aws_iam_policy": (
        {"arn": f"{ARN}:policy/own", "policy": TEXT},
        versions(policy()),
        [(versions(OTHER), "policy/own has another text")],
        {"get_policy": None},
    ),
    "aws_iam_role_policy_attachment": (
        {"role": "app", "policy_arn": f"{ARN}:policy/own"},
        {"list_attached_role_policies": [{"PolicyArn": f"{ARN}:policy/own"}]},
        [({"list_attached_role_policies": NO_ROLE}, "the attachment of the policy to the role app does not exist")],
        {"list_attached_role_policies": []},
    ),
    "aws_kms_key": (
        {"arn": "arn:key", "policy": TEXT},
        {"get_key_policy": {"Policy": TEXT}},
        [({"get_key_policy": {"Policy": json.dumps(OTHER)}}, "the key arn:key has another policy")],
        {"get_key_policy": None},
    ),
    "aws_sqs_queue": (
        {**QUEUE, "message_retention_seconds": 1209600},
        queue(),
        [
            (queue(Policy=json.dumps(OTHER)), "the queue failures has another policy"),
            (queue(Policy="", KmsMasterKeyId="alias/mine"), "has another policy and another key"),
            (queue(MessageRetentionPeriod="60"), "has another retention"),
        ],
        {"get_queue_attributes": None},
    ),
    "aws_lambda_function": (
        FUNCTION,
        function(),
        [
            (function(Role=f"{ARN}:role/admin"), "the function preferences has another role"),
            (function(Handler="evil"), "another handler"),
            (function(Runtime="nodejs22.x"), "another runtime"),
            (function(Timeout=1), "another time limit"),
            (function(Layers=[{"Arn": "arn:layer"}]), "another layers"),
            (function(Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/x"}}), "another environment"),
            (function(LoggingConfig={"LogGroup": "other"}), "another log group"),
        ],
        {"get_function": None},
    ),
    "aws_ssm_document": (
        DOCUMENT,
        document(),
        [
            (document('{"a": 2}'), "the document attach has another content"),
            (document('{"a": 1}', "111122223333"), "another list of accounts that it is shared with"),
        ],
        {"get_document": None},
    ),
    "aws_config_config_rule": (
        RULE,
        rule(),
        [
            (rule(Scope={"ComplianceResourceTypes": ["AWS::IAM::User"]}), "the Config rule rule has another scope"),
            (rule(Source={}), "another trigger"),
        ],
        {"describe_config_rules": {"ConfigRules": []}},
    ),
    "aws_config_remediation_configuration": (
        REMEDIATION,
        remediation(),
        [
            (
                remediation(parameters=LIVE_PARAMETERS | ADMINISTRATOR),
                "the remediation of rule has another set of parameters",
            ),
            (remediation("other"), "another document"),
        ],
        {"describe_remediation_configurations": {"RemediationConfigurations": []}},
    ),
    "aws_s3_bucket_policy": (
        {"bucket": "logs", "policy": TEXT},
        {"get_bucket_policy": {"Policy": TEXT}},
        [({"get_bucket_policy": {"Policy": json.dumps(OTHER)}}, "the policy of the bucket logs has another text")],
        {"get_bucket_policy": NO_POLICY},
    ),
    "aws_organizations_policy": (
        {"id": "p-1", "name": "guardrails", "content": TEXT},
        {"describe_policy": {"Policy": {"Content": TEXT}}},
        [
            (
                {"describe_policy": {"Policy": {"Content": json.dumps(OTHER)}}},
                "the service control policy guardrails has",
            )
        ],
        {"describe_policy": NO_GUARDRAILS},
    ),
    "aws_cloudwatch_log_group": (
        GROUP,
        group(),
        [
            (group(kmsKeyId="arn:other"), "the log group sessions has another key"),
            (group(retentionInDays=1), "retention"),
        ],
        {"describe_log_groups": []},
    ),
}


def found(kind: str, attributes: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    live = Live(cast("Reader", Answers(**answers)), HOME)
    return list(differences(live, ManagedResource("module.x.it", kind, attributes)))


def test_every_kind_that_is_compared_is_tried() -> None:
    assert CASES.keys() == _COMPARE.keys()


@pytest.mark.parametrize("kind", CASES)
def test_as_applied_changed_and_gone(kind: str) -> None:
    attributes, applied, changed, gone = CASES[kind]

    assert found(kind, attributes, applied) == []
    for answers, message in changed:
        (said,) = found(kind, attributes, answers)
        assert message in said
    absent = found(kind, attributes, gone)
    # What is gone of the rest is found by the check that stands for it.
    assert len(absent) == (kind in {"aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment"})
    assert all(each.endswith(" does not exist") for each in absent)


def test_a_policy_that_aws_has_written_in_another_order_is_the_same() -> None:
    applied = {"Statement": [{"Sid": "a", "Action": ["x", "y"]}, {"Sid": "b", "Condition": {"Bool": {"s": [True]}}}]}
    live = {"Statement": [{"Sid": "b", "Condition": {"Bool": {"s": "true"}}}, {"Action": ["y", "x"], "Sid": "a"}]}
    attributes = {"role": "r", "name": "r", "policy": json.dumps(applied)}

    assert found("aws_iam_role_policy", attributes, {"get_role_policy": {"PolicyDocument": live}}) == []


class FakeStates:
    """A state that is there, or why it cannot be read."""

    def __init__(self, state: StoredState | Exception | None) -> None:
        self.state = state

    def read(self, _: Target) -> StoredState | None:
        if isinstance(self.state, Exception):
            raise self.state
        return self.state


def check(state: StoredState | Exception | None, **answers: object) -> Check:
    reader = cast("Reader", Answers(**answers))
    states = cast("States", FakeStates(state))
    place = Place(cast("Inventory", None), TARGET, TargetSettings(), reader, lambda *_: reader, states=states)
    assert OutsideChanges().applies(place)
    return OutsideChanges().run(place)


def state(attributes: Mapping[str, Any]) -> StoredState:
    resources = (ManagedResource("module.x.role", "aws_iam_role", attributes), ManagedResource("y", "aws_other", {}))
    return StoredState("1", resources, frozenset())


def test_the_result_of_a_target() -> None:
    changed = check(state(ROLE), **role(OTHER))
    odd = check(state({"name": "function"}), **role())

    assert check(state(ROLE), **role()).verdict == "ok"
    assert check(None).verdict == "not_needed"
    assert (changed.verdict, changed.fix, changed.command) == ("finding", PLAN_AND_APPLY, ("apply",))
    assert changed.message == "Not as the last apply wrote it: the role function has another trust policy."
    assert "the state of module.x.role has another form" in odd.message
    assert check(UnreadableStateError("its state cannot be read")).verdict == "finding"


def test_policies_that_terraform_leaves_at_its_roles_are_found_with_what_takes_them_away() -> None:
    own, name = f"{ARN}:policy/own", {"role": "function"}
    resources = (
        ManagedResource("a", "aws_iam_role", ROLE),
        ManagedResource("b", "aws_iam_role_policy", {**name, "name": "text", "policy": TEXT}),
        ManagedResource("c", "aws_iam_role_policy_attachment", {**name, "policy_arn": own}),
    )
    ours = {**role(), "get_role_policy": {"PolicyDocument": policy()}}
    ours |= {"list_role_policies": ["text"], "list_attached_role_policies": [{"PolicyArn": own}]}
    more = {
        "list_role_policies": ["text", "further"],
        "list_attached_role_policies": [{"PolicyArn": own}, {"PolicyArn": cures.ADMINISTRATOR}],
    }
    applied = StoredState("1", resources, frozenset())

    assert check(applied, **ours).verdict == "ok"
    # What denies the call is no role without policies.
    with pytest.raises(ClientError):
        check(applied, **{**ours, "list_role_policies": DENIED})
    found = check(applied, **{**ours, **more})
    assert found.message == (
        "Not as the last apply wrote it: the role function also has the policy further; "
        f"the role function also has the policy {cures.ADMINISTRATOR}."
    )
    assert cures.aws_commands(found.fix) == [
        "aws iam delete-role-policy --role-name function --policy-name further",
        f"aws iam detach-role-policy --role-name function --policy-arn {cures.ADMINISTRATOR}",
    ]
    assert found.command == ()


def test_a_state_that_may_not_be_read_is_not_taken_for_good() -> None:
    reader = Reader(cast("Any", None), cast("Any", object()))

    found = run_check(OutsideChanges.info, reader, lambda: check(AccessError("The state bucket is closed.")))

    assert (found.verdict, found.severity) == ("not_checked", "high")
    assert found.fix == "Let your credentials, or organization.state.role, read the states (docs/permissions.md)."


def test_the_backend_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Exception] = []
    organization = type("Settings", (), {"organization": None})
    inventory = cast("Inventory", type("Inventory", (), {"settings": organization, "home_region": HOME}))

    def find(*_: object) -> None:
        asked.append(errors[-1])
        raise errors[-1]

    monkeypatch.setattr(StateBackend, "find", find)
    errors: list[Exception] = [InputError("no bucket")]
    without = States(inventory)
    assert (without.read(TARGET), without.read(TARGET)) == (None, None)
    errors.append(AccessError("closed"))
    closed = States(inventory)
    for _ in range(2):
        with pytest.raises(AccessError, match="closed"):
            closed.read(TARGET)
    assert len(asked) == 2
    monkeypatch.setattr(outside_changes, "_KNOWN_SECONDS", 0)
    again = States(inventory)
    for _ in range(2):
        with pytest.raises(AccessError):
            again.read(TARGET)
    assert len(asked) == 4
