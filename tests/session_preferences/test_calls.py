"""Which calls the store and the records make, and in which words they fail; without an emulator."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from session_preferences import applied_settings, original_document, records
from session_preferences.adoption import check_owner, present
from session_preferences.applied_settings import AppliedSettings
from session_preferences.aws import Budget
from session_preferences.converge import result
from session_preferences.document import Change
from session_preferences.errors import (
    AdoptionRefusedError,
    AppliedSettingsError,
    AwsError,
    LateEventError,
    OriginalRecordError,
    PreferencesError,
    UnreadableDocumentError,
    tolerated,
)
from session_preferences.on_destroy import leave
from session_preferences.original_document import Original
from session_preferences.request import parse_event, sha256
from session_preferences.store import Live, Store
from tests.session_preferences.answers import given

Asked = tuple[str, Mapping[str, object]]
NAME = "SSM-SessionManagerRunShell"


class Aws:
    """A `Call` that notes what it is asked, and answers by operation: a value, an error, or a function of arguments."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        self.waited: list[float] = []

    def __call__(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        assert service == "ssm"
        self.asked.append((operation, dict(arguments)))
        return given(self.answers.get(operation, {}), arguments)

    def store(self) -> Store:
        return Store(self, Budget(300, sleep=self.waited.append), NAME)

    @property
    def done(self) -> list[str]:
        return [operation for operation, _ in self.asked]


def in_turn(*answers: object) -> Callable[[object], object]:
    left = iter(answers)
    return lambda _arguments: next(left)


def described(default: str = "2", latest: str = "2", **more: object) -> dict[str, Any]:
    found = {"DocumentType": "Session", "Status": "Active", "DocumentFormat": "JSON", **more}
    return {"Document": {"DefaultVersion": default, "LatestVersion": latest, **found}}


def texts(arguments: Mapping[str, object]) -> dict[str, object]:
    return {"Content": f"{arguments['DocumentVersion']} as {arguments['DocumentFormat']}"}


def test_a_look_reads_both_versions_and_all_accounts() -> None:
    accounts = in_turn({"AccountIds": ["1"], "NextToken": "more"}, {"AccountIds": ["2"]})
    aws = Aws(
        DescribeDocument=described("2", "3", DocumentFormat="YAML"),
        GetDocument=texts,
        DescribeDocumentPermission=accounts,
    )

    assert aws.store().observe("YAML") == Live("2", "3", "2 as YAML", "3 as YAML", "YAML", ["1", "2"])
    assert aws.asked == [
        ("DescribeDocument", {"Name": NAME}),
        ("GetDocument", {"Name": NAME, "DocumentVersion": "2", "DocumentFormat": "YAML"}),
        ("GetDocument", {"Name": NAME, "DocumentVersion": "3", "DocumentFormat": "YAML"}),
        ("DescribeDocumentPermission", {"Name": NAME, "PermissionType": "Share"}),
        ("DescribeDocumentPermission", {"Name": NAME, "PermissionType": "Share", "NextToken": "more"}),
    ]


def test_one_version_is_read_once_and_json_is_the_usual_format() -> None:
    aws = Aws(DescribeDocument=described(), GetDocument=texts)

    assert aws.store().observe() == Live("2", "2", "2 as JSON", "2 as JSON", "JSON", [])
    assert aws.done == ["DescribeDocument", "GetDocument", "DescribeDocumentPermission"]


@pytest.mark.parametrize("code", ["InvalidDocument", "InvalidDocumentVersion"])
def test_a_missing_document_is_none_and_one_that_goes_is_looked_for_again(code: str) -> None:
    assert Aws(DescribeDocument=AwsError(code, "gone")).store().observe() is None
    for times in (1, 5):
        reads = in_turn(*[AwsError(code, "gone")] * times, {"Content": "text"})
        aws = Aws(DescribeDocument=described(), GetDocument=reads)
        assert aws.store().observe() == Live("2", "2", "text", "text", "JSON", [])
        assert len(aws.waited) == times
    aws = Aws(DescribeDocument=described(), GetDocument=AwsError(code, "gone"))
    with pytest.raises(AwsError, match="gone"):
        aws.store().observe()
    assert (len(aws.waited), aws.done.count("GetDocument")) == (5, 6)


def test_other_failures_of_a_look_are_raised_and_other_types_of_documents_refused() -> None:
    with pytest.raises(AwsError, match="denied"):
        Aws(DescribeDocument=AwsError("AccessDeniedException", "denied")).store().observe()
    with pytest.raises(UnreadableDocumentError) as caught:
        Aws(DescribeDocument=described(DocumentType="Command")).store().observe()
    assert str(caught.value) == f"{NAME} is of type Command, not Session. Use another name, or remove it."


@pytest.mark.parametrize("under_way", ["Creating", "Updating", "Deleting"])
def test_a_change_under_way_is_waited_for(under_way: str) -> None:
    looks = in_turn(described(Status=under_way), described(Status=under_way), described())
    aws = Aws(DescribeDocument=looks, GetDocument=texts)

    assert aws.store().observe()
    assert len(aws.waited) == 2
    assert 0.25 <= aws.waited[0] <= 0.5 <= aws.waited[1] <= 1


def made(version: str, status: str = "Active") -> dict[str, Any]:
    return {"DocumentDescription": {"DocumentVersion": version, "Status": status}}


def test_a_new_document_is_of_type_session() -> None:
    aws = Aws(CreateDocument=made("1"))

    aws.store().create("text", "JSON")

    assert aws.asked == [
        ("CreateDocument", {"Name": NAME, "Content": "text", "DocumentType": "Session", "DocumentFormat": "JSON"})
    ]


def test_an_update_names_the_version_it_follows_and_is_promoted_when_it_is_active() -> None:
    looks = in_turn(described(Status="Updating"), described(Status="Active"))
    aws = Aws(UpdateDocument=made("4", "Creating"), DescribeDocument=looks)

    aws.store().update("text", "YAML", after="3")

    assert aws.asked == [
        ("UpdateDocument", {"Name": NAME, "Content": "text", "DocumentFormat": "YAML", "DocumentVersion": "3"}),
        ("DescribeDocument", {"Name": NAME, "DocumentVersion": "4"}),
        ("DescribeDocument", {"Name": NAME, "DocumentVersion": "4"}),
        ("UpdateDocumentDefaultVersion", {"Name": NAME, "DocumentVersion": "4"}),
    ]


@pytest.mark.parametrize(
    ("said", "reason"), [({}, "SSM gives no reason"), ({"StatusInformation": "bad schema"}, "bad schema")]
)
def test_a_version_that_does_not_become_active_fails(said: dict[str, str], reason: str) -> None:
    aws = Aws(UpdateDocument=made("4", "Creating"), DescribeDocument=described(Status="Failed", **said))

    with pytest.raises(AwsError) as caught:
        aws.store().update("text", "JSON", after="3")

    assert caught.value.code == "Failed"
    assert str(caught.value) == f"SSM could not activate version 4 of {NAME}: {reason}."
    assert "UpdateDocumentDefaultVersion" not in aws.done


def versions(numbers: range, default: int) -> dict[str, Any]:
    listed = [{"DocumentVersion": str(number), "IsDefaultVersion": number == default} for number in numbers]
    return {"DocumentVersions": sorted(listed, key=lambda item: str(item["DocumentVersion"]))}


def deleted(aws: Aws) -> list[object]:
    return [arguments["DocumentVersion"] for operation, arguments in aws.asked if operation == "DeleteDocument"]


@pytest.mark.parametrize(("after", "prunes"), [("899", False), ("900", True), ("950", True)])
def test_versions_are_pruned_from_nine_hundred_on(after: str, prunes: bool) -> None:
    aws = Aws(UpdateDocument=made("1"), ListDocumentVersions=AwsError("AccessDeniedException", "denied"))

    aws.store().update("text", "JSON", after=after)

    assert ("ListDocumentVersions" in aws.done) == prunes
    assert ("ListDocumentVersions", {"Name": NAME, "MaxResults": 50}) in aws.asked or not prunes


@pytest.mark.parametrize(
    ("numbers", "default", "kept", "gone", "any_old"),
    [
        (range(1, 11), 10, 7, ["1", "2", "3"], True),
        (range(1, 11), 1, 7, ["2", "3", "4"], True),
        (range(1, 11), 10, 10, [], True),
        (range(1, 11), 10, 20, [], True),
        (range(1, 101), 100, 0, [str(number) for number in range(1, 26)], True),
        (range(1, 4), 2, 0, ["1"], True),
        (range(7, 8), 7, 0, [], False),
        (range(7, 9), 7, 0, [], False),
    ],
)
def test_the_oldest_versions_are_pruned_never_default_or_latest(
    numbers: range, default: int, kept: int, gone: list[str], any_old: bool
) -> None:
    aws = Aws(ListDocumentVersions=versions(numbers, default))

    assert aws.store().prune(kept) is any_old
    assert deleted(aws) == gone


def test_a_version_that_cannot_be_deleted_does_not_keep_the_others() -> None:
    listed = versions(range(1, 6), 5)
    aws = Aws(
        ListDocumentVersions=listed, DeleteDocument=in_turn(AwsError("Busy", "first"), {}, AwsError("Busy", "last"))
    )
    assert aws.store().prune(2) is True
    assert deleted(aws) == ["1", "2", "3"]
    refusals = in_turn(*[AwsError("Busy", text) for text in ("first", "second", "third")])
    aws = Aws(ListDocumentVersions=listed, DeleteDocument=refusals)
    with pytest.raises(AwsError, match="first"):
        aws.store().prune(2)
    # One that is gone already is deleted.
    for code in ("InvalidDocument", "InvalidDocumentVersion"):
        assert Aws(ListDocumentVersions=listed, DeleteDocument=AwsError(code, "gone")).store().prune(2) is True


def test_rolling_back_promotes_first_and_deletes_the_newest_first() -> None:
    aws = Aws()

    aws.store().roll_back("3", "5", "8")

    assert aws.asked == [
        ("UpdateDocumentDefaultVersion", {"Name": NAME, "DocumentVersion": "3"}),
        *(("DeleteDocument", {"Name": NAME, "DocumentVersion": version}) for version in ("8", "7", "6")),
    ]


def test_returning_to_a_text_takes_the_newest_version_that_has_it() -> None:
    def read(arguments: Mapping[str, object]) -> object:
        assert arguments["DocumentFormat"] == "YAML"
        held = {"5": "other", "3": "wanted", "2": "wanted", "1": "wanted"}
        version = str(arguments["DocumentVersion"])
        return {"Content": held[version]} if version in held else AwsError("InvalidDocumentVersion", "gone")

    aws = Aws(GetDocument=read)
    assert aws.store().return_to("wanted", "YAML", "5") is True
    assert aws.done.count("GetDocument") == 3
    assert ("UpdateDocumentDefaultVersion", {"Name": NAME, "DocumentVersion": "3"}) in aws.asked
    assert deleted(aws) == ["5", "4"]
    aws = Aws(GetDocument=read)
    assert aws.store().return_to("nowhere", "YAML", "5") is False
    assert aws.done == ["GetDocument"] * 5
    with pytest.raises(AwsError, match="denied"):
        Aws(GetDocument=AwsError("AccessDeniedException", "denied")).store().has("text", "1", "JSON")


def test_sharing_changes_only_what_differs_twenty_accounts_at_a_time() -> None:
    before, after = [f"{number:012}" for number in range(45)], ["999999999999", f"{0:012}"]
    aws = Aws()

    aws.store().share(before, after)

    parts = [
        (operation, {key: value for key, value in given.items() if key != "Name"}) for operation, given in aws.asked
    ]
    assert parts == [
        ("ModifyDocumentPermission", {"PermissionType": "Share", "AccountIdsToRemove": before[1:21]}),
        ("ModifyDocumentPermission", {"PermissionType": "Share", "AccountIdsToRemove": before[21:41]}),
        ("ModifyDocumentPermission", {"PermissionType": "Share", "AccountIdsToRemove": before[41:]}),
        ("ModifyDocumentPermission", {"PermissionType": "Share", "AccountIdsToAdd": ["999999999999"]}),
    ]
    aws.store().share(after, list(reversed(after)))
    assert len(aws.asked) == 4


def test_a_document_that_is_gone_is_deleted() -> None:
    for code in ("InvalidDocument", "InvalidDocumentVersion"):
        Aws(DeleteDocument=AwsError(code, "gone")).store().delete()
    with pytest.raises(AwsError, match="denied"):
        Aws(DeleteDocument=AwsError("AccessDeniedException", "denied")).store().delete()
    aws = Aws()
    aws.store().delete()
    assert aws.asked == [("DeleteDocument", {"Name": NAME})]


def test_results_list_two_hundred_changes() -> None:
    live = Live("1", "2", "", "", "JSON", [])
    many = [Change("default_version", str(number), None) for number in range(203)]

    found = result(Aws().store(), "updated", live, many)

    assert (found["document"], found["outcome"]) == (NAME, "updated")
    assert (found["default_version"], found["latest_version"]) == ("1", "2")
    assert len(found["changes"]) == 201
    assert found["changes"][0] == {"path": "default_version", "from": "0", "to": None}
    assert found["changes"][-1] == {"path": "(3 more)", "from": None, "to": None}
    assert len(result(Aws().store(), "updated", None, many[:200])["changes"]) == 200
    assert result(Aws().store(), "deleted", None, [])["default_version"] is None


# --- The record of the original document ------------------------------------------------------------------------------

ORIGINAL = "/session-manager/original-document"
APPLIED = "/session-manager/applied-preferences"
FIRST = Original(NAME, existed=True, content="{}", default_version="1", document_format="JSON", latest_version="2")


def test_the_record_is_read_written_once_and_forgotten() -> None:
    value = original_document.encode(FIRST)
    aws = Aws(GetParameter={"Parameter": {"Value": value}}, PutParameter=AwsError("ParameterAlreadyExists", "there"))

    assert original_document.read(aws) == FIRST
    original_document.record(aws, FIRST)
    original_document.forget(aws)

    written = {"Name": ORIGINAL, "Value": value, "Type": "String", "Tier": "Standard", "Overwrite": False}
    assert aws.asked == [
        ("GetParameter", {"Name": ORIGINAL}),
        ("PutParameter", written),
        ("DeleteParameter", {"Name": ORIGINAL}),
    ]
    gone = AwsError("ParameterNotFound", "gone")
    assert original_document.read(Aws(GetParameter=gone)) is None
    original_document.forget(Aws(DeleteParameter=gone))
    denied = AwsError("AccessDeniedException", "denied")
    for operation in (original_document.read, original_document.forget):
        with pytest.raises(AwsError, match="denied"):
            operation(Aws(GetParameter=denied, DeleteParameter=denied))


def noise(length: int) -> str:
    """A text that can be compressed to a half."""
    return "".join(map(sha256, map(str, range(length // 64 + 1))))[:length]


def test_a_large_document_is_compressed_and_takes_an_advanced_parameter() -> None:
    for length, tier in ((2000, "Standard"), (4500, "Advanced")):
        content = noise(length)
        aws = Aws()
        original_document.record(
            aws, Original(NAME, existed=True, content=content, document_format="YAML", as_json=content)
        )
        [(_, given)] = aws.asked
        assert given["Tier"] == tier
        assert original_document.decode(str(given["Value"])).as_json == content
    huge = Original(NAME, existed=True, content=noise(20_000), document_format="JSON")
    with pytest.raises(OriginalRecordError) as caught:
        original_document.encode(huge)
    told = str(caught.value)
    assert told.startswith(f"{NAME} takes 1")
    assert told.endswith(
        " bytes compressed and a parameter holds 8192, so it cannot be recorded and nothing was written. Keep a copy, "
        "shorten its shell profile, run it again."
    )


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"schema_version": 2}, "ValueError"),
        ({"content_encoding": "gzip"}, "ValueError"),
        ({"content": 1}, "ValueError"),
        ({"as_json": 1}, "ValueError"),
        ({"default_version": "0"}, "ValueError"),
        ({"latest_version": "x"}, "ValueError"),
        ({"latest_version": "12345678901"}, "ValueError"),
        ({"existed": "yes"}, "ValueError"),
        ({"content": ""}, "ValueError"),
        ({"document_format": "TEXT"}, "ValueError"),
        ({"shared_with": ["1"]}, "ValueError"),
        ({"other": 1}, "TypeError"),
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, object], kind: str) -> None:
    value = json.dumps({**json.loads(original_document.encode(FIRST)), **change})

    with pytest.raises(OriginalRecordError) as caught:
        original_document.decode(value)

    assert str(caught.value) == (
        f"{ORIGINAL} is not a record of a document ({kind}), so nothing can be restored from it. Correct it, or set "
        'on_destroy to "retain" and apply.'
    )


def test_records_of_sound_values_are_read() -> None:
    sound = {"default_version": "1234567890", "shared_with": ["all", "111122223333"], "document_format": "YAML"}
    value = json.dumps({**json.loads(original_document.encode(FIRST)), **sound})

    assert original_document.decode(value).shared_with == ["all", "111122223333"]
    assert original_document.decode(original_document.encode(Original(NAME, existed=None))).existed is None
    assert original_document.decode(original_document.encode(Original(NAME, existed=False))).existed is False


# --- The settings of the last apply -----------------------------------------------------------------------------------


def applied(revision: str = "1", before: AppliedSettings | None = None, **preferences: object) -> AppliedSettings:
    event = {"preferences": preferences, "revision": revision, "tf": {"action": "update", "prev_input": {}}}
    return AppliedSettings.of(parse_event(event), before)


def test_both_records_are_read_in_one_call() -> None:
    stored = applied(idleSessionTimeout=20)
    found = [
        {"Name": ORIGINAL, "Value": original_document.encode(FIRST)},
        {"Name": APPLIED, "Value": applied_settings.encode(stored)},
    ]
    aws = Aws(GetParameters={"Parameters": found})

    both = records.read(aws)

    assert (both.original(), both.applied(), both.applied_or_none()) == (FIRST, stored, stored)
    assert aws.asked == [("GetParameters", {"Names": [ORIGINAL, APPLIED]})]
    none = records.read(Aws(GetParameters={"Parameters": []}))
    assert (none.original(), none.applied(), none.applied_or_none()) == (None, None, None)
    damaged = records.Records(None, "x")
    assert damaged.applied_or_none() is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"schema_version": 2}, "ValueError"),
        ({"document": 1}, "ValueError"),
        ({"adopt": "keep"}, "ValueError"),
        ({"input": None}, "ValueError"),
        ({"event": 1}, "ValueError"),
        ({"waive": [1]}, "ValueError"),
        ({"superseded": [1]}, "ValueError"),
        ({"waive": 1}, "TypeError"),
        ({"preferences": {"shellProfile": {"mac": {}}}}, "ValueError"),
        ({"preferences": {"shellProfile": {"linux": {"sha256": "x", "parts": 1}}}}, "ValueError"),
        ({"preferences": {"shellProfile": {"linux": {"sha256": "a" * 64, "parts": 0}}}}, "ValueError"),
        ({"preferences": {"shellProfile": {"linux": {"sha256": "a" * 64, "parts": 33}}}}, "ValueError"),
        ({"preferences": {"shellProfile": {"linux": {"sha256": "a" * 64, "parts": True}}}}, "ValueError"),
        ({"preferences": {"shellProfile": {"linux": {"parts": 1}}}}, "KeyError"),
        ({"other": 1}, "TypeError"),
    ],
)
def test_damaged_settings_are_refused(change: dict[str, object], kind: str) -> None:
    value = json.dumps({**json.loads(applied_settings.encode(applied())), **change})

    with pytest.raises(AppliedSettingsError) as caught:
        applied_settings.decode(value)

    assert str(caught.value) == (
        f"{APPLIED} cannot be used: it is no record of settings ({kind}). Nothing was written. To store the "
        "settings again, apply with another revision (the rollout plans one)."
    )


