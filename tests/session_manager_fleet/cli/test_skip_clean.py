"""`plan --skip-clean`: which targets verify looks at, and what makes terraform plan them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, cast

import pytest
from rich.console import Console

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.cli import skip_clean
from session_manager_fleet.run import Operation
from session_manager_fleet.targets import Target
from session_manager_fleet.verify import Check, TargetVerification, Verdict

DEV, PROD = (Target(Account(each, "Name"), "eu-west-1", "eu-west-1") for each in ("222233334444", "111122223333"))


def verified(*verdicts: Verdict, failure: str = "") -> TargetVerification:
    return TargetVerification(DEV, tuple(Check("keys", verdict, "As it is.") for verdict in verdicts), failure)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (verified(Verdict.OK, Verdict.NOT_NEEDED), ""),
        (verified(Verdict.OK, Verdict.FINDING), "verify does not find it clean: keys (finding): As it is."),
        (verified(Verdict.NOT_CHECKED), "verify does not find it clean: keys (not_checked): As it is."),
        (verified(failure="No access."), "verify could not look at it: No access."),
    ],
)
def test_only_what_is_clean_is_skipped(found: TargetVerification, reason: str) -> None:
    assert skip_clean.why_planned(found) == reason


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_target_that_verify_did_not_reach_is_planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupted: bool
) -> None:
    asked: list[Target] = []

    def verify(
        _self: object, targets: Sequence[Target], _finished: Callable[..., None], **_: object
    ) -> list[TargetVerification]:
        asked.extend(targets)
        return [] if interrupted else [verified(Verdict.OK)]

    monkeypatch.setattr("session_manager_fleet.verify.verifier.Verifier.verify", verify)
    monkeypatch.setattr("session_manager_fleet.run.operation.why_no_candidate", lambda job: job)
    operation = Operation.__new__(Operation)
    operation.inventory, operation.stop = cast("Any", None), threading.Event()
    reasons = {DEV: "", PROD: "no clean run of it is recorded"}
    monkeypatch.setattr(Operation, "_job", lambda _self, _step, target, *_, **__: reasons[target])
    monkeypatch.setattr(Operation, "interruptible", lambda *_: nullcontext())

    skip_clean.verify_candidates(operation, [DEV, PROD], Console(), quiet=False)

    assert asked == [DEV]
    expected = "it was not verified" if interrupted else ""
    assert operation.why_planned == {DEV.key: expected, PROD.key: "no clean run of it is recorded"}
    assert f"verified now: {0 if interrupted else 1} of 2 targets" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_plans_of_components_and_existing_plans_are_refused(command: Callable[..., Any]) -> None:
    limited = command("plan", "--all", "--skip-clean", "--component", "preferences")
    assert (limited.code, "Only a plan of all components says that a target is clean" in limited.err) == (64, True)

    existing = command("apply", "20261126T000000Z-aaaa", "--skip-clean")
    assert (existing.code, "A run already has its plans; skip clean targets" in existing.err) == (64, True)
