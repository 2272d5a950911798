"""Late, doubled and concurrent events, destinations that fail later, forged records, hostile texts: none weakens it."""

import contextlib
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from session_preferences import applied_settings, handler, store
from session_preferences.aws import Call
from session_preferences.document import DEFAULT_NAME, build, parse
from session_preferences.errors import (
    AppliedSettingsError,
    AwsError,
    DestinationError,
    LateEventError,
    NotManagedError,
    PreferencesError,
    PreflightError,
)
from session_preferences.original_document import PARAMETER
from tests.session_preferences.account import LOG_GROUP, Account, Watch, after, changed, content_of, record

SECRET = "export PASSWORD=hunter2-TopSecret"
LONG = "\n".join(f"export VARIABLE_{number}='{number * 7919 % 10007}'" for number in range(1500))


def live(account: Account) -> dict[str, object]:
    return parse(account.text() or "{}")


def wanted(preferences: dict[str, Any]) -> dict[str, object]:
    return build(preferences).values()


def apply(account: Account, before: dict[str, Any] | None = None, **preferences: object) -> dict[str, Any]:
    """Apply, after the event `before`; return the event."""
    event: dict[str, Any] = account.event(preferences={**account.preferences, **preferences})
    if before:
        event = after(event, {key: value for key, value in before.items() if key != "tf"})
    account.run(event)
    return event


def tamper(account: Account, idle: int = 44) -> None:
    account.put(content_of(idleSessionTimeout=str(idle)))
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion=account.versions()[1])


def stored(account: Account) -> list[str]:
    """Names of all parameters."""
    pages = account.ssm.get_paginator("describe_parameters").paginate()
    return sorted(item["Name"] for page in pages for item in page["Parameters"])