def test_settings_with_as_many_parts_as_there_may_be_are_read() -> None:
    for parts in (1, 32):
        profile = {"shellProfile": {"windows": {"sha256": "a" * 64, "parts": parts}}}
        value = json.dumps({**json.loads(applied_settings.encode(applied())), "preferences": profile})
        assert applied_settings.decode(value).preferences == profile


def test_a_shell_profile_is_stored_in_parts_beside_the_settings_and_cleaned_up() -> None:
    text = noise(8_000)
    event = {"preferences": {"shellProfile": {"linux": text, "windows": None}}, "tf": {"action": "create"}}
    settings = AppliedSettings.of(parse_event(event), None)
    folder = f"{APPLIED}/{sha256(text)[:32]}"
    there = AwsError("ParameterAlreadyExists", "there")
    aws = Aws(PutParameter=lambda given: {} if given["Overwrite"] else there)

    applied_settings.store(aws, settings, parse_event(event))

    parts = [given for _, given in aws.asked[:-1]]
    assert [given["Name"] for given in parts] == [f"{folder}/1", f"{folder}/2"]
    assert next(len(str(given["Value"])) for given in parts) == 4096
    usual = {"Type": "String", "Tier": "Standard"}
    assert all({**usual, "Overwrite": False}.items() <= given.items() for given in parts)
    last = {"Name": APPLIED, "Value": applied_settings.encode(settings), **usual, "Overwrite": True}
    assert aws.asked[-1] == ("PutParameter", last)

    held = {str(given["Name"]): given["Value"] for given in parts}
    fetched = Aws(GetParameters={"Parameters": [{"Name": name, "Value": value} for name, value in held.items()]})
    assert settings.resolve(fetched, {}) == {"shellProfile": {"linux": text}}
    assert fetched.asked == [("GetParameters", {"Names": [*held]})]
    # The live text is taken where it is the same.
    assert settings.resolve(Aws(), {"inputs.shellProfile.linux": text}) == {"shellProfile": {"linux": text}}

    stale = [{"Name": f"{APPLIED}/old/1"}, *({"Name": name} for name in held)]
    aws = Aws(GetParametersByPath={"Parameters": stale}, DeleteParameter=AwsError("ParameterNotFound", "gone"))
    applied_settings.clean(aws, settings)
    assert aws.asked == [
        ("GetParametersByPath", {"Path": APPLIED, "Recursive": True}),
        ("DeleteParameter", {"Name": f"{APPLIED}/old/1"}),
    ]
    applied_settings.forget(aws)
    assert aws.asked[-1] == ("DeleteParameter", {"Name": APPLIED})


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ([], "a shell profile of it is missing or damaged (KeyError)"),
        (["~"], "a shell profile of it is missing or damaged (ValueError)"),
        (["87cURD]i"], "a shell profile of it is missing or damaged (error)"),
    ],
)
def test_a_shell_profile_that_is_damaged_is_refused(held: list[str], reason: str) -> None:
    settings = applied(shellProfile={"linux": "cd /tmp", "windows": ""})
    name = applied_settings._parts(settings.preferences["shellProfile"]["linux"])[0]
    aws = Aws(GetParameters={"Parameters": [{"Name": name, "Value": value} for value in held]})

    with pytest.raises(AppliedSettingsError) as caught:
        settings.resolve(aws, {"inputs.shellProfile.windows": ""})

    assert str(caught.value).startswith(f"{APPLIED} cannot be used: {reason}. Nothing was written.")


