"""The list of what Prowler fails, and how its findings are held against it; `make posture` runs Prowler."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools import posture

PROJECT = Path(__file__).resolve().parents[2]
# What Prowler found, as `tools/posture.py --sample FILE` writes it.
SAMPLE = json.loads(Path(__file__).with_name("posture_sample.json").read_text())
QUEUE = "arn:aws:sqs:eu-west-1:840281937465:session-manager-preferences-failures"
ADDRESS = "module.preferences.aws_sqs_queue.failures"
FAILURE = posture.Failure("a_check", ADDRESS, posture.DEFAULTS)
LISTED = posture.Accepted("a_check", ADDRESS, "reason")


def finding(check: str, resource: str, status: str = "FAIL") -> dict[str, Any]:
    return {"status_code": status, "metadata": {"event_code": check}, "resources": [{"uid": resource}]}


def resource(kind: str, arn: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a state
    attributes = {"module": "module.preferences[0]", "mode": "managed", "type": kind, "name": "failures"}
    return {**attributes, "instances": [{"index_key": 0, "attributes": {"arn": arn}}], **more}


def kept() -> list[posture.Failure]:
    """Return the failures of the sample."""
    findings = SAMPLE["findings"].items()
    return [one for account, found in findings for one in posture.failures(found, SAMPLE["resources"], account)]


def test_resources_of_states_are_ours() -> None:
    state = {
        "resources": [
            resource("aws_sqs_queue", QUEUE),
            resource("aws_cloudwatch_event_target", QUEUE),
            resource("aws_kms_key", "arn:of:data", mode="data"),
            resource("aws_ssm_service_setting", "", module="module.a.module.b"),
        ]
    }
    assert posture.resources_of(state) == {QUEUE: ADDRESS}


def test_only_failures_of_resources_of_ours_count() -> None:
    found = [
        finding("sqs_queues_not_publicly_accessible", QUEUE),
        finding("sqs_queues_server_side_encryption_enabled", QUEUE, "PASS"),
        finding("iam_password_policy", "arn:aws:iam::840281937465:password-policy"),
        finding("logs", "arn:aws:logs:eu-west-1:840281937465:log-group:/aws/lambda/session-manager-preferences:*"),
        finding("public", "arn:aws:ssm:eu-west-1:840281937465:document/Attach"),
        finding("public", "arn:aws:ssm:eu-west-1:840281937465:document/SSM-SessionManagerRunShell"),
    ]
    resources = {
        QUEUE: ADDRESS,
        "arn:aws:logs:eu-west-1:840281937465:log-group:/aws/lambda/session-manager-preferences": "group",
        "arn:aws:ssm:eu-west-1:840281937465:automation-definition/Attach": "document",
    }
    assert [(one.check, one.resource) for one in posture.failures(found, resources, "Webshop")] == [
        ("sqs_queues_not_publicly_accessible", ADDRESS),
        ("logs", "group"),
        ("public", "document"),
        ("public", "module.preferences.aws_lambda_invocation.this"),
    ]


def test_a_failure_without_arn_is_not_taken_for_that_of_somebody_else() -> None:
    with pytest.raises(ValueError, match="a_check fails for 'a-queue', which is not an ARN"):
        list(posture.failures([finding("a_check", "a-queue")], {}, "Webshop"))


def test_what_is_not_listed_and_what_is_listed_for_nothing_is_wrong() -> None:
    assert posture.judge([FAILURE], [LISTED]) == []
    assert posture.judge([FAILURE], []) == [
        f"Fix it, or list it in tools/posture.yaml: a_check: {ADDRESS} (in {posture.DEFAULTS})"
    ]
    assert posture.judge([], [LISTED]) == [f"Take it out of tools/posture.yaml: a_check: {ADDRESS}"]


def test_a_setting_that_cures_must_cure() -> None:
    listed, cured = [replace(LISTED, cured_by="a.setting")], replace(FAILURE, account=posture.CURED)

    assert posture.judge([FAILURE], listed) == []
    assert posture.judge([FAILURE, cured], listed) == [
        f"Fix it, or list it in tools/posture.yaml: a_check: {ADDRESS} (in {posture.CURED})"
    ]


def test_the_list_is_that_of_what_prowler_found() -> None:
    assert posture.judge(kept(), posture.accepted()) == []


@pytest.mark.parametrize("number", range(len(posture.accepted())))
def test_every_entry_is_needed(number: int) -> None:
    listed = posture.accepted()
    taken = listed.pop(number)
    wrong = posture.judge(kept(), listed)
    assert wrong
    assert all(f"{taken.check}: {taken.resource}" in line for line in wrong)


def test_most_failures_are_about_the_accounts_as_they_were() -> None:
    failed = [one for found in SAMPLE["findings"].values() for one in found if one["status_code"] == "FAIL"]
    assert 0 < len(kept()) < len(failed) / 2
    assert set(SAMPLE["findings"]) == set(posture.IDS)


def test_every_entry_names_a_resource_of_a_module_and_gives_a_reason() -> None:
    for each in posture.accepted():
        assert len(each.reason) > 40, each
        match = re.fullmatch(r"module\.(\w+)\.(\w+)\.(\w+)", each.resource)
        assert match, each
        module, kind, name = match.groups()
        texts = [path.read_text() for path in (PROJECT / "modules" / module).glob("*.tf")]
        assert any(f'resource "{kind}" "{name}"' in text for text in texts), each


def test_every_setting_that_cures_is_set_in_the_cured_account() -> None:
    for each in posture.accepted():
        if each.cured_by:
            assert f"{each.cured_by.rpartition('.')[2]}:" in posture.SETTINGS, each


def test_the_sample_is_written_as_it_is_read() -> None:
    resources, found = {QUEUE: ADDRESS}, [posture.trimmed(finding("a_check", QUEUE))]
    assert json.loads(posture.sample_of(resources, {"A": found, "B": found})) == {
        "resources": resources,
        "findings": {"A": found, "B": found},
    }
