"""Whether drift repair is alive: every way to dismantle it is found, with the correction that cures it."""

import datetime
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Identity, Inventory, SharedClients
from session_manager_fleet.targets.model import Target
from session_manager_fleet.verify.alarm_recipient import AlarmRecipient
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.drift_repair import DriftRepair, drift_repair, period_of
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check
from session_manager_fleet.verify.reading import Reader, run_check
from tests.live_drift_repair import create_drift_repair, pattern, put_alarm

ACCOUNT, HOME = "123456789012", "eu-west-1"
TARGET = Target(Account(ACCOUNT, "Member"), HOME, HOME)
TOPIC = f"arn:aws:sns:{HOME}:{ACCOUNT}:repairs"
MODULE = Path(__file__).resolve().parents[3] / "modules" / "preferences" / "drift_repair.tf"


class Live:
    """Drift repair of a function of its own, so that tests share one emulated account."""

    def __init__(self, session: boto3.Session, name: str, topic: str = "") -> None:
        self.client: Callable[[str], Any] = cache(session.client)
        self.clients, self.name, self.queue = SharedClients(session), name, f"{name}-failures"
        repair = {"notify_topic_arn": topic or None}
        self.values = TargetSettings.model_validate(
            {"names": {"function": name}, "preferences": {"drift_repair": repair}}
        )
        create_drift_repair(self.client, ACCOUNT, HOME, name, topic)

    @property
    def reader(self) -> Reader:
        """A reader that has read nothing yet."""
        return Reader(Identity(), self.clients)

    def check(self) -> Check:
        return drift_repair(self.reader, TARGET, self.values)

    @property
    def url(self) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=self.queue)["QueueUrl"])

    def put_target(self, rule: str, **changes: Any) -> None:  # noqa: ANN401
        (target,) = self.client("events").list_targets_by_rule(Rule=f"{self.name}-{rule}")["Targets"]
        self.client("events").put_targets(Rule=f"{self.name}-{rule}", Targets=[target | changes])


@pytest.fixture(scope="module")
def session() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name=HOME)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count()


@pytest.fixture
def live(session: boto3.Session, numbers: Iterator[int]) -> Live:
    return Live(session, f"repair-{next(numbers)}")


def remove_targets(live: Live, rule: str) -> None:
    live.client("events").remove_targets(Rule=f"{live.name}-{rule}", Ids=["function"])


def delete_rule(live: Live, rule: str) -> None:
    remove_targets(live, rule)
    live.client("events").delete_rule(Name=f"{live.name}-{rule}")


def weaken_pattern(live: Live, key: str, value: object) -> None:
    weak = pattern(live.name, ACCOUNT, HOME)
    weak["detail"][key] = value
    live.client("events").put_rule(Name=f"{live.name}-api-calls", EventPattern=json.dumps(weak))