def test_a_shell_profile_that_was_changed_is_refused() -> None:
    settings = applied(shellProfile={"linux": "cd /tmp"})
    reference = settings.preferences["shellProfile"]["linux"]
    [other] = applied_settings._split("rm -rf /")
    aws = Aws(GetParameters={"Parameters": [{"Name": applied_settings._parts(reference)[0], "Value": other}]})

    with pytest.raises(AppliedSettingsError, match=r": a shell profile of it was changed\. Nothing"):
        settings.resolve(aws, {})


def test_superseded_events_are_remembered_and_their_copies_refused() -> None:
    settings = [applied("0")]
    for number in range(1, 41):
        settings.append(applied(str(number), settings[-1]))
    last = settings[-1]

    assert last.superseded == tuple(item.event for item in settings[10:40])
    assert applied("40", last).superseded == last.superseded
    late = parse_event({"preferences": {}, "revision": "39", "tf": {"action": "update", "prev_input": {}}})
    with pytest.raises(LateEventError) as caught:
        last.refuse_late(late)
    assert str(caught.value) == (
        f"This event was applied to {NAME} before, and a later apply has superseded it. If these preferences are "
        "wanted again, apply with another revision (the rollout plans one)."
    )
    last.refuse_late(parse_event({"preferences": {}, "revision": "40", "tf": {"action": "update", "prev_input": {}}}))
    last.refuse_late(parse_event({"preferences": {}, "revision": "0", "tf": {"action": "update", "prev_input": {}}}))
    continues = {"preferences": {}, "revision": "40"}
    last.refuse_late(
        parse_event({"preferences": {}, "revision": "39", "tf": {"action": "update", "prev_input": continues}})
    )


