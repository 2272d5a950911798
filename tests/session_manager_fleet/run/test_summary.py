"""The summary of a run: what the results say, grouped and counted, and readable again."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from session_manager_fleet.accounts.model import LOG_ARCHIVE, Account
from session_manager_fleet.changes.change_set import AttributeChange, ChangeSet, PlanOutcome, ResourceChange
from session_manager_fleet.errors import InputError
from session_manager_fleet.preferences.compare import DocumentChange
from session_manager_fleet.run.journal import RESULT, Beginning
from session_manager_fleet.run.results import Failure, Status, Step, TargetResult
from session_manager_fleet.run.summary import Summary, schema
from session_manager_fleet.targets.exceptions import PolicyException
from session_manager_fleet.targets.model import SkippedAccount, Target

HOME = "eu-west-1"
BEGUN = datetime.datetime(2026, 11, 21, 22, 0, tzinfo=datetime.UTC)
PAYMENTS = Account("111122223333", "Payments Prod", ou="Workloads/Prod", tags={"a": "b"})
LOGS = Account("444455556666", "Logs", ou="Security", role=LOG_ARCHIVE)
CREATED = ChangeSet((ResourceChange("create", "aws_kms_key.this", (AttributeChange("x[0]", None, 1.5),)),), ("arn",))
DELETED = ChangeSet((ResourceChange("delete", "aws_kms_key.this"),), ())

PLANNED = TargetResult.build(
    Target(PAYMENTS, HOME, HOME, "canary"),
    Status.CHANGES,
    Step.PLAN,
    PlanOutcome(changed=True, add=1),
    CREATED,
    seconds=1.239,
    plan_sha256="ab" * 32,
    preview=(DocumentChange("inputs.idleSessionTimeout", "30", "20"),),
)
SAME = TargetResult.build(Target(LOGS, "us-east-1", HOME), Status.CHANGES, Step.PLAN, change_set=CREATED)
OTHER = TargetResult.build(
    Target(PAYMENTS, "us-east-1", HOME), Status.APPLIED, Step.APPLY, change_set=DELETED, verified=True
)
FAILED = TargetResult.build(
    Target(LOGS, HOME, HOME),
    Status.FAILED,
    Step.PLAN,
    failure=Failure("access", "The account could not be entered.", ("Error: é",)),
    attempts=3,
)
EXCEPTION = PolicyException(
    owner="payments",
    reason="migration",
    expires=datetime.date(2027, 3, 31),
    days_left=130,
    targets=("111122223333/eu-west-1",),
    skip=("preferences",),
    set=(),
    where="organization.yaml:40 (exceptions[0])",
)


def summary(*results: TargetResult, **details: Any) -> Summary:  # noqa: ANN401 - arguments of build
    return Summary.build(
        run_id="20261121T220000Z-abcd",
        command="plan",
        started_at=BEGUN,
        organization_id="o-exampleorgid",
        targets=results,
        change_sets=[result.change_set for result in results if result.change_set],
        **details,
    )


FULL = summary(
    PLANNED,
    SAME,
    OTHER,
    FAILED,
    finished_at=BEGUN + datetime.timedelta(minutes=1),
    exit_code=1,
    shard="2/5",
    skipped=[SkippedAccount(account_id="333344445555", account_name="Old", reason="the account is suspended")],
    exceptions=[EXCEPTION],
    warnings=["An exception expires soon."],
)


def written(result: TargetResult) -> dict[str, Any]:
    content: dict[str, Any] = RESULT.dump_python(result, mode="json", by_alias=True)
    return content


def test_a_target_is_described() -> None:
    assert written(replace(PLANNED, log="111122223333/eu-west-1/terraform.log")) == {
        "account_id": "111122223333",
        "account_name": "Payments Prod",
        "ou": "Workloads/Prod",
        "account_role": "",
        "region": "eu-west-1",
        "home_region": "eu-west-1",
        "wave": "canary",
        "workspace": "111122223333",
        "status": "changes",
        "step": "plan",
        "changes": {"changed": True, "add": 1, "change": 0, "destroy": 0},
        "fingerprint": CREATED.fingerprint,
        "failure": None,
        "reason": None,
        "seconds": 1.24,
        "attempts": 1,
        "plan_sha256": "ab" * 32,
        "log": "111122223333/eu-west-1/terraform.log",
        "preview": [{"path": "inputs.idleSessionTimeout", "from": "30", "to": "20"}],
        "verified": None,
        "adopted": [],
        "lockouts": [],
        "retry_token": 0,
        "skipped_plan": False,
        "notes": [],
        "attachments": [],
        "detached": [],
    }


def test_a_failure_is_described() -> None:
    entry = written(FAILED)

    assert entry["failure"] == {
        "kind": "access",
        "message": "The account could not be entered.",
        "diagnostics": ["Error: é"],
    }
    assert (entry["attempts"], entry["account_role"], entry["workspace"]) == (3, "log-archive", "444455556666")


@pytest.mark.parametrize("result", [PLANNED, SAME, OTHER, FAILED])
def test_a_target_is_read_back(result: TargetResult) -> None:
    assert RESULT.validate_python(json.loads(json.dumps(written(result)))) == result
    assert result.target == replace(result.target, account=replace(result.target.account, tags={}))


def test_targets_are_counted() -> None:
    assert FULL.totals.model_dump() == {
        "targets": 4,
        "no_changes": 0,
        "changes": 2,
        "applied": 1,
        "failed": 1,
        "not_started": 0,
        "unfinished": 0,
        "skipped": 0,
    }
    assert set(summary().totals.model_dump().values()) == {0}


def test_change_sets_are_told_once_destructive_ones_first() -> None:
    first, second = FULL.change_sets

    assert (first.change_set, first.targets) == (DELETED, ("111122223333/us-east-1",))
    assert (second.change_set, second.targets) == (CREATED, ("111122223333/eu-west-1", "444455556666/us-east-1"))
    assert [each.fingerprint for each in FULL.change_sets] == [DELETED.fingerprint, CREATED.fingerprint]


def test_the_largest_group_comes_first_among_equals() -> None:
    small = TargetResult.build(OTHER.target, Status.CHANGES, Step.PLAN, change_set=ChangeSet((), ("x",)))

    assert [len(each.targets) for each in summary(small, PLANNED, SAME).change_sets] == [2, 1]


def test_a_summary_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(FULL.to_json(), encoding="ascii")

    assert Summary.read(path) == FULL


def test_an_unfinished_run_has_a_summary_too() -> None:
    content = json.loads(summary(PLANNED).to_json())

    assert (content["finished_at"], content["exit_code"], content["shard"]) == (None, None, None)
    assert not summary(PLANNED).finished


def test_the_json_schema_describes_what_is_written() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())

    for each in (FULL, summary()):
        content = json.loads(each.to_json())
        validator.validate(content)
        assert content.keys() == schema()["properties"].keys()
    assert content["schema_version"] == 1
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**content, "totals": None})


def test_every_key_is_documented() -> None:
    documented = (Path(__file__).parents[3] / "docs" / "runs.md").read_text(encoding="utf-8")
    entries = ("TargetResult", "ChangeSetEntry", "DocumentChange", "SkippedAccount")
    embedded = ("AttributeChange", "Failure", "PlanOutcome", "PolicyException", "ResourceChange", "Totals")
    properties = {name: schema()["$defs"][name]["properties"] for name in (*entries, *embedded)}
    properties[""] = schema()["properties"]

    names = {*Beginning.model_fields, *(key for keys in properties.values() for key in keys)}
    assert sorted(key for key in names if f"`{key}`" not in documented) == []
    for name in ("", *entries):
        assert [key for key, value in properties[name].items() if "description" not in value] == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"schema_version": 2}, r"schema version 2; 1 is supported"),
        ({"targets": None}, r"damaged \(targets: "),
        ({"targets": [5]}, r"damaged \(targets\.0: "),
        ({"targets": [{"status": "done"}]}, "damaged"),
    ],
)
def test_a_damaged_summary_is_refused(tmp_path: Path, damage: dict[str, Any], message: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**json.loads(FULL.to_json()), **damage}))

    with pytest.raises(InputError, match=message) as caught:
        Summary.read(path)

    assert caught.value.problems[0].location == str(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"5", b"null"])
def test_what_is_no_summary_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"summary\.json: The summary "):
        Summary.read(path)


def test_a_missing_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it does not exist, or it was not finished"):
        Summary.read(tmp_path / "summary.json")
