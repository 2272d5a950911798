"""Equal causes of failures, and the next steps after a run."""

import datetime

import junitparser
import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.changes.change_set import ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.reports.causes import causes, without_local_paths
from session_manager_fleet.reports.formats import REPORTS
from session_manager_fleet.reports.next_steps import next_steps
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.summary import Summary
from session_manager_fleet.targets.model import Target

RUN = "20261121T220000Z-abcd"
BEGUN = datetime.datetime(2026, 11, 21, 22, tzinfo=datetime.UTC)
FOUND = PlanOutcome(changed=True, add=0, change=0, destroy=1)
DESTRUCTIVE = ChangeSet((ResourceChange("delete", "aws_kms_key.this"),))


def target(number: int, region: str = "eu-west-1") -> Target:
    return Target(Account(f"{number:012}", f"Account {number}", ou="Workloads"), region, "eu-west-1", "canary")


def failed(number: int, message: str, *diagnostics: str, region: str = "eu-west-1") -> TargetResult:
    failure = Failure("terraform", message, diagnostics)
    return TargetResult.build(target(number, region), Status.FAILED, Step.APPLY, FOUND, failure=failure)


def planned(number: int, status: Status = Status.CHANGES, step: Step = Step.PLAN) -> TargetResult:
    return TargetResult.build(target(number), status, step, FOUND, DESTRUCTIVE)


def summary(*results: TargetResult, command: str = "apply", finished: bool = True) -> Summary:
    return Summary.build(
        run_id=RUN,
        command=command,
        started_at=BEGUN,
        finished_at=BEGUN if finished else None,
        organization_id="o-exampleorgid",
        targets=results,
        change_sets=[result.change_set for result in results if result.change_set],
    )


def test_failures_that_differ_in_names_and_ids_of_calls_have_one_cause() -> None:
    def error(number: int, region: str) -> TargetResult:
        text = f"arn:aws:ssm:{region}:{number:012}:x, RequestID: {'ab' * 5}{number}"
        return failed(number, f"Log: /tmp/{RUN}/{number:012}/{region}/terraform.log", text, region=region)

    found = causes([failed(9, "Other."), error(1, "eu-west-1"), error(2, "us-east-1"), error(3, "eu-west-1")])

    assert [[entry.account_name for entry in cause.targets] for cause in found] == [
        ["Account 1", "Account 2", "Account 3"],
        ["Account 9"],
    ]
    assert found[0].failure.diagnostics == ("arn:aws:ssm:<region>:<account>:x, RequestID: <id>",)


def test_a_cause_of_one_target_keeps_its_words() -> None:
    [cause] = causes([failed(1, "No access to 000000000001 in eu-west-1.")])

    assert cause.failure.message == "No access to 000000000001 in eu-west-1."


def test_different_errors_stay_different() -> None:
    assert len(causes([failed(1, "One."), failed(2, "Two."), failed(3, "One.", "more")])) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Failed. Log: /home/ci/runs/{RUN}/1/terraform.log.", "Failed. Log: 1/terraform.log."),
        (f"Failed. Log: /home/c i/my runs/{RUN}/1/terraform.log.", "Failed. Log: 1/terraform.log."),
        (f"rm runs/{RUN}/1/errored.tfstate", "rm 1/errored.tfstate"),
        (f"-state=/a/{RUN}/1", "-state=1"),
        ("See /etc/hosts.", "See /etc/hosts."),
    ],
)
def test_paths_are_relative_to_the_folder_of_the_run(text: str, expected: str) -> None:
    assert without_local_paths(text, RUN) == expected


def test_junit_names_the_place_and_the_log_but_no_folder_of_the_machine() -> None:
    message = f"terraform apply failed. Log: /home/ci/runs/{RUN}/000000000001/eu-west-1/terraform.log"
    text = REPORTS["junit"](summary(failed(1, message, "Denied (aws_kms_key.this, modules/preferences/keys.tf:12)")))

    assert "/home/ci" not in text
    [case] = [case for suite in junitparser.JUnitXml.fromstring(text.encode()) for case in suite]
    attributes = case._elem.attrib
    assert (attributes["file"], attributes["line"]) == ("modules/preferences/keys.tf", "12")
    assert case.classname == "Workloads/Account 1"
    assert case.system_out == "apply: failed\nChanges +0 ~0 -1"


def commands(summary: Summary) -> list[str]:
    return [step.command.removeprefix("session-manager-fleet ") for step in next_steps(summary) if step.command]


def test_a_plan_is_reviewed_then_applied() -> None:
    steps = next_steps(summary(planned(1), command="plan"))

    assert [step.section for step in steps] == ["changes", ""]
    assert commands(summary(planned(1), command="plan")) == [f"apply {RUN}"]


def test_failures_are_fixed_then_the_run_is_resumed() -> None:
    assert commands(summary(failed(1, "No."), planned(2))) == [f"resume {RUN}"]
    assert commands(summary(failed(1, "No."), planned(2), command="plan")) == [f"resume {RUN}", f"apply {RUN}"]


def test_an_unfinished_run_is_shown_again_and_resumed() -> None:
    torn = planned(1, Status.UNFINISHED, Step.APPLY)

    assert commands(summary(torn, finished=False)) == [f"report {RUN}", f"resume {RUN}"]


def test_what_is_applied_is_verified_and_nothing_follows_no_changes() -> None:
    assert commands(summary(planned(1, Status.APPLIED, Step.APPLY))) == ["verify --all"]
    assert next_steps(summary(planned(1, Status.APPLIED, Step.APPLY), command="destroy")) == []
    assert next_steps(summary(planned(1, Status.NO_CHANGES), command="plan")) == []


def test_a_run_without_a_shard_is_not_applied() -> None:
    incomplete = summary(planned(1), command="plan").model_copy(update={"missing_shards": ("2/3",)})

    assert commands(incomplete) == []
    assert "2/3" in next_steps(incomplete)[0].sentence