def test_a_region_has_one_managed_document() -> None:
    with pytest.raises(OriginalRecordError) as caught:
        applied().refuse_other("Other")
    assert str(caught.value) == (
        f"{APPLIED} is about {NAME}, and a region has one managed document. Destroy those preferences before Other is "
        "managed."
    )
    applied().refuse_other(NAME)
    request = parse_event({"document": "Other", "preferences": {}, "tf": {"action": "create"}})
    with pytest.raises(OriginalRecordError) as caught:
        check_owner(request, None, FIRST, [])
    assert str(caught.value) == (
        f"{ORIGINAL} records {NAME}, and a region has one managed document. Destroy those preferences before Other is "
        "managed."
    )


@pytest.mark.parametrize(("count", "more"), [(1, ""), (50, ""), (52, "; and 2 more")])
def test_a_document_of_others_is_not_touched_with_fail(count: int, more: str) -> None:
    request = parse_event({"preferences": {}, "adopt": "fail", "tf": {"action": "create"}})
    changes = [Change("default_version", str(number), "9") for number in range(count)]
    live = Live("1", "1", "{}", "{}", "JSON", [])

    for first in (None, FIRST):
        with pytest.raises(AdoptionRefusedError) as caught:
            check_owner(request, live, first, changes)
        listed = "; ".join(map(str, changes[:50]))
        assert str(caught.value) == (
            f"{NAME} exists, differs from what is wanted, and adopt is fail, so nothing was touched. It differs in: "
            f"{listed}{more}. Find out who owns it; then set adopt to replace, or to merge, which keeps what is not "
            "managed here."
        )
    check_owner(request, None, None, changes)
    check_owner(request, Live("1", "1", "other", "other", "JSON", []), FIRST, changes)


