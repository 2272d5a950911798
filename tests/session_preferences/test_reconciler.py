"""The state machine in an emulated account: every state, every way to adopt and to leave, every call failing once."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from session_preferences import store
from session_preferences.aws import Call
from session_preferences.document import DEFAULT_NAME, Document, build, diff, parse, render
from session_preferences.errors import (
    AdoptionRefusedError,
    AwsError,
    DestinationError,
    InvalidPreferencesError,
    NotManagedError,
    OriginalRecordError,
    PreferencesError,
    PreflightError,
    UnreadableDocumentError,
)
from session_preferences.original_document import PARAMETER
from tests.session_preferences.account import (
    LOG_GROUP,
    REGION,
    Account,
    Answers,
    after,
    changed,
    content_of,
    record,
)

LOOK = ["DescribeDocument", "GetDocument", "DescribeDocumentPermission"]
UNCHANGED = [*LOOK, "GetParameters"]


# --- what a run does in each state ---


@pytest.mark.parametrize("action", ["create", "update", "reconcile"])
def test_a_missing_document_is_created(account: Account, action: str) -> None:
    if action == "reconcile":
        account.run(account.event())
        account.ssm.delete_document(Name=DEFAULT_NAME)
    result = account.run(account.event(action))
    assert (result.outcome, result.default_version, result.latest_version) == ("created", "1", "1")
    assert changed(result)["inputs.kmsKeyId"] == (None, account.key_arn)
    assert account.text() == render(build(account.preferences))


@pytest.mark.parametrize(
    ("action", "calls"),
    [("create", UNCHANGED), ("update", [*UNCHANGED, "PutParameter"]), ("reconcile", UNCHANGED), ("diff", LOOK)],
)
def test_nothing_is_written_when_nothing_differs(account: Account, action: str, calls: list[str]) -> None:
    account.run(account.event("create"))
    watch = account.watch()
    result = account.run(account.event(action), watch)
    assert (result.outcome, result.changes, account.versions()) == ("unchanged", [], ("1", "1"))
    assert watch.operations == calls  # an update stores which event was the last one


def test_one_changed_preference_is_one_change_and_one_version(account: Account) -> None:
    account.run(account.event())
    wanted = {**account.preferences, "idleSessionTimeout": 10}
    result = account.run(account.event("update", preferences=wanted))
    assert (result.outcome, result.default_version, result.latest_version) == ("updated", "2", "2")
    assert changed(result) == {"inputs.idleSessionTimeout": ("20", "10")}
    assert account.versions() == ("2", "2")
    assert account.inputs()["idleSessionTimeout"] == "10"


def test_a_document_of_somebody_else_is_replaced_and_every_difference_is_told(
    account: Account, foreign: dict[str, object]
) -> None:
    account.put(foreign)
    result = account.run(account.event())
    assert result.outcome == "updated"
    assert changed(result) == {
        "inputs.cloudWatchLogGroupName": ("team-logs", LOG_GROUP),
        "inputs.cloudWatchEncryptionEnabled": ("false", True),
        "inputs.kmsKeyId": ("", account.key_arn),
        "inputs.runAsEnabled": (True, False),
        "inputs.runAsDefaultUser": ("ops", ""),
        "inputs.idleSessionTimeout": ("45", "20"),
        "inputs.maxSessionDuration": ("", "60"),
        "inputs.shellProfile.linux": ("(hidden)", ""),
        "inputs.color": ("(hidden)", None),
    }
    assert account.text() == render(build(account.preferences))


def test_a_default_version_that_was_moved_back_is_promoted(account: Account) -> None:
    account.put(content_of(idleSessionTimeout="45"))
    account.run(account.event())
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="1")
    seen = account.run(account.event("diff"))
    assert (seen.outcome, seen.default_version, seen.latest_version) == ("differs", "1", "2")
    watch = account.watch()
    result = account.run(account.event("reconcile"), watch)
    assert (result.outcome, result.default_version, result.latest_version) == ("promoted", "2", "2")
    assert changed(result)["default_version"] == ("1", "2")
    assert changed(result)["inputs.idleSessionTimeout"] == ("45", "20")
    assert "UpdateDocument" not in watch.operations
    assert account.versions() == ("2", "2")


def test_equal_contents_in_different_versions_still_end_with_the_latest_as_default(account: Account) -> None:
    account.run(account.event())
    account.put(json.loads(account.text() or ""))
    result = account.run(account.event("reconcile"))
    assert (result.outcome, changed(result)) == ("promoted", {"default_version": ("1", "2")})
    assert account.versions() == ("2", "2")


def test_a_latest_version_that_strayed_is_written_over_though_the_default_is_right(account: Account) -> None:
    account.run(account.event())
    account.put(content_of(idleSessionTimeout="45"))
    result = account.run(account.event("reconcile"))
    assert result.outcome == "updated"
    assert changed(result)["inputs.idleSessionTimeout"] == ("45", "20")
    assert account.versions() == ("3", "3")
    assert diff(parse(account.text() or ""), build(account.preferences).values()) == []


def test_going_back_to_earlier_preferences_works_though_ssm_refuses_to_repeat_a_text(account: Account) -> None:
    one, other = account.event(), account.event(preferences={**account.preferences, "idleSessionTimeout": 10})
    event = one
    for wanted, idle, version in ((one, "20", "1"), (other, "10", "2"), (one, "20", "3"), (other, "10", "4")):
        event = after(wanted, event)
        result = account.run(event)
        assert (result.default_version, result.latest_version) == (version, version)
        assert account.inputs()["idleSessionTimeout"] == idle
    assert account.repair().outcome == "unchanged"


@pytest.mark.parametrize("accounts", [["all"], ["111122223333"], [f"{number:012}" for number in range(1, 24)]])
def test_sharing_is_drift(account: Account, accounts: list[str]) -> None:
    account.run(account.event())
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=accounts[:20])
    if accounts[20:]:
        account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=accounts[20:])
    assert account.run(account.event("diff")).outcome == "differs"
    result = account.run(account.event("reconcile"))
    ((path, (before, after)),) = changed(result).items()
    assert (result.outcome, path, after) == ("updated", "sharing", [])
    assert sorted(cast("list[str]", before)) == accounts
    permission = account.ssm.describe_document_permission(Name=DEFAULT_NAME, PermissionType="Share")
    assert permission["AccountIds"] == []
    assert account.versions() == ("1", "1")


def test_a_hand_written_yaml_document_is_understood(account: Account) -> None:
    account.put(
        "schemaVersion: '1.0'\nsessionType: Standard_Stream\ninputs:\n  idleSessionTimeout: '45'\n"
        f"  cloudWatchLogGroupName: {LOG_GROUP}\n",
        "YAML",
    )
    wanted = {"cloudWatchLogGroupName": LOG_GROUP, "idleSessionTimeout": 45}
    assert account.run(account.event("diff", preferences=wanted)).outcome == "unchanged"
    result = account.run(account.event("update", preferences={**wanted, "idleSessionTimeout": 20}))
    assert changed(result) == {"inputs.idleSessionTimeout": ("45", "20")}
    assert account.inputs()["idleSessionTimeout"] == "20"


def test_numbers_in_place_of_texts_are_rewritten_and_understood_where_they_are_kept(account: Account) -> None:
    account.put("schemaVersion: 1.0\nsessionType: Standard_Stream\ninputs:\n  idleSessionTimeout: 45\n", "YAML")
    wanted = {"cloudWatchLogGroupName": LOG_GROUP}
    result = account.run(account.event(adopt="merge", preferences=wanted))
    assert {"schemaVersion", "inputs.idleSessionTimeout"} <= changed(result).keys()
    content = json.loads(account.text() or "")
    assert (content["schemaVersion"], content["inputs"]["idleSessionTimeout"]) == ("1.0", "45")


def test_a_dry_run_writes_nothing_and_checks_nothing(account: Account, foreign: dict[str, object]) -> None:
    watch = account.watch()
    result = account.run(account.event("diff"), watch)
    assert (result.outcome, result.default_version, result.latest_version) == ("differs", None, None)
    assert watch.operations == ["DescribeDocument"]
    account.put(foreign)
    watch = account.watch()
    assert account.run(account.event("diff"), watch).outcome == "differs"
    assert watch.operations == LOOK


def test_a_document_of_another_type_is_left_alone(account: Account) -> None:
    account.ssm.create_document(
        Name=DEFAULT_NAME, Content='{"schemaVersion": "2.2", "mainSteps": []}', DocumentType="Command"
    )
    with pytest.raises(UnreadableDocumentError, match="is of type Command"):
        account.run(account.event())


def test_a_document_that_nobody_can_read_is_left_alone(account: Account) -> None:
    text = account.put("schemaVersion: '1.0'\ninputs: {}\n", "YAML")
    watch = account.watch(answers={"GetDocument": lambda *_, **__: {"Content": text}})
    with pytest.raises(UnreadableDocumentError, match="aws ssm get-document"):
        account.run(account.event(), watch)
    assert watch.operations == UNCHANGED


@pytest.mark.parametrize(
    "preferences",
    [{}, {"idleSessionTimeout": 20}, {"cloudWatchLogGroupName": LOG_GROUP, "idleSessionTimeout": 0}, {"colour": "red"}],
)
@pytest.mark.parametrize("action", ["create", "update", "diff"])
def test_bad_preferences_are_refused_before_aws_is_asked(
    account: Account, preferences: dict[str, object], action: str
) -> None:
    watch = account.watch()
    with pytest.raises(InvalidPreferencesError):
        account.run(account.event(action, preferences=preferences), watch)
    assert watch.operations == []


def test_another_document_name_is_another_document(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    assert account.run(account.event(document="Team-Preferences")).outcome == "created"
    assert json.loads(account.text() or "") == foreign


preferences_strategy = st.fixed_dictionaries(
    {"cloudWatchLogGroupName": st.just(LOG_GROUP)},
    optional={
        "idleSessionTimeout": st.none() | st.integers(1, 30),
        "maxSessionDuration": st.none() | st.just("") | st.integers(31, 1440),
        "cloudWatchEncryptionEnabled": st.none() | st.booleans(),
        "shellProfile": st.fixed_dictionaries({}, optional={"linux": st.none() | st.sampled_from(["cd", "ls"])}),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(st.tuples(preferences_strategy, st.sampled_from(["replace", "merge"])), min_size=1, max_size=3),
    tampering=preferences_strategy,
)
def test_applying_or_repairing_twice_is_doing_it_once(
    account: Account, runs: list[tuple[dict[str, object], str]], tampering: dict[str, object]
) -> None:
    account.clear()
    account.run(account.event("create", preferences=tampering))
    for number, (preferences, adopt) in enumerate(runs):
        # Equal events would be copies of one: an apply that goes back to earlier settings comes with another revision.
        event = account.event("create", preferences=preferences, adopt=adopt, revision=f"{number} of {runs}")
        account.run(event)
        before = account.text()
        for again in (event, account.event("reconcile")):
            watch = account.watch()
            assert account.run(again, watch).outcome == "unchanged"
            assert watch.operations == UNCHANGED
            assert account.text() == before


# --- adopting ---


def test_fail_lists_the_differences_without_secrets_and_touches_nothing(
    account: Account, foreign: dict[str, object]
) -> None:
    text = account.put(foreign)
    watch = account.watch()
    with pytest.raises(AdoptionRefusedError) as refusal:
        account.run(account.event(adopt="fail"), watch)
    assert 'inputs.idleSessionTimeout ("45" to "20")' in str(refusal.value)
    assert "inputs.shellProfile.linux" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert watch.operations == UNCHANGED
    assert (account.text(), account.versions()) == (text, ("1", "1"))


def test_fail_lets_through_what_is_missing_equal_or_ours(account: Account) -> None:
    assert account.run(account.event(adopt="fail")).outcome == "created"
    assert account.run(account.event(adopt="fail")).outcome == "unchanged"
    account.put(content_of(idleSessionTimeout="45"))
    assert account.run(account.event("reconcile", adopt="fail")).outcome == "updated"
    account.put(content_of(idleSessionTimeout="44"))
    assert account.run(account.event(adopt="fail")).outcome == "updated"  # the repeat of a create that failed half-way


def test_fail_refuses_what_an_earlier_run_recorded_and_did_not_change(
    account: Account, foreign: dict[str, object]
) -> None:
    text = account.put(foreign)
    watch = account.watch()
    watch.fail_at = 9
    with pytest.raises(AwsError):
        account.run(account.event(), watch)
    assert watch.operations[-1] == "UpdateDocument"
    assert record(account)
    with pytest.raises(AdoptionRefusedError):
        account.run(account.event(adopt="fail"))
    assert account.text() == text


@pytest.mark.parametrize("adopt", ["replace", "merge", "fail"])
def test_a_repair_where_nothing_was_ever_managed_writes_nothing(
    account: Account, foreign: dict[str, object], adopt: str
) -> None:
    text = account.put(foreign)
    watch = account.watch()
    with pytest.raises(NotManagedError, match="no apply is recorded to manage it"):
        account.run(account.event("reconcile", preferences=account.preferences, adopt=adopt), watch)
    assert watch.operations == UNCHANGED
    assert account.text() == text


def test_fail_repairs_a_managed_document_that_was_moved_back_to_the_original(
    account: Account, foreign: dict[str, object]
) -> None:
    account.put(foreign)
    account.run(account.event())
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="1")
    assert account.run(account.event("reconcile", adopt="fail")).outcome == "promoted"


def test_merge_keeps_the_live_values_of_what_is_not_managed(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    preferences = {**account.preferences, "idleSessionTimeout": None}
    result = account.run(account.event(adopt="merge", preferences=preferences))
    assert result.outcome == "updated"
    kept = {"idleSessionTimeout": "45", "runAsEnabled": True, "runAsDefaultUser": "ops"}
    assert kept.items() <= account.inputs().items()
    assert account.inputs()["cloudWatchLogGroupName"] == LOG_GROUP
    assert account.inputs()["shellProfile"]["linux"] == "export TOKEN=hunter2"
    assert "color" not in account.inputs()


def test_merge_refuses_a_live_value_that_must_not_be_written(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="999"))
    with pytest.raises(InvalidPreferencesError, match="idleSessionTimeout '999'"):
        account.run(account.event(adopt="merge", preferences={"maxSessionDuration": 60}))
    assert account.text() == text


def merging(account: Account, action: str = "reconcile", **preferences: object) -> dict[str, object]:
    """An event that merges; what is None is not managed."""
    return account.event(action, adopt="merge", preferences={**account.preferences, **preferences})


@pytest.mark.parametrize("theirs", [True, False], ids=["a document before", "none before"])
def test_merge_releases_what_is_not_managed_any_more(
    account: Account, foreign: dict[str, object], theirs: bool
) -> None:
    if theirs:
        account.put(foreign)
    shell = {"shellProfile": {"linux": "cd /", "windows": "cd c:"}}
    before = merging(account, "create", runAsEnabled=True, runAsDefaultUser="operator", **shell)
    account.run(before)
    assert account.inputs()["runAsDefaultUser"] == "operator"

    released: dict[str, Any] = {
        "kmsKeyId": None,
        "runAsEnabled": None,
        "runAsDefaultUser": None,
        "shellProfile": {"windows": "cd c:"},
    }
    result = account.run(after(merging(account, "update", **released), before))
    assert result.outcome == "updated"
    live = account.inputs()
    assert (live["kmsKeyId"], live["shellProfile"]["windows"]) == ("", "cd c:")
    assert (live["runAsEnabled"], live["runAsDefaultUser"], live["shellProfile"]["linux"]) == (
        (True, "ops", "export TOKEN=hunter2") if theirs else (False, "", "")
    )
    watch = account.watch()
    assert account.run(merging(account, **released), watch).outcome == "unchanged"
    assert watch.operations == UNCHANGED


def test_merge_releases_what_the_last_apply_managed_though_terraform_does_not_know_of_it(account: Account) -> None:
    account.put(content_of(idleSessionTimeout="45"))
    account.run(merging(account, "create"))
    released = merging(account, "update", kmsKeyId=None)

    result = account.run(after(released, released))

    assert changed(result) == {"inputs.kmsKeyId": (account.key_arn, "")}
    assert account.inputs()["kmsKeyId"] == ""


def test_merge_gives_up_a_key_that_was_released_in_a_run_that_failed(account: Account) -> None:
    own = account.clients("kms").create_key()["KeyMetadata"]["KeyId"]
    account.put(content_of(idleSessionTimeout="45"))
    account.run(merging(account, "create", kmsKeyId=own))
    # Terraform takes a failed update for done, and deletes the key.
    account.clients("kms").schedule_key_deletion(KeyId=own)
    released = merging(account, "update", kmsKeyId=None)
    result = account.run(after(released, released))
    assert (result.outcome, changed(result)) == ("updated", {"inputs.kmsKeyId": (own, "")})
    assert account.inputs()["kmsKeyId"] == ""


@pytest.mark.parametrize(
    "tampering",
    [
        {"runAsDefaultUser": "root"},
        {"runAsEnabled": "yes"},
        {"s3BucketName": "gone"},
        {"maxSessionDuration": "10", "runAsDefaultUser": "admin"},
    ],
)
def test_tampering_with_what_is_not_managed_keeps_nobody_from_repairing_what_is(
    account: Account, foreign: dict[str, object], tampering: dict[str, object]
) -> None:
    account.put(foreign)
    account.run(merging(account, "create", maxSessionDuration=None))
    account.put({**foreign, "inputs": {**cast("dict[str, object]", foreign["inputs"]), **tampering}})
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion=account.versions()[1])

    wanted = merging(account, maxSessionDuration=None)
    assert account.run(wanted).outcome == "updated"
    live = account.inputs()
    assert (live["cloudWatchLogGroupName"], live["kmsKeyId"]) == (LOG_GROUP, account.key_arn)
    # The original values, not those that somebody left there.
    assert (live["runAsEnabled"], live["runAsDefaultUser"], live["s3BucketName"]) == (True, "ops", "")
    assert account.run(wanted).outcome == "unchanged"


@pytest.mark.parametrize("document_format", ["JSON", "YAML"])
@pytest.mark.parametrize("action", ["create", "update", "reconcile"])
def test_merge_keeps_the_original_values_of_a_document_that_somebody_deleted(
    account: Account, document_format: Literal["JSON", "YAML"], action: str
) -> None:
    theirs = content_of(runAsEnabled=True, runAsDefaultUser="ops", shellProfile={"linux": "{{ cd }}"})
    account.put(yaml.safe_dump(theirs) if document_format == "YAML" else theirs, document_format)
    account.run(merging(account, "create"))
    account.ssm.delete_document(Name=DEFAULT_NAME)
    assert account.run(merging(account, action)).outcome == "created"
    live = account.inputs()
    assert (live["runAsEnabled"], live["runAsDefaultUser"]) == (True, "ops")
    assert live["shellProfile"]["linux"] == "{{ cd }}"


def test_merge_says_what_is_wrong_with_the_live_values_when_the_original_ones_are_unfit_too(account: Account) -> None:
    account.run(merging(account, "create"))
    account.put(content_of(s3BucketName="gone"))
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="2")
    account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    text = account.text()
    with pytest.raises(PreflightError, match=f"{LOG_GROUP} does not exist.* gone does not exist"):
        account.run(merging(account, "update", idleSessionTimeout=10))
    assert (account.text(), account.versions()) == (text, ("2", "2"))


def test_what_is_kept_is_checked_by_terraform_though_nothing_differs(account: Account) -> None:
    account.put(content_of(kmsKeyId=account.key_arn))
    kept = {"kmsKeyId": None}
    account.run(merging(account, "create", **kept))
    checks = ["DescribeLogGroups", "DescribeKey", "DescribeKey"]  # the group's key, and the session key
    for action, calls in (
        ("create", [*UNCHANGED, *checks]),
        ("update", [*UNCHANGED, *checks, "PutParameter"]),
        ("reconcile", UNCHANGED),
        ("diff", LOOK),
    ):
        watch = account.watch()
        assert account.run(merging(account, action, **kept), watch).outcome == "unchanged"
        assert sorted(watch.operations) == sorted(calls)
    watch = account.watch()
    assert account.run(merging(account, "update"), watch).outcome == "unchanged"
    # Other settings are stored, and a repair with those before may have been under way.
    assert watch.operations == [*UNCHANGED, "PutParameter", *UNCHANGED]


# --- leaving ---


@pytest.mark.parametrize("rounds", [1, 3])
def test_restore_gives_back_exactly_what_was_there(account: Account, foreign: dict[str, object], rounds: int) -> None:
    text = account.put(foreign)
    for _ in range(rounds):
        account.run(account.event())
        account.run(account.event("update", preferences={**account.preferences, "idleSessionTimeout": 10}))
        result = account.run(account.event("delete", on_destroy="restore"))
        assert result.outcome == "restored"
        assert changed(result)["inputs.idleSessionTimeout"] == ("10", "45")
        assert account.versions() == (result.default_version, result.latest_version)
        assert result.default_version == result.latest_version
        assert account.text() == text
        assert record(account) is None


def test_restore_gives_back_yaml_as_yaml(account: Account) -> None:
    text = account.put(
        "# by hand\nschemaVersion: '1.0'\nsessionType: Standard_Stream\ninputs: {idleSessionTimeout: '45'}\n", "YAML"
    )
    account.run(account.event())
    assert account.run(account.event("delete")).outcome == "restored"
    assert account.ssm.get_document(Name=DEFAULT_NAME, DocumentFormat="YAML")["Content"] == text
    assert account.ssm.describe_document(Name=DEFAULT_NAME)["Document"]["DocumentFormat"] == "YAML"


def test_restore_leaves_versions_of_the_owner_as_they_were(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    draft = account.put(content_of(idleSessionTimeout="44"))
    account.run(account.event())
    account.run(account.event("update", preferences={**account.preferences, "idleSessionTimeout": 10}))
    result = account.run(account.event("delete"))
    assert (result.default_version, result.latest_version) == account.versions() == ("1", "2")
    assert account.text() == text
    assert account.ssm.get_document(Name=DEFAULT_NAME, DocumentVersion="2")["Content"] == draft
    assert account.ssm.describe_document(Name=DEFAULT_NAME)["Document"]["LatestVersion"] == "2"


def test_restore_writes_the_original_anew_when_its_version_is_gone(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    account.run(account.event())
    account.ssm.delete_document(Name=DEFAULT_NAME, DocumentVersion="1")
    assert account.run(account.event("delete")).outcome == "restored"
    assert (account.text(), account.versions()) == (text, ("3", "3"))


def test_restore_recreates_a_document_that_somebody_deleted(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    account.run(account.event())
    account.ssm.delete_document(Name=DEFAULT_NAME)
    assert account.run(account.event("delete")).outcome == "restored"
    assert account.text() == text


def test_restore_works_though_the_live_document_cannot_be_read(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    account.run(account.event())
    unreadable = {"GetDocument": lambda call, **given: call("ssm", "GetDocument", **given)}
    reads: list[object] = []

    def first_unreadable(call: Call, **given: object) -> dict[str, Any]:
        reads.append(given)
        return {"Content": "?"} if len(reads) == 1 else unreadable["GetDocument"](call, **given)

    watch = account.watch(answers={"GetDocument": first_unreadable})
    assert account.run(account.event("delete"), watch).outcome == "restored"
    assert account.text() == text


def test_restore_deletes_what_was_not_there_even_if_it_is_shared_now(account: Account) -> None:
    account.run(account.event())
    for start in (1, 13):
        others = [f"{number:012}" for number in range(start, start + 12)]
        account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=others)
    result = account.run(account.event("delete"))
    assert (result.outcome, result.default_version, result.latest_version) == ("deleted", None, None)
    assert changed(result)["inputs.idleSessionTimeout"] == ("20", None)
    assert (account.text(), record(account)) == (None, None)
    assert account.run(account.event("delete")).outcome == "deleted"


def shared_with(account: Account) -> list[str]:
    return sorted(account.ssm.describe_document_permission(Name=DEFAULT_NAME, PermissionType="Share")["AccountIds"])


def share(account: Account, *accounts: str) -> None:
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=list(accounts))


@pytest.mark.parametrize("lost", ["nothing", "the version", "the document"])
def test_restore_shares_with_the_same_accounts_again(account: Account, lost: str) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    share(account, "111122223333", "444455556666")
    account.run(account.event())
    assert shared_with(account) == []
    if lost == "the version":
        account.ssm.delete_document(Name=DEFAULT_NAME, DocumentVersion="1")
    elif lost == "the document":
        account.ssm.delete_document(Name=DEFAULT_NAME)
    else:
        share(account, "777788889999")
    result = account.run(account.event("delete"))
    assert (result.outcome, account.text()) == ("restored", text)
    assert shared_with(account) == ["111122223333", "444455556666"]
    if lost == "nothing":
        assert changed(result)["sharing"] == (["777788889999"], ["111122223333", "444455556666"])


def test_restore_makes_nothing_public(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    share(account, "all")
    account.run(account.event())
    assert account.run(account.event("delete")).outcome == "restored"
    assert (account.text(), shared_with(account)) == (text, [])


def test_a_record_that_knows_neither_versions_nor_sharing_still_serves(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    account.put(content_of(idleSessionTimeout="44"))
    account.run(account.event())
    old = json.loads(record(account) or "")
    for name in ("latest_version", "shared_with", "as_json"):
        del old[name]
    account.ssm.put_parameter(Name=PARAMETER, Value=json.dumps(old), Type="String", Overwrite=True)
    assert account.run(account.event("delete")).outcome == "restored"
    assert (account.text(), account.versions()) == (text, ("1", "1"))


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("adopt", ["replace", "merge"])
def test_a_destruction_that_is_repeated_after_it_succeeded_succeeds(
    account: Account, foreign: dict[str, object], exists: bool, adopt: str
) -> None:
    if exists:
        account.put(foreign)
    account.run(account.event(adopt=adopt))
    done = account.run(account.event("delete", adopt=adopt))
    text, versions = account.text(), exists and account.versions()
    watch = account.watch()
    again = account.run(account.event("delete", adopt=adopt), watch)
    assert (again.outcome, again.changes) == (done.outcome, [])
    assert (account.text(), exists and account.versions()) == (text, versions)
    assert not [operation for operation in watch.operations if not operation.startswith(("Describe", "Get"))]


@pytest.mark.parametrize("on_destroy", ["retain", "reset"])
def test_what_was_there_first_is_given_back_after_cycles_that_did_not(
    account: Account, foreign: dict[str, object], on_destroy: str
) -> None:
    text = account.put(foreign)
    for _ in range(2):
        account.run(account.event())
        account.run(account.event("delete", on_destroy=on_destroy))
    account.run(account.event())
    assert account.run(account.event("delete")).outcome == "restored"
    assert (account.text(), account.versions(), record(account)) == (text, ("1", "1"), None)


def test_restore_without_a_record_leaves_the_document_and_says_what_to_do(account: Account) -> None:
    account.run(account.event())
    account.ssm.delete_parameter(Name=PARAMETER)
    text = account.text()
    with pytest.raises(OriginalRecordError, match='Set on_destroy to "retain"'):
        account.run(account.event("delete"))
    assert account.text() == text


def test_drift_repair_never_takes_a_tampered_document_for_the_original(account: Account) -> None:
    account.run(account.event())
    account.ssm.delete_parameter(Name=PARAMETER)
    text = account.put(content_of(idleSessionTimeout="45"))
    with pytest.raises(NotManagedError, match=PARAMETER):
        account.repair()
    assert record(account) is None
    assert account.ssm.get_document(Name=DEFAULT_NAME, DocumentVersion="2")["Content"] == text


def test_one_region_has_one_managed_document(account: Account) -> None:
    account.run(account.event())
    account.put(content_of())
    for action in ("create", "reconcile"):
        with pytest.raises(OriginalRecordError, match="Destroy those preferences before Other is managed"):
            account.run(account.event(action, document="Other"))
    with pytest.raises(account.ssm.exceptions.InvalidDocument):
        account.ssm.describe_document(Name="Other")


def test_retain_leaves_the_document(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    account.run(account.event())
    text = account.text()
    result = account.run(account.event("delete", on_destroy="retain"))
    assert (result.outcome, result.default_version, result.latest_version, result.changes) == ("retained", "2", "2", [])
    assert account.text() == text


@pytest.mark.parametrize("exists", [True, False])
def test_reset_writes_the_neutral_document(account: Account, exists: bool) -> None:
    if exists:
        account.run(account.event())
    result = account.run(account.event("delete", on_destroy="reset"))
    assert result.outcome == "reset"
    assert account.text() == render(Document())
    assert account.inputs()["idleSessionTimeout"] == "20"


@pytest.mark.parametrize("on_destroy", ["restore", "retain", "reset"])
def test_leaving_does_not_depend_on_the_preferences(account: Account, on_destroy: str) -> None:
    account.run(account.event())
    assert account.run(account.event("delete", on_destroy=on_destroy, preferences={"removed": 1}))


def test_a_large_foreign_document_is_recorded_compressed_and_given_back(account: Account) -> None:
    lines = "\n".join(f"export VARIABLE_{number}='{{{{.Names}}}} {number}'" for number in range(600))
    text = account.put(content_of(shellProfile={"linux": lines}))
    account.run(account.event())
    assert len(record(account) or "") <= 8192
    account.run(account.event("delete"))
    assert account.text() == text


def test_a_document_too_large_to_be_recorded_is_not_touched(account: Account) -> None:
    noise = hashlib.shake_256(b"noise").hexdigest(12_000)
    text = account.put(content_of(shellProfile={"linux": noise}))
    with pytest.raises(OriginalRecordError, match="Keep a copy"):
        account.run(account.event())
    assert (account.text(), account.versions()) == (text, ("1", "1"))


# --- limits, waiting, races ---


def versions_of(present: set[int]) -> Answers:
    """Answers for a document with these versions, the first one of them the default."""

    def listed(_call: Call, NextToken: str = "0", **_: object) -> dict[str, Any]:  # noqa: N803 - AWS's name
        start = int(NextToken)
        page = [
            {"DocumentVersion": str(number), "IsDefaultVersion": number == 1}
            for number in sorted(present)[start : start + 15]
        ]
        return {"DocumentVersions": page, "NextToken": str(start + 15) if start + 15 < len(present) else ""}

    def deleted(call: Call, **given: object) -> dict[str, Any]:
        present.remove(int(str(given["DocumentVersion"])))
        return call("ssm", "DeleteDocument", **given)

    return {"ListDocumentVersions": listed, "DeleteDocument": deleted}


def test_at_the_version_limit_the_oldest_versions_make_room(account: Account) -> None:
    account.run(account.event())
    for idle in range(21, 60):
        account.put(content_of(idleSessionTimeout=str(idle)))
    present = set(range(1, 41))

    def limited(call: Call, **given: object) -> dict[str, Any]:
        if len(present) >= 40:
            raise AwsError("DocumentVersionLimitExceeded", "too many versions")
        return call("ssm", "UpdateDocument", **given)

    answers: Answers = {**versions_of(present), "UpdateDocument": limited}
    result = account.run(account.event("reconcile"), account.watch(answers=answers))
    assert result.outcome == "updated"
    assert present == {1, *range(27, 41)}  # the default version stays, and the 25 oldest others are gone
    assert account.inputs()["idleSessionTimeout"] == "20"


@pytest.mark.parametrize(
    ("limit", "present", "left"),
    [
        pytest.param(13, set(range(1, 13)), set(range(1, 13)), id="not near"),
        pytest.param(10, {1, 5, 11, 12}, {1, 5, 11, 12}, id="many numbers, but few versions"),
        pytest.param(10, set(range(1, 13)), {1, *range(4, 13)}, id="near"),
    ],
)
def test_near_the_version_limit_an_update_removes_the_oldest_versions_beyond(
    account: Account, monkeypatch: pytest.MonkeyPatch, limit: int, present: set[int], left: set[int]
) -> None:
    account.run(account.event())
    for idle in range(21, 32):
        account.put(content_of(idleSessionTimeout=str(idle)))
    monkeypatch.setattr(store, "_NEAR_LIMIT", limit)
    assert account.run(account.event("reconcile"), account.watch(answers=versions_of(present))).outcome == "updated"
    assert present == left
    assert account.inputs()["idleSessionTimeout"] == "20"


def test_near_the_version_limit_what_is_unchanged_is_not_listed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.run(account.event())
    monkeypatch.setattr(store, "_NEAR_LIMIT", 1)
    watch = account.watch()
    assert account.run(account.event("reconcile"), watch).outcome == "unchanged"
    assert "ListDocumentVersions" not in watch.operations
    assert len(watch.operations) <= 4


def test_when_no_version_can_make_room_aws_has_its_say(account: Account) -> None:
    account.put(content_of(idleSessionTimeout="45"))

    def limited(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("DocumentVersionLimitExceeded", "too many versions")

    only = {"DocumentVersions": [{"DocumentVersion": "1", "IsDefaultVersion": True}]}
    answers: Answers = {"ListDocumentVersions": lambda *_, **__: only, "UpdateDocument": limited}
    with pytest.raises(AwsError) as failure:
        account.run(account.event(), account.watch(answers=answers))
    assert failure.value.code == "DocumentVersionLimitExceeded"


def test_a_new_version_becomes_the_default_only_when_it_is_active(account: Account) -> None:
    account.put(content_of(idleSessionTimeout="45"))
    states = ["Updating", "Updating", "Active"]

    def updating(call: Call, **given: object) -> dict[str, Any]:
        made = call("ssm", "UpdateDocument", **given)
        return {"DocumentDescription": {**made["DocumentDescription"], "Status": "Updating"}}

    def described(call: Call, **given: object) -> dict[str, Any]:
        found = call("ssm", "DescribeDocument", **given)["Document"]
        return {"Document": {**found, "Status": states.pop(0)} if "DocumentVersion" in given else found}

    watch = account.watch(answers={"UpdateDocument": updating, "DescribeDocument": described})
    assert account.run(account.event(), watch).outcome == "updated"
    writing = watch.operations.index("UpdateDocument")
    assert watch.operations[writing + 1 : writing + 5] == [*["DescribeDocument"] * 3, "UpdateDocumentDefaultVersion"]


def test_a_version_that_cannot_be_activated_never_becomes_the_default(account: Account) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))

    def failed(call: Call, **given: object) -> dict[str, Any]:
        made = call("ssm", "UpdateDocument", **given)
        return {"DocumentDescription": {**made["DocumentDescription"], "Status": "Updating"}}

    def described(call: Call, **given: object) -> dict[str, Any]:
        found = call("ssm", "DescribeDocument", **given)["Document"]
        if "DocumentVersion" in given:
            found = {**found, "Status": "Failed", "StatusInformation": "no reason at all"}
        return {"Document": found}

    with pytest.raises(AwsError, match="no reason at all"):
        account.run(account.event(), account.watch(answers={"UpdateDocument": failed, "DescribeDocument": described}))
    assert (account.text(), account.versions()) == (text, ("1", "2"))


def test_a_change_under_way_is_waited_for(account: Account) -> None:
    account.run(account.event())
    states = ["Creating", "Updating", "Active"]

    def described(call: Call, **given: object) -> dict[str, Any]:
        return {"Document": {**call("ssm", "DescribeDocument", **given)["Document"], "Status": states.pop(0)}}

    watch = account.watch(answers={"DescribeDocument": described})
    assert account.run(account.event("reconcile"), watch).outcome == "unchanged"


@pytest.mark.parametrize("theirs", ["wanted", "other"])
def test_a_concurrent_writer_is_noticed_and_the_runs_converge(account: Account, theirs: str) -> None:
    account.put(content_of(idleSessionTimeout="45"))
    between = render(build(account.preferences)) if theirs == "wanted" else json.dumps(content_of())

    def late(call: Call, **given: object) -> dict[str, Any]:
        if account.versions() == ("1", "1"):
            account.put(between)
        return call("ssm", "UpdateDocument", **given)

    account.run(account.event(), account.watch(answers={"UpdateDocument": late}))
    default, latest = account.versions()
    assert default == latest
    assert account.text() == render(build(account.preferences))


def test_a_concurrent_creator_is_noticed(account: Account) -> None:
    def late(call: Call, **given: object) -> dict[str, Any]:
        account.put(content_of(idleSessionTimeout="45"))
        return call("ssm", "CreateDocument", **given)

    assert account.run(account.event(), account.watch(answers={"CreateDocument": late})).outcome == "created"
    assert account.text() == render(build(account.preferences))


def test_answers_from_before_the_own_write_do_not_lead_to_a_second_one(account: Account) -> None:
    account.put(content_of(idleSessionTimeout="45"))
    stale = account.ssm.describe_document(Name=DEFAULT_NAME)
    described: list[object] = []

    def eventually(call: Call, **given: object) -> dict[str, Any]:
        described.append(given)
        return dict(stale) if len(described) <= 4 else call("ssm", "DescribeDocument", **given)

    result = account.run(account.event(), account.watch(answers={"DescribeDocument": eventually}))
    assert (result.outcome, result.default_version, result.latest_version) == ("updated", "2", "2")
    assert account.versions() == ("2", "2")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("GetDocument", "InvalidDocumentVersion"),
        ("GetDocument", "InvalidDocument"),
        ("DescribeDocumentPermission", "InvalidDocument"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["first look", "after the write"])
def test_answers_that_lag_between_the_calls_of_one_look_are_waited_for(
    account: Account, operation: str, code: str, first: bool
) -> None:
    account.run(account.event())
    lagging = [first]

    def late(call: Call, **given: object) -> dict[str, Any]:
        if lagging and lagging[0]:
            lagging.clear()
            raise AwsError(code, "not yet")
        return call("ssm", operation, **given)

    def updated(call: Call, **given: object) -> dict[str, Any]:
        made = call("ssm", "UpdateDocument", **given)
        lagging[:] = [not first] if not first else lagging
        return made

    watch = account.watch(answers={operation: late, "UpdateDocument": updated})
    wanted = {**account.preferences, "idleSessionTimeout": 10}
    assert account.run(account.event("update", preferences=wanted), watch).outcome == "updated"
    assert lagging == []
    assert account.versions() == ("2", "2")


def test_a_document_that_goes_while_it_is_looked_at_is_missing(account: Account) -> None:
    account.run(account.event())

    def gone(call: Call, **given: object) -> dict[str, Any]:
        account.ssm.delete_document(Name=DEFAULT_NAME)
        return call("ssm", "GetDocument", **given)

    watch = account.watch(answers={"GetDocument": gone})
    seen = account.run(account.event("diff"), watch)
    assert (seen.outcome, seen.default_version) == ("differs", None)


def test_a_look_that_never_comes_to_an_end_is_told(account: Account) -> None:
    account.run(account.event())

    def never(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("InvalidDocumentVersion", "no such version")

    with pytest.raises(AwsError, match="no such version"):
        account.run(account.event("reconcile"), account.watch(answers={"GetDocument": never}))


def test_a_document_that_does_not_stay_as_it_was_written_is_an_error(account: Account) -> None:
    account.run(account.event())
    rivals = iter(range(21, 60))

    def overwritten(call: Call, **given: object) -> dict[str, Any]:
        answer = call("ssm", "UpdateDocumentDefaultVersion", **given)
        account.put(content_of(idleSessionTimeout=str(next(rivals))))
        return answer

    account.put(content_of(idleSessionTimeout="60"))
    watch = account.watch(answers={"UpdateDocumentDefaultVersion": overwritten})
    with pytest.raises(PreferencesError, match="another writer keeps changing it"):
        account.run(account.event("reconcile"), watch)


# --- preflight ---


def bucket(account: Account, algorithm: str | None) -> dict[str, object]:
    name = "session-logs-111122223333"
    location: Any = {"LocationConstraint": REGION}
    account.clients("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    if algorithm:
        rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
        account.clients("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    else:
        account.clients("s3").delete_bucket_encryption(Bucket=name)
    return {"s3BucketName": name, "s3EncryptionEnabled": True}


@pytest.mark.parametrize("algorithm", ["aws:kms", "AES256"])
def test_destinations_that_the_agent_accepts_pass(account: Account, algorithm: str) -> None:
    preferences = {**account.preferences, **bucket(account, algorithm)}
    assert account.run(account.event(preferences=preferences)).outcome == "created"


def refused(account: Account, said: str, **preferences: object) -> None:
    watch = account.watch()
    with pytest.raises(PreflightError, match=said):
        account.run(account.event(preferences={**account.preferences, **preferences}), watch)
    assert not {"CreateDocument", "UpdateDocument", "PutParameter"} & set(watch.operations)
    assert (account.text(), record(account)) == (None, None)


def test_a_missing_log_group_is_refused(account: Account) -> None:
    account.clients("logs").create_log_group(logGroupName=f"{LOG_GROUP}-more", kmsKeyId=account.key_arn)
    account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    refused(account, f"{LOG_GROUP} does not exist in eu-west-1. Create it")
    refused(account, "would refuse sessions or lose their logs", cloudWatchEncryptionEnabled=False)


def test_a_log_group_without_a_key_is_refused_with_the_flag_only(account: Account) -> None:
    account.clients("logs").create_log_group(logGroupName="plain")
    refused(account, "cloudWatchEncryptionEnabled would lock everybody out", cloudWatchLogGroupName="plain")
    preferences = {"cloudWatchLogGroupName": "plain"}
    assert account.run(account.event(preferences=preferences)).outcome == "created"


@pytest.mark.parametrize("algorithm", ["aws:kms:dsse", None])
def test_a_bucket_whose_encryption_the_agent_refuses_is_refused_with_the_flag_only(
    account: Account, algorithm: str | None
) -> None:
    wanted = bucket(account, algorithm)
    refused(account, f"s3EncryptionEnabled would lock everybody out: .* is {algorithm or 'off'}", **wanted)
    preferences = {**account.preferences, **wanted, "s3EncryptionEnabled": False}
    assert account.run(account.event(preferences=preferences)).outcome == "created"


@pytest.mark.parametrize("step", ["update", "promote"])
def test_whatever_makes_preferences_effective_is_checked_first(account: Account, step: str) -> None:
    text = account.put(content_of(idleSessionTimeout="45"))
    if step == "promote":
        account.put(render(build(account.preferences)))
    versions = account.versions()
    account.clients("logs").delete_log_group(logGroupName=LOG_GROUP)
    with pytest.raises(PreflightError):
        account.run(account.event())
    assert (account.text(), account.versions()) == (text, versions)


def test_a_missing_bucket_is_refused(account: Account) -> None:
    refused(account, "s3BucketName would lose logs", s3BucketName="no-such-bucket")


def test_a_key_that_cannot_encrypt_sessions_is_refused(account: Account) -> None:
    kms = account.clients("kms")
    refused(account, "is not of eu-west-1", kmsKeyId=account.key_arn.replace(REGION, "us-east-1"))
    refused(account, "does not exist", kmsKeyId="alias/session-manager/data")
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    refused(account, "not a symmetric encryption key", kmsKeyId=signing)
    own = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=own)
    refused(account, "is Disabled. Enable it", kmsKeyId=own)
    kms.schedule_key_deletion(KeyId=own)
    refused(account, "is PendingDeletion", kmsKeyId=own)


def test_an_aws_managed_key_is_refused(account: Account) -> None:
    def managed(call: Call, **given: object) -> dict[str, Any]:
        return {"KeyMetadata": {**call("kms", "DescribeKey", **given)["KeyMetadata"], "KeyManager": "AWS"}}

    with pytest.raises(PreflightError, match="is an AWS managed key"):
        account.run(account.event(), account.watch(answers={"DescribeKey": managed}))


def test_every_problem_is_said_at_once(account: Account) -> None:
    missing = {"cloudWatchLogGroupName": "no-group", "s3BucketName": "no-bucket", "kmsKeyId": "alias/no-key"}
    refused(account, "no-group does not exist.*no-bucket does not exist.*alias/no-key does not exist", **missing)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("DescribeLogGroups", "logs:DescribeLogGroups"),
        ("GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("DescribeKey", "kms:DescribeKey"),
    ],
)
def test_what_cannot_be_checked_is_refused_unless_waived(account: Account, operation: str, permission: str) -> None:
    def denied(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("AccessDeniedException", "with an explicit deny in a service control policy.")

    preferences = {**account.preferences, **bucket(account, "AES256")}
    # AWS's own reason says which kind of policy denies it.
    with pytest.raises(PreflightError, match=f"{permission} is denied. with an explicit deny in a service control"):
        account.run(account.event(preferences=preferences), account.watch(answers={operation: denied}))
    assert account.text() is None
    event = account.event(preferences=preferences, waive=["preflight_permissions"])
    assert account.run(event, account.watch(answers={operation: denied})).outcome == "created"


def test_a_failure_that_says_nothing_about_the_preferences_is_told_as_it_is(account: Account) -> None:
    def failing(*_: object, **__: object) -> dict[str, Any]:
        raise AwsError("ThrottlingException", "Rate exceeded")

    event = account.event(waive=["preflight_permissions"])
    with pytest.raises(AwsError, match="Rate exceeded"):
        account.run(event, account.watch(answers={"DescribeKey": failing}))
    assert account.text() is None


def test_log_groups_are_looked_for_on_every_page(account: Account) -> None:
    def paged(_call: Call, **given: object) -> dict[str, Any]:
        if "nextToken" not in given:
            return {"logGroups": [{"logGroupName": f"{LOG_GROUP}-more"}], "nextToken": "2"}
        return {"logGroups": [{"logGroupName": LOG_GROUP, "kmsKeyId": account.key_arn}]}

    assert account.run(account.event(), account.watch(answers={"DescribeLogGroups": paged})).outcome == "created"


# --- any single call failing ---

Prepare = Callable[[Account, dict[str, object]], object]


def managed(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    account.run(account.event())


def shared(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["all"])


def managed_and_shared(account: Account, foreign: dict[str, object]) -> None:
    managed(account, foreign)
    account.ssm.modify_document_permission(Name=DEFAULT_NAME, PermissionType="Share", AccountIdsToAdd=["all"])


def moved_back(account: Account, foreign: dict[str, object]) -> None:
    managed(account, foreign)
    account.ssm.update_document_default_version(Name=DEFAULT_NAME, DocumentVersion="1")


def managed_with_more(account: Account, foreign: dict[str, object]) -> None:
    account.put(foreign)
    account.put(content_of(idleSessionTimeout="44"))
    share(account, "111122223333")
    account.run(account.event())


def repeated(account: Account, _foreign: dict[str, object]) -> None:
    account.run(account.event())
    account.run(account.event("update", preferences={**account.preferences, "idleSessionTimeout": 10}))


CHECKS = {"DescribeLogGroups", "DescribeKey"}
FAULTY: dict[str, tuple[Prepare, dict[str, str], str]] = {
    "create": (lambda *_: None, {}, "created"),
    "adopt": (Account.put, {}, "updated"),
    "adopt an equal one": (lambda account, _: account.put(render(build(account.preferences))), {}, "unchanged"),
    "unshare": (managed_and_shared, {"action": "reconcile"}, "updated"),
    "promote": (moved_back, {"action": "reconcile"}, "promoted"),
    "adopt a shared one": (shared, {}, "updated"),
    "restate": (repeated, {"action": "update"}, "updated"),
    "merge": (Account.put, {"adopt": "merge"}, "updated"),
    "restore": (managed, {"action": "delete"}, "restored"),
    "restore all": (managed_with_more, {"action": "delete"}, "restored"),
    "delete": (lambda account, _: account.run(account.event()), {"action": "delete"}, "deleted"),
    "retain": (managed, {"action": "delete", "on_destroy": "retain"}, "retained"),
    "reset": (managed, {"action": "delete", "on_destroy": "reset"}, "reset"),
}


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("scenario", FAULTY)
def test_whichever_call_fails_the_document_is_old_or_new_and_a_second_run_finishes(
    account: Account,
    foreign: dict[str, object],
    scenario: str,
    after: bool,
) -> None:
    prepare, options, outcome = FAULTY[scenario]
    event = account.event(**options)

    def effective() -> object:
        text = account.text()
        return parse(text) if text else None

    def start() -> None:
        account.clear()
        prepare(account, foreign)

    start()
    old = effective()
    watch = account.watch()
    assert account.run(event, watch).outcome == outcome
    calls, new, recorded = watch.operations, effective(), record(account)
    versions = new and account.versions()

    for fail_at, operation in enumerate(calls):
        if after and operation.startswith(("Describe", "Get", "List")):
            continue  # a lost answer makes a difference for writes only
        start()
        watch = account.watch()
        watch.fail_at, watch.after = fail_at, after
        with pytest.raises((AwsError, PreflightError, DestinationError), match=r"AccessDenied|is denied"):
            account.run(event, watch)
        assert watch.operations == calls[: fail_at + 1] or operation in {*CHECKS, "ModifyDocumentPermission"}
        between = effective()
        assert between in (old, new)
        account.run(event)
        assert effective() == new
        assert record(account) == recorded
        assert new is None or account.versions() == versions