class Between(Watch):
    """A `Call` that does something else right before one of the calls."""

    at = 0
    action: Callable[[], object] = staticmethod(lambda: None)

    def __call__(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        if len(self.operations) == self.at:
            type(self).action()
        return super().__call__(service, operation, **arguments)


def between(account: Account, at: int, action: Callable[[], object]) -> Between:
    watch = Between(account.watch().inner)
    watch.at, Between.action = at, staticmethod(action)
    return watch


# --- late and doubled events ---


@pytest.mark.parametrize("damage", ["none", "tampered with", "deleted"])
def test_an_event_with_the_settings_of_an_earlier_apply_repairs_to_those_of_the_last(
    account: Account, damage: str
) -> None:
    first = apply(account, kmsKeyId=None, idleSessionTimeout=59)
    last = apply(account, first)
    if damage == "tampered with":
        tamper(account)
    elif damage == "deleted":
        account.ssm.delete_document(Name=DEFAULT_NAME)
    for _ in range(2):  # as events were made before settings were stored, and twice
        account.repair(preferences=first["preferences"], adopt="replace", waive=[])
        assert live(account) == wanted(last["preferences"])


def test_a_late_copy_of_an_earlier_apply_is_refused(account: Account) -> None:
    first = apply(account, idleSessionTimeout=59)
    second = apply(account, first, idleSessionTimeout=30)
    last = apply(account, second)
    for late in (first, second):
        with pytest.raises(LateEventError, match="a later apply has superseded it"):
            account.run(late)
    assert live(account) == wanted(last["preferences"])
    assert account.run(last).outcome == "unchanged"


def test_preferences_may_go_back_to_what_they_were(account: Account) -> None:
    event = apply(account)
    for idle in (10, 20, 10, 20):
        event = apply(account, event, idleSessionTimeout=idle)
        assert account.inputs()["idleSessionTimeout"] == str(idle)


def test_after_an_apply_that_failed_the_earlier_preferences_can_be_applied_again(account: Account) -> None:
    first = apply(account)
    failed = {**account.preferences, "cloudWatchLogGroupName": "no-group"}
    second = after(account.event(preferences=failed), first)
    with pytest.raises(PreflightError):
        account.run(second)
    tamper(account)
    assert account.repair().outcome == "updated"  # to the last apply that succeeded
    assert live(account) == wanted(account.preferences)
    # Terraform takes the failed update for done: its next event continues from there.
    assert account.run(after(account.event(), second)).outcome == "unchanged"


def test_before_the_first_apply_with_stored_settings_an_event_of_an_older_release_writes_nothing(
    account: Account,
) -> None:
    apply(account)
    account.ssm.delete_parameter(Name=applied_settings.PARAMETER)  # as an older release left the account
    tamper(account)
    text = account.text()
    with pytest.raises(NotManagedError):
        account.repair(preferences={**account.preferences, "idleSessionTimeout": 59})
    assert account.text() == text
    upgrade = after(account.event(function_digest="new"), account.event(function_digest="old"))
    assert account.run(upgrade).outcome == "updated"
    account.repair(preferences={**account.preferences, "idleSessionTimeout": 59})
    assert live(account) == wanted(account.preferences)


def test_the_settings_of_a_long_shell_profile_are_stored_in_parts_and_read_only_when_needed(account: Account) -> None:
    profile = {"linux": LONG, "windows": "cd c:\\"}
    first = apply(account, shellProfile=profile)
    assert len(stored(account)) > 4
    watch = account.watch()
    assert account.run(account.event("reconcile"), watch).outcome == "unchanged"
    assert len(watch.operations) == 4
    tamper(account)
    assert account.repair().outcome == "updated"
    assert live(account)["inputs.shellProfile.linux"] == LONG
    last = apply(account, first, shellProfile={"linux": "ls"})
    assert len(stored(account)) == 3  # the record, the settings, one part
    account.run({**last, "tf": {"action": "delete"}})
    assert stored(account) == []


def test_a_repair_that_an_apply_overtakes_does_not_have_the_last_word(account: Account) -> None:
    calls, at = [""], 0
    while at < len(calls):
        account.clear()
        first = apply(account, idleSessionTimeout=59)
        tamper(account)

        def overtaking(first: dict[str, Any] = first) -> None:
            apply(account, first)

        watch = between(account, at, overtaking)
        account.run(account.event("reconcile"), watch)
        calls = watch.operations
        assert live(account) == wanted(account.preferences), (at, calls)
        at += 1
    assert at > 8


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("damage", ["tampered with", "deleted", "moved back", "shared"])
def test_a_repair_that_a_destruction_overtakes_leaves_what_was_restored(
    account: Account, foreign: dict[str, object], exists: bool, damage: str
) -> None:
    calls, at = [""], 0
    while at < len(calls):
        account.clear()
        text = account.put(foreign) if exists else None
        event = apply(account)
        if damage == "deleted":
            account.ssm.delete_document(Name=DEFAULT_NAME)
        elif damage == "shared":
            account.ssm.modify_document_permission(
                Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["111122223333"]
            )
        else:
            tamper(account)
        if damage == "moved back":
            account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="1")

        def destroy(event: dict[str, Any] = event) -> None:
            account.run({**event, "tf": {"action": "delete"}})

        watch = between(account, at, destroy)
        try:
            account.run(account.event("reconcile"), watch)
        except NotManagedError:
            assert live(account) != wanted(account.preferences)
        calls = watch.operations
        if at < len(calls):
            assert (account.text(), stored(account)) == (text, []), (at, calls)
        at += 1


@pytest.mark.parametrize("exists", [True, False])
def test_a_destruction_that_a_repair_overtakes_sees_it_and_restores(
    account: Account, foreign: dict[str, object], exists: bool
) -> None:
    calls, at = [""], 0
    while at < len(calls):
        account.clear()
        text = account.put(foreign) if exists else None
        event = apply(account)
        tamper(account)

        def repair() -> None:
            with contextlib.suppress(NotManagedError):
                account.repair()

        watch = between(account, at, repair)
        result = account.run({**event, "tf": {"action": "delete"}}, watch)
        calls = watch.operations
        assert result.outcome == ("restored" if exists else "deleted")
        assert (account.text(), stored(account)) == (text, []), (at, calls)
        at += 1


def test_a_repair_after_the_destruction_writes_nothing(account: Account, foreign: dict[str, object]) -> None:
    text = account.put(foreign)
    event = apply(account)
    account.run({**event, "tf": {"action": "delete"}})
    for more in ({}, {"preferences": account.preferences, "adopt": "replace"}):
        with pytest.raises(NotManagedError):
            account.repair(**more)
    assert (account.text(), stored(account)) == (text, [])


@pytest.mark.parametrize("on_destroy", ["retain", "reset"])
def test_after_retain_and_reset_no_repair_writes(account: Account, on_destroy: str) -> None:
    event = apply(account)
    account.run({**event, "on_destroy": on_destroy, "tf": {"action": "delete"}})
    tamper(account)
    with pytest.raises(NotManagedError):
        account.repair()
    assert account.inputs()["idleSessionTimeout"] == "44"
    assert stored(account) == [PARAMETER]
    assert account.run(event).outcome == "updated"
    assert account.repair().outcome == "unchanged"