def test_what_is_recorded_is_the_document_in_its_own_format_and_as_json() -> None:
    aws = Aws(GetDocument=texts)
    live = Live("2", "3", "{}", "{}", "YAML", ["111122223333"])

    assert present(aws.store(), None) == Original(NAME, existed=False)
    assert present(aws.store(), live) == Original(
        NAME,
        existed=True,
        content="2 as YAML",
        default_version="2",
        document_format="YAML",
        as_json="{}",
        latest_version="3",
        shared_with=["111122223333"],
    )
    assert aws.asked == [("GetDocument", {"Name": NAME, "DocumentVersion": "2", "DocumentFormat": "YAML"})]
    assert present(Aws().store(), Live("2", "3", "{}", "{}", "JSON", [])) == Original(
        NAME, existed=True, content="{}", default_version="2", document_format="JSON", latest_version="3"
    )


def test_errors_say_where_and_are_cut() -> None:
    error = PreferencesError("x" * 8000)
    assert str(error) == "x" * 8000
    error = PreferencesError("x" * 8001)
    error.place = "account 1 eu-west-1"
    assert str(error) == f"account 1 eu-west-1: {'x' * 8000}… (8001 characters)"
    with pytest.raises(AwsError), tolerated("A", "B"):
        raise AwsError("C", "other")


def test_the_end_of_one_document_keeps_the_settings_of_another() -> None:
    stored = {"Name": APPLIED, "Value": applied_settings.encode(applied())}
    gone = AwsError("InvalidDocument", "gone")
    for name, deleted_parameters in (("Other", []), (NAME, [{"Name": APPLIED}])):
        aws = Aws(GetParameters={"Parameters": [stored]}, DescribeDocument=gone)
        request = parse_event({"document": name, "on_destroy": "retain", "tf": {"action": "delete"}})

        found = leave(request, Store(aws, Budget(300, sleep=aws.waited.append), name), aws)

        assert found["outcome"] == "retained"
        assert [given for operation, given in aws.asked if operation == "DeleteParameter"] == deleted_parameters


def test_stored_settings_are_written_in_any_script_as_it_is() -> None:
    assert "größe" in applied_settings.encode(applied(s3KeyPrefix="größe"))
