"""A model of the function's world: whatever happens in whichever order, the last apply is never weakened.

`MODEL_STEPS=20000 pytest tests/session_preferences/test_model.py` takes more steps than the default.
"""

import contextlib
import json
import logging
import os
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from session_preferences import applied_settings
from session_preferences.document import DEFAULT_NAME, build, parse
from session_preferences.errors import DestinationError, LateEventError, PreferencesError
from session_preferences.original_document import PARAMETER
from tests.session_preferences.account import LOG_GROUP, Account, Result, Watch, after

STEPS_A_RUN = 40
RUNS = max(int(os.environ.get("MODEL_STEPS", "2000")) // STEPS_A_RUN, 1)
SECRET = "hunter2"
FOREIGN = json.dumps(
    {
        "schemaVersion": "1.0",
        "description": "Team preferences",
        "sessionType": "Standard_Stream",
        "inputs": {
            "idleSessionTimeout": "45",
            "runAsEnabled": True,
            "runAsDefaultUser": "ops",
            "shellProfile": {"linux": f"export TOKEN={SECRET}-theirs"},
        },
    }
)
# Mostly no crash: a world in which nothing succeeds shows nothing.
CRASH = st.sampled_from([None] * 12 + list(range(16)))
CALL = st.integers(0, 14)
DAMAGE = st.sampled_from(["write", "write a draft", "move back", "delete", "share"])
SETTINGS = st.fixed_dictionaries(
    {"idleSessionTimeout": st.integers(1, 30)},
    optional={
        "maxSessionDuration": st.none() | st.integers(40, 90),
        "kmsKeyId": st.none(),
        "shellProfile": st.sampled_from([{"linux": "ls"}, {"linux": f"{SECRET}-ours", "windows": "dir"}, None]),
    },
)


class Crash(BaseException):
    """The process is gone: no handler of the function sees it."""


class Crashing(Watch):
    """A `Call` that ends the process at one call, before or after AWS carried it out, or does something in between."""

    at: int | None = None
    lost: bool = False
    meanwhile: Callable[[], object] | None = None

    def __call__(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        now = self.at is not None and len(self.operations) == self.at
        if now and self.meanwhile:
            self.meanwhile()
        elif now and not self.lost:
            raise Crash
        answer = super().__call__(service, operation, **arguments)
        if now and self.lost and not self.meanwhile:
            raise Crash
        return answer


class World(RuleBasedStateMachine):
    """Terraform, EventBridge, and principals who tamper, around the function in one account."""

    account: ClassVar[Account]

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.applied: dict[str, Any] | None = None  # the event of the last apply that succeeded
        self.unsure: list[dict[str, Any]] = []  # later ones that failed, and may have been stored
        self.state: dict[str, Any] | None = None  # the input in Terraform's state
        self.original: tuple[str, list[str]] | None = None
        self.revision = 0

    @initialize(exists=st.booleans(), shared=st.booleans())
    def begin(self, exists: bool, shared: bool) -> None:
        self.account.clear()
        self.account.clear("logs")
        self.account.clients("logs").create_log_group(logGroupName=LOG_GROUP, kmsKeyId=self.account.key_arn)
        if exists:
            self.account.put(FOREIGN)
            if shared:
                self.tamper("share", 0)

    # --- the function ---

    def run(self, event: dict[str, Any], call: Watch | None = None) -> Result | None:
        """Run an event; note everything that it shows; None if it failed."""
        try:
            result = self.account.run(event, call)
        except DestinationError as error:
            self.shown += traceback.format_exception(error)
            return Result(**error.result)
        except PreferencesError as error:
            self.shown += traceback.format_exception(error)
            return None
        except Crash:
            return None
        self.shown.append(json.dumps(vars(result)))
        return result

    def crashing(self, at: int | None, lost: bool) -> Crashing:
        watch = Crashing(self.account.watch().inner)
        watch.at, watch.lost = at, lost
        return watch

    def matches(self, event: dict[str, Any]) -> bool:
        """Return whether the document is exactly as the event wants it."""
        text = self.account.text()
        default, latest = self.account.versions() if text else ("", "")
        wanted = build(event["preferences"]).values()
        return bool(text) and parse(text or "") == wanted and default == latest and not self.shared_with()

    # --- Terraform ---

    def terraform(self, action: str, preferences: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        wanted = {"cloudWatchLogGroupName": LOG_GROUP, **preferences}
        return self.account.event(action, preferences=wanted, revision=str(self.revision), adopt="replace")

    @rule(preferences=SETTINGS, at=CRASH, lost=st.booleans())
    def apply(self, preferences: dict[str, Any], at: int | None, lost: bool) -> None:
        if self.state is None and not self.record():
            self.original = self.present()
        event = self.terraform("update" if self.state else "create", preferences)
        if self.state:
            event = after(event, self.state)
        result = self.run(event, self.crashing(at, lost))
        self.events.append(event)
        if result:
            assert self.matches(event), result
            self.applied, self.unsure = event, []
            self.state = {key: value for key, value in event.items() if key != "tf"}
        else:
            self.unsure.append(event)
            if self.state:  # a failed update is in the state, a failed creation is not
                self.state = {key: value for key, value in event.items() if key != "tf"}

    @precondition(lambda self: self.applied and self.state)
    @rule(at=CRASH, lost=st.booleans())
    def destroy(self, at: int | None, lost: bool) -> None:
        event = {**(self.state or {}), "tf": {"action": "delete", "prev_input": self.state}}
        result = self.run(event, self.crashing(at, lost))
        while result is None and self.record():
            result = self.run(event)
        if result or not self.record():
            assert self.present() == self.original
            assert self.parameters() == []
            self.applied, self.unsure, self.state = None, [], None
            self.events.clear()  # an equal creation may follow

    # --- events ---

    @rule(at=CRASH, lost=st.booleans(), destinations=st.booleans())
    def repair(self, at: int | None, lost: bool, destinations: bool) -> None:
        before = self.present()
        result = self.run({"action": "reconcile", "destinations": destinations}, self.crashing(at, lost))
        self.judge(result, before)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def late_event_of_an_older_release(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.events))
        before = self.present()
        self.judge(self.run({"action": "reconcile", "preferences": old["preferences"]}), before)

    @precondition(lambda self: len(self.events) > 1 and self.applied and not self.unsure)
    @rule(data=st.data())
    def late_copy_of_an_apply(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.events[:-1]))
        before = self.present()
        try:
            self.account.run(old)
        except LateEventError:
            assert self.present() == before
        except PreferencesError:
            pass
        else:  # it failed when it was new, so the function never saw it through
            self.applied = old if self.matches(old) else self.applied

    @precondition(lambda self: self.applied and not self.unsure)
    @rule(at=CALL, preferences=SETTINGS, damage=DAMAGE, idle=st.integers(31, 60))
    def apply_during_a_repair(self, at: int, preferences: dict[str, Any], damage: str, idle: int) -> None:
        self.tamper(damage, idle)
        watch = self.crashing(at, lost=False)
        watch.meanwhile = lambda: self.apply(preferences, None, lost=False)
        before = self.present()
        result = self.run({"action": "reconcile"}, watch)
        if result and self.applied and not self.unsure and self.managed():
            assert self.matches(self.applied), (at, watch.operations)
        elif not result:
            self.judge(None, before)

    @precondition(lambda self: self.applied and self.state and not self.unsure)
    @rule(at=CALL, damage=DAMAGE, idle=st.integers(31, 60))
    def destroy_during_a_repair(self, at: int, damage: str, idle: int) -> None:
        self.tamper(damage, idle)
        watch = self.crashing(at, lost=False)
        watch.meanwhile = lambda: self.destroy(None, lost=False)
        self.run({"action": "reconcile"}, watch)
        if not self.applied:
            assert self.present() == self.original
            assert self.parameters() == []

    @precondition(lambda self: self.applied and self.state and not self.unsure)
    @rule(at=CALL, damage=DAMAGE, idle=st.integers(31, 60))
    def repair_during_a_destruction(self, at: int, damage: str, idle: int) -> None:
        self.tamper(damage, idle)
        watch = self.crashing(at, lost=False)
        watch.meanwhile = lambda: self.run({"action": "reconcile"})
        event = {**(self.state or {}), "tf": {"action": "delete", "prev_input": self.state}}
        if self.run(event, watch):
            assert self.present() == self.original
            assert self.parameters() == []
            self.applied, self.unsure, self.state = None, [], None
            self.events.clear()

    def judge(self, result: Result | None, before: tuple[str, list[str]] | None) -> None:
        """After a repair: no success without a stored apply live, no write without a record, never weaker."""
        if result:
            assert self.managed()
            assert any(self.matches(event) for event in [*filter(None, [self.applied]), *self.unsure]), result
        elif not self.managed():
            assert self.present() == before

    # --- tampering ---

    @rule(damage=DAMAGE, idle=st.integers(31, 60))
    def tamper(self, damage: str, idle: int) -> None:
        ssm, exists = self.account.ssm, self.account.text() is not None
        if damage.startswith("write"):
            profile = {"linux": f"{SECRET}-{idle}"}
            inputs = {"cloudWatchLogGroupName": "", "idleSessionTimeout": str(idle), "shellProfile": profile}
            with contextlib.suppress(ssm.exceptions.DuplicateDocumentContent):
                self.account.put({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs})
            if damage == "write":
                ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion=self.account.versions()[1])
        elif damage == "move back" and exists:
            with contextlib.suppress(ssm.exceptions.ClientError):
                ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="1")
        elif damage == "share" and exists:
            ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["111122223333"])
        elif damage == "delete" and exists and not self.shared_with():
            ssm.delete_document(Name=DEFAULT_NAME)

    @rule(damage=DAMAGE, idle=st.integers(31, 60), preferences=SETTINGS)
    def lose_the_log_group(self, damage: str, idle: int, preferences: dict[str, Any]) -> None:
        """An apply is refused, a repair restores the last one and says what is wrong."""
        logs = self.account.clients("logs")
        logs.delete_log_group(logGroupName=LOG_GROUP)
        self.tamper(damage, idle)
        before = self.present()
        self.apply(preferences, None, lost=False)
        assert self.present() == before
        self.repair(None, lost=False, destinations=True)
        logs.create_log_group(logGroupName=LOG_GROUP, kmsKeyId=self.account.key_arn)

    @precondition(lambda self: self.applied)
    @rule(at=st.integers(4, 12), code=st.sampled_from(["AccessDeniedException", "ThrottlingException"]))
    def repair_that_is_refused(self, at: int, code: str) -> None:
        watch = self.account.watch()
        watch.fail_at, watch.code = at, code
        before = self.present()
        self.judge(self.run({"action": "reconcile"}, watch), before)

    # --- what is seen ---

    def managed(self) -> bool:
        return {PARAMETER, applied_settings.PARAMETER} <= set(self.parameters())

    def record(self) -> bool:
        return PARAMETER in self.parameters()

    def parameters(self) -> list[str]:
        return sorted(item["Name"] for item in self.account.ssm.describe_parameters()["Parameters"])

    def shared_with(self) -> list[str]:
        found = self.account.ssm.describe_document_permission(Name=DEFAULT_NAME, PermissionType="Share")
        return sorted(found["AccountIds"])

    def present(self) -> tuple[str, list[str]] | None:
        """Return the text that counts and who it is shared with; None without a document."""
        text = self.account.text()
        return None if text is None else (text, self.shared_with())

    @invariant()
    def shows_no_secret(self) -> None:
        assert not [text for text in self.shown if SECRET in text]
        self.shown.clear()


def test_whatever_happens_the_last_apply_is_never_weakened(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger("botocore").setLevel(logging.WARNING)
    monkeypatch.setattr(World, "account", account, raising=False)
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=RUNS, stateful_step_count=STEPS_A_RUN, deadline=None, suppress_health_check=checks
        ),
    )