def test_an_update_whose_record_was_deleted_is_managed_but_does_not_guess_the_original(account: Account) -> None:
    event = apply(account)
    account.ssm.delete_parameter(Name=PARAMETER)
    apply(account, event, idleSessionTimeout=10)
    assert json.loads(record(account) or "")["existed"] is None
    assert account.repair().outcome == "unchanged"
    with pytest.raises(PreferencesError, match='Set on_destroy to "retain"'):
        account.run({**account.event("delete"), "preferences": {**account.preferences, "idleSessionTimeout": 10}})


# --- forged and damaged records ---


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: "[]",
        lambda _: "{}",
        lambda _: "[" * 3000,
        lambda value: value.replace('"schema_version": 1', '"schema_version": 2'),
        lambda value: value.replace('"replace"', '"overwrite"'),
        lambda value: value.replace('"waive": []', '"waive": 7'),
        lambda value: value.replace('"superseded": []', '"superseded": [1]'),
        lambda value: value.replace('"parts": 1', '"parts": 99'),
        lambda value: value.replace('"parts": 1', '"parts": 2'),
        lambda value: value.replace('"sha256": "', '"sha256": "0'),
        lambda value: value.replace('"linux"', '"mac"'),
        lambda value: value.replace('"preferences": {', '"preferences": {"colour": "red", '),
        lambda value: value.replace('"idleSessionTimeout": 20', '"idleSessionTimeout": 0'),
        lambda value: value.replace(LOG_GROUP, ""),
    ],
)
def test_forged_settings_are_never_written_and_the_next_apply_replaces_them(
    account: Account, forge: Callable[[str], str]
) -> None:
    event = apply(account, shellProfile={"linux": "ls"})
    name = applied_settings.PARAMETER
    value = account.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    forged = forge(value)
    assert forged != value
    account.ssm.put_parameter(Name=name, Value=forged or " ", Type="String", Overwrite=True)
    tamper(account)
    text = account.text()
    with pytest.raises(PreferencesError):
        account.repair()
    assert account.text() == text
    again = apply(account, event, shellProfile={"linux": "ls"})
    assert live(account) == wanted(again["preferences"])
    assert account.repair().outcome == "unchanged"


@pytest.mark.parametrize("change", ["deleted", "changed", "no code"])
def test_a_stored_shell_profile_that_was_changed_is_not_written(account: Account, change: str) -> None:
    apply(account, shellProfile={"linux": SECRET})
    (name,) = [name for name in stored(account) if name.startswith(f"{applied_settings.PARAMETER}/")]
    assert "hunter2" not in account.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    if change == "deleted":
        account.ssm.delete_parameter(Name=name)
    else:
        other = applied_settings._split("exec bash")[0] if change == "changed" else "no code"
        account.ssm.put_parameter(Name=name, Value=other, Type="String", Overwrite=True)
    assert account.repair().outcome == "unchanged"
    tamper(account)
    with pytest.raises(AppliedSettingsError, match="a shell profile of it"):
        account.repair()


def test_a_damaged_record_of_the_original_does_not_keep_drift_from_being_repaired(account: Account) -> None:
    apply(account)
    account.ssm.put_parameter(Name=PARAMETER, Value="?", Type="String", Overwrite=True)
    tamper(account)
    assert account.repair().outcome == "updated"


# --- sharing and pruning ---


def test_a_shared_document_with_many_versions_is_unshared_before_anything_is_deleted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_NEAR_LIMIT", 2)
    apply(account)
    for idle in range(21, 26):
        tamper(account, idle)
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["111122223333"])

    def deleted(call: Call, **given: object) -> dict[str, Any]:
        if account.ssm.describe_document_permission(Name=DEFAULT_NAME, PermissionType="Share")["AccountIds"]:
            raise AwsError("InvalidDocumentOperation", "Must unshare document first")
        return call("ssm", "DeleteDocument", **given)

    listed = {"DocumentVersions": [{"DocumentVersion": str(n), "IsDefaultVersion": n == 6} for n in range(1, 7)]}
    answers = {"DeleteDocument": deleted, "ListDocumentVersions": lambda *_, **__: listed}
    assert account.run(account.event("reconcile"), account.watch(answers=answers)).outcome == "updated"
    assert live(account) == wanted(account.preferences)