SABOTAGES: dict[str, tuple[Callable[[Live], Any], str]] = {
    "rule for API calls disabled": (
        lambda live: live.client("events").disable_rule(Name=f"{live.name}-api-calls"),
        "-api-calls is DISABLED",
    ),
    "rule with the schedule disabled": (
        lambda live: live.client("events").disable_rule(Name=f"{live.name}-schedule"),
        "-schedule is DISABLED",
    ),
    "rule for API calls deleted": (lambda live: delete_rule(live, "api-calls"), "-api-calls does not exist"),
    "rule with the schedule deleted": (lambda live: delete_rule(live, "schedule"), "-schedule does not exist"),
    "once a year": (
        lambda live: live.client("events").put_rule(
            Name=f"{live.name}-schedule", ScheduleExpression="rate(365 days)", State="ENABLED"
        ),
        "has the schedule rate(365 days), expected rate(1 hour)",
    ),
    "deletions only": (
        lambda live: weaken_pattern(live, "eventName", ["DeleteDocument"]),
        "does not match every change of SSM-SessionManagerRunShell",
    ),
    "another document in the pattern": (
        lambda live: weaken_pattern(live, "requestParameters", {"name": ["Other"]}),
        "does not match every change",
    ),
    "no target": (lambda live: remove_targets(live, "schedule"), "does not call the function"),
    "another target": (
        lambda live: live.put_target("api-calls", Arn=f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:other"),
        "does not call the function",
    ),
    "another event": (
        lambda live: live.put_target("schedule", Input='{"action": "diff"}'),
        "with another event",
    ),
    "the function deleted": (
        lambda live: live.client("lambda").delete_function(FunctionName=live.name),
        "does not exist",
    ),
    "other code": (
        lambda live: live.client("lambda").update_function_code(FunctionName=live.name, ZipFile=b"other"),
        "has other code than this version",
    ),
    "no concurrency": (
        lambda live: live.client("lambda").put_function_concurrency(
            FunctionName=live.name, ReservedConcurrentExecutions=1
        ),
        "has reserved concurrency 1, expected None",
    ),
    "no permission": (
        lambda live: live.client("lambda").remove_permission(FunctionName=live.name, StatementId="api-calls"),
        "-api-calls may not invoke the function",
    ),
    "failures lost": (
        lambda live: live.client("lambda").delete_function_event_invoke_config(FunctionName=live.name),
        "failures of the function do not go to the queue",
    ),
    "no queue": (lambda live: live.client("sqs").delete_queue(QueueUrl=live.url), "-failures does not exist"),
    "no alarm": (
        lambda live: live.client("cloudwatch").delete_alarms(AlarmNames=[live.queue]),
        "the alarm",
    ),
    "an alarm that never comes": (
        lambda live: put_alarm(live.client("cloudwatch"), live.queue, threshold=1000000),
        "does not watch the queue as configured",
    ),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_what_dismantles_drift_repair_is_found(live: Live, name: str) -> None:
    sabotage, message = SABOTAGES[name]

    sabotage(live)
    check = live.check()

    assert (check.verdict, check.fix, check.command) == ("finding", PLAN_AND_APPLY, ("apply",))
    assert message in check.message


def test_intact(live: Live) -> None:
    check = live.check()

    assert check.verdict == "ok", check.message


def test_the_alarm_without_a_recipient_is_a_finding_that_says_how_to_set_one(
    session: boto3.Session, live: Live, numbers: Iterator[int]
) -> None:
    notified = Live(session, f"repair-{next(numbers)}", TOPIC)
    default, with_topic = recipient(live), recipient(notified)
    live.client("cloudwatch").disable_alarm_actions(AlarmNames=[live.queue])
    disabled = live.check()
    live.client("cloudwatch").delete_alarms(AlarmNames=[live.queue])
    notified.client("cloudwatch").disable_alarm_actions(AlarmNames=[notified.queue])

    assert (default.verdict, default.severity) == ("finding", "low")
    assert default.message == f"The alarm {live.queue} has no action, so failed repairs notify no recipient."
    assert "set preferences.drift_repair.notify_topic_arn to the ARN of an SNS topic in eu-west-1" in default.fix
    assert default.command == ("apply",)
    assert (with_topic.verdict, with_topic.message) == ("ok", f"The alarm {notified.queue} notifies {TOPIC}.")
    assert f"the actions of the alarm {live.queue} are disabled" in disabled.message
    assert recipient(live).verdict == "not_needed"
    assert "disabled actions" in recipient(notified).message
    assert "does not notify" in notified.check().message


def recipient(live: Live) -> Check:
    """Judge the recipient of the alarm."""
    reader = live.reader
    place = Place(cast("Inventory", None), TARGET, live.values, reader, lambda *_: reader)
    return run_check(AlarmRecipient.info, reader, lambda: AlarmRecipient().run(place))


def test_everything_at_once(live: Live) -> None:
    apart = (
        *("rule for API calls disabled", "once a year", "another target", "another event", "the function deleted"),
        *("no queue", "an alarm that never comes"),
    )
    for name in apart:
        SABOTAGES[name][0](live)

    check = live.check()

    assert [SABOTAGES[name][1] for name in apart if SABOTAGES[name][1] not in check.message] == []
    assert check.fix == PLAN_AND_APPLY


def test_an_alarm_that_tells_nobody_although_a_topic_is_configured(
    session: boto3.Session, numbers: Iterator[int]
) -> None:
    live = Live(session, f"repair-{next(numbers)}", TOPIC)
    assert live.check().verdict == "ok", live.check().message

    put_alarm(live.client("cloudwatch"), live.queue)

    assert (live.check().verdict, live.check().fix) == ("finding", PLAN_AND_APPLY)
    assert f"does not notify {TOPIC}" in live.check().message


def test_failures_that_wait_in_the_queue(live: Live) -> None:
    sqs = live.client("sqs")
    sqs.send_message(QueueUrl=live.url, MessageBody="{}")
    live.client("cloudwatch").set_alarm_state(AlarmName=live.queue, StateValue="ALARM", StateReason="test")

    check = live.check()

    assert check.verdict == "finding"
    assert f"1 failures of the function wait in the queue {live.queue}" in check.message
    commands = re.findall(r"aws sqs (\S+) --region (\S+) --queue-url (\S+)", check.fix)
    assert [command[0] for command in commands] == ["receive-message", "purge-queue"]
    for operation, region, url in commands:
        assert region == HOME
        getattr(sqs, operation.replace("-", "_"))(QueueUrl=url.rstrip(")"))
    waiting = live.check()
    assert (waiting.verdict, "is in ALARM" in waiting.message) == ("finding", True)
    live.client("cloudwatch").set_alarm_state(AlarmName=live.queue, StateValue="OK", StateReason="test")
    assert live.check().verdict == "ok"


def test_all_corrections_are_named_in_their_order(live: Live) -> None:
    live.client("sqs").send_message(QueueUrl=live.url, MessageBody="{}")
    live.client("events").disable_rule(Name=f"{live.name}-schedule")

    first, second = live.check().fix.split("\n")

    assert first == PLAN_AND_APPLY
    assert second.startswith("Read why (aws sqs receive-message ")
    assert live.check().command == ("apply",)


def test_without_drift_repair_or_schedule_nothing_is_missed(live: Live) -> None:
    delete_rule(live, "schedule")
    never = {"names": {"function": live.name}, "preferences": {"drift_repair": {"schedule": ""}}}
    off = {"preferences": {"drift_repair": {"enabled": False}}}

    assert drift_repair(live.reader, TARGET, TargetSettings.model_validate(never)).verdict == "ok"
    assert drift_repair(live.reader, TARGET, TargetSettings.model_validate(off)).verdict == "not_needed"


def test_a_function_that_has_not_run_for_three_periods(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    functions, logs = live.reader.client("lambda", HOME), live.client("logs")
    get = functions.get_function

    def changed_long_ago(**arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = get(**arguments)
        found["Configuration"]["LastModified"] = "2026-01-02T03:04:05.000+0000"
        return found

    monkeypatch.setattr(functions, "get_function", changed_long_ago)
    stale = live.check()
    stream = {"logGroupName": f"/aws/lambda/{live.name}", "logStreamName": "now"}
    logs.create_log_stream(**stream)
    now = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
    logs.put_log_events(**stream, logEvents=[{"timestamp": now, "message": "reconcile"}])

    assert f"the function {live.name} has not run at all, although it is scheduled" in stale.message
    assert f"aws lambda invoke --region {HOME} --function-name {live.name}" in stale.fix
    assert live.check().verdict == "ok"


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [("rate(1 hour)", 1), ("rate(30 minutes)", 0.5), ("rate(2 days)", 48), ("cron(0 3 * * ? *)", None)],
)
def test_the_period_of_a_schedule(schedule: str, hours: float | None) -> None:
    assert period_of(schedule) == (None if hours is None else datetime.timedelta(hours=hours))


def test_a_problem_of_less_weight_has_its_own_severity(live: Live) -> None:
    live.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{live.name}")
    alone = live.check()
    live.client("events").disable_rule(Name=f"{live.name}-schedule")
    with_more = run_check(DriftRepair.info, live.reader, live.check)

    assert (alone.severity, with_more.severity) == ("medium", "high")


def test_what_may_not_be_read_is_not_taken_for_good(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - for this test only

    def denied(*_: object, **__: object) -> None:
        message = "User: x is not authorized to perform: events:DescribeRule"
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, "DescribeRule")

    monkeypatch.setattr(live.reader.client("events", HOME), "describe_rule", denied)

    check = run_check(DriftRepair.info, live.reader, live.check)

    assert check.verdict == "not_checked"
    assert "events:DescribeRule" in check.message
    assert check.severity == "high"


def test_the_pattern_is_that_of_the_module() -> None:
    """Values of resources stand in place of Terraform's expressions."""
    text = MODULE.read_text(encoding="utf-8")
    block = re.search(r"event_pattern = jsonencode\((\{.*?\n  \})\)", text, re.DOTALL)
    assert block
    values = {
        "${local.partition}": "aws",
        "${local.account_id}": ACCOUNT,
        "${aws_iam_role.function.name}": f"name-{HOME}",
        "var.names.document": '"SSM-SessionManagerRunShell"',
    }
    written = block[1]
    for expression, value in values.items():
        written = written.replace(expression, value)
    as_json = re.sub(r"([\w-]+)\s*=\s*", r'"\1": ', written)
    as_json = re.sub(r",(\s*[}\]])", r"\1", re.sub(r'([\]}"])\n(\s*")', r"\1,\n\2", as_json))

    assert json.loads(as_json) == pattern("name", ACCOUNT, HOME)
