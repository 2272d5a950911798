"""The states in a saved plan, from which a plan without changes is told; what they do not tell, terraform does.

That both tell the same is seen with the real terraform in tests/modules/test_deployment_roles.py.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet.terraform import saved_states
from session_manager_fleet.terraform.saved_states import shown_without_changes


def state(*names: str, **attributes: object) -> dict[str, Any]:
    instances = [{"attributes": attributes}]
    resources = [{"mode": "managed", "type": "aws_sqs_queue", "name": name, "instances": instances} for name in names]
    return {"version": 4, "resources": [{"mode": "data", "type": "aws_region", "name": "this"}, *resources]}


def saved(folder: Path, **states: object) -> Path:
    plan = folder / "tfplan"
    with zipfile.ZipFile(plan, "w") as archive:
        archive.writestr("tfplan", b"")
        for name, content in states.items():
            archive.writestr(name.replace("_", "-"), content if isinstance(content, str) else json.dumps(content))
    return plan


def test_what_was_read_otherwise_than_it_was_stored_is_drift(tmp_path: Path) -> None:
    plan = saved(tmp_path, tfstate_prev=state("a", "b", delay=0), tfstate=state("a", "c", delay=7))

    shown = shown_without_changes(plan)

    assert shown is not None
    drift = {entry["address"]: entry["change"] for entry in shown["resource_drift"]}
    assert drift == {
        "aws_sqs_queue.a": {"before": {"delay": 0}, "after": {"delay": 7}},
        "aws_sqs_queue.c": {"before": None, "after": {"delay": 7}},
    }
    assert [entry["address"] for entry in shown["resource_changes"]] == ["aws_sqs_queue.a", "aws_sqs_queue.c"]
    assert {(entry["mode"], entry["type"]) for entry in shown["resource_changes"]} == {("managed", "aws_sqs_queue")}


def test_what_is_as_it_was_stored_is_no_drift(tmp_path: Path) -> None:
    shown = shown_without_changes(saved(tmp_path, tfstate_prev=state("a"), tfstate=state("a")))

    assert shown is not None
    assert shown["resource_drift"] == []


@pytest.mark.parametrize(
    "states",
    [
        {"tfstate": state("a")},
        {"tfstate_prev": state("a")},
        {"tfstate": state("a"), "tfstate_prev": "{"},
        {"tfstate": state("a"), "tfstate_prev": {"encrypted_data": ""}},
        {"tfstate": {"resources": [{}]}, "tfstate_prev": state("a")},
    ],
)
def test_a_file_of_another_form_tells_nothing(tmp_path: Path, states: dict[str, object]) -> None:
    assert shown_without_changes(saved(tmp_path, **states)) is None


def test_no_archive_and_a_state_that_is_too_large_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = saved(tmp_path, tfstate_prev=state("a"), tfstate=state("a"))
    monkeypatch.setattr(saved_states, "LARGEST_STATE_BYTES", 10)
    assert shown_without_changes(plan) is None

    plan.write_bytes(b"encrypted")
    assert shown_without_changes(plan) is None
    assert shown_without_changes(tmp_path / "missing") is None