@pytest.mark.parametrize("operation", ["ListDocumentVersions", "DeleteDocument"])
def test_pruning_that_fails_does_not_keep_the_document_from_being_repaired(
    account: Account, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(store, "_NEAR_LIMIT", 1)
    apply(account)
    tamper(account)

    def refused(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("InvalidDocumentOperation", "no")

    listed = {"DocumentVersions": [{"DocumentVersion": str(n), "IsDefaultVersion": n == 2} for n in (1, 2)]}
    answers = {"ListDocumentVersions": lambda *_, **__: listed, operation: refused}
    assert account.run(account.event("reconcile"), account.watch(answers=answers)).outcome == "updated"


def test_sharing_that_cannot_be_taken_back_does_not_keep_the_document_from_being_repaired(account: Account) -> None:
    apply(account)
    tamper(account)
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["111122223333"])

    def refused(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("AccessDeniedException", "no")

    with pytest.raises(AwsError):
        account.run(account.event("reconcile"), account.watch(answers={"ModifyDocumentPermission": refused}))
    assert live(account) == wanted(account.preferences)


# --- destinations that become unusable ---


def key_state(state: str) -> Callable[..., dict[str, Any]]:
    def described(call: Call, **given: object) -> dict[str, Any]:
        return {"KeyMetadata": {**call("kms", "DescribeKey", **given)["KeyMetadata"], "KeyState": state}}

    return described


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport", "Unavailable"])
def test_a_log_group_whose_key_is_not_usable_is_refused(account: Account, state: str) -> None:
    preferences = {**account.preferences, "kmsKeyId": None}
    watch = account.watch(answers={"DescribeKey": key_state(state)})
    with pytest.raises(PreflightError, match=f"would lose logs: the key .* is {state}. Enable it"):
        account.run(account.event(preferences=preferences), watch)
    assert account.text() is None


def test_a_log_group_whose_key_is_gone_is_refused(account: Account) -> None:
    def missing(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("NotFoundException", "no such key")

    preferences = {**account.preferences, "kmsKeyId": None}
    with pytest.raises(PreflightError, match=r"does not exist\. Enable it, or associate another key"):
        account.run(account.event(preferences=preferences), account.watch(answers={"DescribeKey": missing}))


@pytest.mark.parametrize(
    ("group_class", "accepted"), [("STANDARD", True), ("INFREQUENT_ACCESS", True), ("DELIVERY", False)]
)
def test_only_log_groups_that_keep_logs_are_accepted(account: Account, group_class: str, accepted: bool) -> None:
    def described(*_: object, **__: object) -> dict[str, Any]:
        return {"logGroups": [{"logGroupName": LOG_GROUP, "kmsKeyId": account.key_arn, "logGroupClass": group_class}]}

    watch = account.watch(answers={"DescribeLogGroups": described})
    if accepted:
        assert account.run(account.event(), watch).outcome == "created"
    else:
        with pytest.raises(PreflightError, match=r"is of class DELIVERY\. Use one of class STANDARD"):
            account.run(account.event(), watch)


@pytest.mark.parametrize("adopt", ["replace", "merge"])
@pytest.mark.parametrize("trouble", ["no group", "key disabled", "denied", "throttled"])
def test_a_destination_that_became_unusable_does_not_keep_a_tampered_document(
    account: Account, adopt: str, trouble: str
) -> None:
    account.run(account.event(adopt=adopt))
    tamper(account)
    answers: dict[str, Callable[..., dict[str, Any]]] = {}

    def refused(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("AccessDenied" if trouble == "denied" else "ThrottlingException", "no")

    if trouble == "no group":
        account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    elif trouble == "key disabled":
        answers["DescribeKey"] = key_state("Disabled")
    else:
        answers["DescribeLogGroups"] = refused
    with pytest.raises(DestinationError, match="matches the configuration") as failure:
        account.run(account.event("reconcile"), account.watch(answers=answers))
    assert failure.value.result["outcome"] == "updated"
    assert live(account) == wanted(account.preferences)


def test_a_scheduled_run_checks_the_destinations_though_nothing_differs(account: Account) -> None:
    apply(account)
    assert account.repair(destinations=True).outcome == "unchanged"
    account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    assert account.repair().outcome == "unchanged"
    for more in ({"destinations": True}, {"cause": {"event_name": "UpdateDocument"}}):  # the second as Lambda's retry
        with pytest.raises(DestinationError, match=f"{LOG_GROUP} does not exist"):
            account.repair(**more)


def test_another_document_is_not_managed_though_it_equals_its_preferences(account: Account) -> None:
    apply(account)
    text = account.text() or ""
    account.ssm.create_document(Name="Other", Content=text, DocumentType="Session")
    for action in ("create", "update", "reconcile"):
        event = account.event(action, document="Other")
        if action == "update":
            event = {**event, "tf": {"action": "update", "prev_input": {"document": "Other"}}}
        with pytest.raises(PreferencesError, match="Destroy those preferences before Other is managed"):
            account.run(event)
    assert account.repair().outcome == "unchanged"


# --- secrets, sizes, time ---


def test_no_result_error_or_log_shows_a_shell_profile(
    account: Account, foreign: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    foreign["inputs"]["shellProfile"] = {"linux": SECRET, "windows": SECRET, SECRET: SECRET}
    foreign[SECRET] = {"nested": [SECRET]}
    account.put(foreign)

    class Quoting:
        """Clients whose service quotes what it was sent, as AWS's validation does."""

        def __init__(self, inner: Any, refuse: str) -> None:  # noqa: ANN401
            self.inner, self.refuse = inner, refuse

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            if name != self.refuse:
                return getattr(self.inner, name)

            def refused(**given: object) -> None:
                details = {"Code": "ValidationException", "Message": f"Value '{given}' at 'content' failed"}
                raise self.inner.exceptions.ClientError({"Error": details}, name)

            return refused

    shown: list[str] = []
    own = {**account.preferences, "shellProfile": {"linux": f"{SECRET}-ours"}}
    create = account.event(preferences=own)
    for refuse in ("create_document", "update_document", "put_parameter", "nothing"):
        for event in ({**create, "adopt": "fail"}, create, account.event("reconcile"), {**create, "revision": "2"}):
            monkeypatch.setattr(
                handler, "boto_clients", lambda _, refuse=refuse: lambda name: Quoting(account.clients(name), refuse)
            )
            try:
                shown.append(json.dumps(handler.lambda_handler(event)))
            except PreferencesError as error:
                shown += traceback.format_exception(error)
    shown.append(json.dumps(handler.lambda_handler({**create, "tf": {"action": "delete"}})))
    shown += [json.dumps(vars(entry), default=str) for entry in caplog.records]
    assert len(shown) > 20
    assert not [text for text in shown if "hunter2" in text or "TopSecret" in text]
    assert json.loads(account.text() or "") == foreign


def test_what_a_service_says_is_shown_when_it_quotes_nothing(account: Account) -> None:
    apply(account, shellProfile={"linux": SECRET})
    account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    with pytest.raises(PreflightError, match=f"{LOG_GROUP} does not exist"):
        apply(account, idleSessionTimeout=10)


def test_a_result_is_small_however_large_the_document_was(account: Account) -> None:
    unknown = {f"key{number}": "x" * 20 for number in range(1500)}
    account.put(content_of(idleSessionTimeout="9" * 9000, **unknown))
    result = account.run(account.event())
    assert len(json.dumps(vars(result))) < 60_000
    assert list(changed(result))[-1].endswith(" more)")


def test_an_error_is_cut_to_what_a_log_event_holds() -> None:
    assert len(str(PreferencesError("x" * 2_000_000))) < 9_000


def test_a_defect_says_where_and_shows_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(handler, "reconcile", failing)
    with pytest.raises(PreferencesError, match=r"failed with KeyError in .*test_order_of_events.py, line") as failure:
        handler.lambda_handler({"action": "reconcile"})
    assert "hunter2" not in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize("left", [0, 5, 11, 20])
def test_denials_are_not_waited_for_beyond_the_time_that_is_left(
    account: Account, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    class Context:
        get_remaining_time_in_millis = staticmethod(lambda: left * 1000)

    class Denying:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            def denied(**_: object) -> None:
                exceptions = account.clients("ssm").exceptions
                raise exceptions.ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

            return denied

    monkeypatch.setattr(handler, "boto_clients", lambda _: lambda _name: Denying())
    with pytest.raises(PreferencesError):
        handler.lambda_handler(account.event(), Context())
    assert sum(slept) <= max(left - 1, 0)
