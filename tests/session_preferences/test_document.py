"""The pure core: what a document means, what is valid, what differs."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from session_preferences import document as core
from session_preferences.document import Document, build, check, diff, parse, problems, render
from session_preferences.errors import InvalidPreferencesError, UnreadableDocumentError

KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
LOGGED = Document(cloud_watch_log_group_name="logs")


@st.composite
def valid_documents(draw: st.DrawFn) -> Document:
    idle = draw(st.integers(1, 60))
    return Document(
        s3_bucket_name=draw(st.sampled_from(["", "central-session-logs"])),
        s3_key_prefix=draw(st.sampled_from(["", "sessionmanager/111122223333/eu-west-1"])),
        s3_encryption_enabled=draw(st.booleans()),
        cloud_watch_log_group_name=draw(st.from_regex(r"/?[.\-_#B-Zb-z0-9]{1,20}", fullmatch=True)),
        cloud_watch_encryption_enabled=draw(st.booleans()),
        cloud_watch_streaming_enabled=draw(st.booleans()),
        kms_key_id=draw(st.sampled_from(["", KEY, "alias/session-manager/data"])),
        run_as_enabled=draw(st.booleans()),
        run_as_default_user=draw(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}(\$|@[a-z0-9]{1,9})?", fullmatch=True).filter("root".__ne__)
        ),
        idle_session_timeout=str(idle),
        max_session_duration=draw(st.one_of(st.just(""), st.integers(idle + 1, 1440).map(str))),
        shell_profile_windows=draw(st.text(max_size=50)),
        shell_profile_linux=draw(st.text(max_size=50)),
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
input_names = st.sampled_from([item.metadata["path"].split(".")[1] for item in fields(Document)])


@given(valid_documents())
def test_rendering_and_parsing_a_valid_document_is_the_identity(document: Document) -> None:
    assert problems(document) == []
    text = render(document)
    assert parse(text) == document.values()
    assert build(json.loads(text)["inputs"]) == document
    assert render(build(json.loads(text)["inputs"])) == text


@given(valid_documents(), valid_documents())
def test_a_difference_is_empty_exactly_when_the_documents_are_equal(one: Document, other: Document) -> None:
    assert (diff(parse(render(one)), other.values()) == []) == (one == other)
    assert (render(one) == render(other)) == (one == other)


@given(st.dictionaries(input_names | st.text(max_size=8), json_values, max_size=6), st.booleans())
def test_whatever_is_asked_for_is_refused_or_fit_to_be_written(preferences: dict[str, Any], by_merging: bool) -> None:
    try:
        wanted = build(preferences, LOGGED.values() if by_merging else None)
        check(wanted)
    except InvalidPreferencesError:
        return
    assert problems(wanted) == []
    assert parse(render(wanted)) == wanted.values()


@given(st.dictionaries(st.text(max_size=12), json_values, max_size=4), st.dictionaries(input_names, json_values))
def test_any_object_can_be_compared_and_what_is_not_normal_differs(top: dict[str, Any], inputs: dict[str, Any]) -> None:
    values = parse(json.dumps({**top, "inputs": inputs}))
    assume(values != LOGGED.values())
    changes = diff(values, LOGGED.values())
    assert changes
    after = {**values, **{change.path: change.after for change in changes}}
    assert diff({path: value for path, value in after.items() if value is not None}, LOGGED.values()) == []


def live(**inputs: object) -> dict[str, object]:
    inputs = {"cloudWatchLogGroupName": "logs", "idleSessionTimeout": "20", **inputs}
    return parse(json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}))


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"s3BucketName": None, "kmsKeyId": "", "maxSessionDuration": None, "shellProfile": None},
        {"idleSessionTimeout": "020"},
        {"shellProfile": {"linux": ""}},
    ],
)
def test_ways_to_write_the_same_thing_do_not_differ(inputs: dict[str, object]) -> None:
    assert diff(live(**inputs), LOGGED.values()) == []


@pytest.mark.parametrize(
    ("inputs", "path", "before", "after"),
    [
        ({"idleSessionTimeout": "45"}, "inputs.idleSessionTimeout", "45", "20"),
        ({"idleSessionTimeout": "soon"}, "inputs.idleSessionTimeout", "soon", "20"),
        ({"idleSessionTimeout": "9" * 5000}, "inputs.idleSessionTimeout", "9" * 5000, "20"),
        ({"idleSessionTimeout": "²"}, "inputs.idleSessionTimeout", "²", "20"),
        ({"maxSessionDuration": True}, "inputs.maxSessionDuration", True, ""),
        ({"cloudWatchStreamingEnabled": "false"}, "inputs.cloudWatchStreamingEnabled", "false", False),
        ({"idleSessionTimeout": 20}, "inputs.idleSessionTimeout", 20, "20"),
        ({"maxSessionDuration": 0}, "inputs.maxSessionDuration", 0, ""),
        # The agent reads these; by bridgecrewio/terraform-aws-session-manager#26 AWS's console does not.
        ({"idleSessionTimeout": ""}, "inputs.idleSessionTimeout", "", "20"),
        ({"idleSessionTimeout": None}, "inputs.idleSessionTimeout", None, "20"),
        ({"runAsEnabled": "false"}, "inputs.runAsEnabled", "false", False),
        ({"s3EncryptionEnabled": "0"}, "inputs.s3EncryptionEnabled", "0", False),
        ({"cloudWatchEncryptionEnabled": "f"}, "inputs.cloudWatchEncryptionEnabled", "f", False),
        ({"runAsEnabled": "fAlSe"}, "inputs.runAsEnabled", "fAlSe", False),
        ({"runAsEnabled": "no"}, "inputs.runAsEnabled", "no", False),
        ({"runAsEnabled": ""}, "inputs.runAsEnabled", "", False),
        ({"s3EncryptionEnabled": 0}, "inputs.s3EncryptionEnabled", 0, False),
        ({"shellProfile": {"linux": "exec bash"}}, "inputs.shellProfile.linux", "exec bash", ""),
        ({"shellProfile": "exec bash"}, "inputs.shellProfile", "exec bash", None),
        ({"shellProfile": {"mac": ""}}, "inputs.shellProfile.mac", "", None),
        ({"colour": "green"}, "inputs.colour", "green", None),
    ],
)
def test_one_changed_input_is_one_change(inputs: dict[str, object], path: str, before: object, after: object) -> None:
    (change,) = diff(live(**inputs), LOGGED.values())
    assert (change.path, change.before, change.after) == (path, before, after)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"parameters": {"s3BucketName": {"type": "String"}}}, "parameters"),
        ({"properties": {"linux": {}}}, "properties"),
        ({"schemaVersion": "2.2"}, "schemaVersion"),
        ({"sessionType": "Port"}, "sessionType"),
        ({"extra": 1}, "extra"),
        ({"schemaVersion": 1}, "schemaVersion"),
        ({"schemaVersion": 1.0}, "schemaVersion"),
    ],
)
def test_what_lies_outside_the_inputs_differs_too(content: dict[str, object], path: str) -> None:
    text = json.dumps({**json.loads(render(LOGGED)), **content})
    assert [change.path for change in diff(parse(text), LOGGED.values())] == [path]


@pytest.mark.parametrize(
    ("repeated", "path"),
    [
        (("{", '{"parameters": {"x": {"type": "String"}}, "parameters": {}, '), "(repeated keys)"),
        (('"inputs":', '"inputs": {}, "inputs":'), "(repeated keys)"),
        (('"kmsKeyId":', '"kmsKeyId": "alias/other", "kmsKeyId":'), "inputs.(repeated keys)"),
        (('"linux":', '"linux": "exec bash", "linux":'), "inputs.shellProfile.(repeated keys)"),
    ],
)
def test_repeated_keys_differ_as_readers_disagree_on_which_one_counts(repeated: tuple[str, str], path: str) -> None:
    text = render(LOGGED).replace(*repeated, 1)
    assert [change.path for change in diff(parse(text), LOGGED.values())] == [path]


def test_the_description_and_empty_parameters_mean_nothing() -> None:
    content = {**json.loads(render(LOGGED)), "description": "mine", "parameters": {}}
    assert diff(parse(json.dumps(content)), LOGGED.values()) == []


def test_a_key_with_a_dot_cannot_hide_a_difference() -> None:
    content = {**json.loads(render(replace(LOGGED, kms_key_id=KEY))), "inputs.kmsKeyId": ""}
    assert {change.path for change in diff(parse(json.dumps(content)), LOGGED.values())} == {
        "inputs.kmsKeyId",
        '"inputs.kmsKeyId"',
    }


@pytest.mark.parametrize("text", ["", "schemaVersion: '1.0'", "[]", "null", '"text"', "[" * 60_000])
def test_a_text_that_is_no_json_object_is_said_to_be_unreadable(text: str) -> None:
    with pytest.raises(UnreadableDocumentError, match="aws ssm get-document"):
        parse(text)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000, "NaN", "-Infinity", "1.5", "12345678901234567890"])
def test_whatever_number_is_in_a_document_the_difference_is_json(number: str) -> None:
    values = parse(f'{{"inputs": {{"idleSessionTimeout": {number}, "runAsEnabled": {number}, "x": {number}}}}}')
    changes = {change.path: change.before for change in diff(values, Document().values())}
    assert {"inputs.x", "inputs.runAsEnabled"} <= changes.keys()
    assert json.loads(json.dumps(changes, allow_nan=False)) == changes


def test_the_canonical_text() -> None:
    assert json.loads(render(replace(LOGGED, max_session_duration="60", shell_profile_linux="é"))) == {
        "schemaVersion": "1.0",
        "description": "Document to hold regional settings for Session Manager",
        "sessionType": "Standard_Stream",
        "inputs": {
            "s3BucketName": "",
            "s3KeyPrefix": "",
            "s3EncryptionEnabled": False,
            "cloudWatchLogGroupName": "logs",
            "cloudWatchEncryptionEnabled": False,
            "cloudWatchStreamingEnabled": False,
            "kmsKeyId": "",
            "runAsEnabled": False,
            "runAsDefaultUser": "",
            "idleSessionTimeout": "20",
            "maxSessionDuration": "60",
            "shellProfile": {"windows": "", "linux": "é"},
        },
    }
    assert render(LOGGED).isascii()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"idle_session_timeout": "0"}, "idleSessionTimeout '0' must be from 1 to 60"),
        ({"idle_session_timeout": "61"}, "idleSessionTimeout '61' must be from 1 to 60"),
        ({"idle_session_timeout": "020"}, "idleSessionTimeout '020'"),
        ({"max_session_duration": "1441"}, "maxSessionDuration '1441' must be from 1 to 1440"),
        ({"max_session_duration": "20"}, "must be greater than idleSessionTimeout"),
        ({"s3_bucket_name": "my.bucket"}, "without dots"),
        ({"s3_bucket_name": "arn:aws:s3:::logs"}, "without dots"),
        ({"s3_key_prefix": "/logs"}, "neither begins with '/'"),
        ({"s3_key_prefix": "a/../b"}, "nor has '..'"),
        ({"s3_key_prefix": "."}, "nor parts that are empty or '.'"),
        ({"s3_key_prefix": "logs/./x"}, "nor parts that are empty or '.'"),
        ({"s3_key_prefix": "logs/."}, "nor parts that are empty or '.'"),
        ({"s3_key_prefix": "a//b"}, "nor parts that are empty or '.'"),
        ({"s3_key_prefix": "a/"}, "nor parts that are empty or '.'"),
        ({"s3_key_prefix": "a/" + "é" * 450}, "at most 900 bytes"),
        ({"s3_key_prefix": "{{ssm:prefix}}"}, "nor has '..' or '{{'"),
        ({"s3_key_prefix": "a\nb"}, "must be a text"),
        ({"cloud_watch_log_group_name": "two words"}, "a name that CloudWatch Logs accepts"),
        ({"cloud_watch_log_group_name": "{{logGroup}}"}, "a name that CloudWatch Logs accepts"),
        ({"cloud_watch_log_group_name": "aws/ssm/x"}, "a name that CloudWatch Logs accepts"),
        ({"cloud_watch_log_group_name": "AwS/sessions"}, "a name that CloudWatch Logs accepts"),
        ({"idle_session_timeout": ""}, "idleSessionTimeout '' must be from 1 to 60"),
        ({"run_as_default_user": "ops\n"}, "other than root"),
        ({"kms_key_id": "session key"}, "kmsKeyId 'session key' must be a key ARN"),
        ({"kms_key_id": "key/11111111-2222-3333-4444-555555555555"}, "must be a key ARN"),
        ({"run_as_default_user": "root"}, "other than root"),
        *(
            ({"run_as_enabled": enabled, "run_as_default_user": user}, "other than root")
            for enabled in (False, True)
            for user in ("x; reboot", "$(id)", "a$b", "$@", "-u", "0", "CORP\\ops", "a@", "@b", "a@b@c", "a@b c", "é")
        ),
        ({"run_as_enabled": True}, "needs runAsDefaultUser"),
        ({"cloud_watch_log_group_name": ""}, "No logs"),
        ({"shell_profile_linux": "x" * 60_001}, "shellProfile must have at most 60000 bytes"),
        ({"shell_profile_linux": "é" * 15_000, "shell_profile_windows": "\ud800" * 10_001}, "at most 60000 bytes"),
        ({"shell_profile_linux": "\n" * 60_000}, "larger than 64 KB"),
        ({"shell_profile_linux": "ls\n" + "x" * 4_096}, "lines of at most 4095 bytes"),
        ({"shell_profile_linux": "é" * 2_048}, "lines of at most 4095 bytes"),
        ({"shell_profile_linux": "{{ssm:/shared/motd}}"}, "must not have references such as {{ssm:name}}"),
        ({"shell_profile_windows": "echo {{ ssm-secure:name }}"}, "must not have references"),
    ],
)
def test_what_must_not_be_written_is_refused_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    found = problems(replace(LOGGED, **changes))
    assert len(found) == 1
    assert said in found[0]
    with pytest.raises(InvalidPreferencesError, match="nothing was written"):
        check(replace(LOGGED, **changes))


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.replace("aws:", "aws-us-gov:", 1),
        "arn:aws:kms:eu-west-1:111122223333:alias/session-manager/data",
        "alias/session-manager/data",
        "11111111-2222-3333-4444-555555555555",
        "mrk-0123456789abcdef0123456789abcdef",
    ],
)
def test_a_key_may_be_named_in_every_way_that_kms_accepts(key: str) -> None:
    assert problems(replace(LOGGED, kms_key_id=key)) == []


@pytest.mark.parametrize(
    "user", ["DevRoleLogin", "MyDefaultRunAsUser", "ops@corp.example.com", "svc_app$", "a.b@ad", "_x"]
)
def test_a_session_may_run_as_every_user_that_aws_documents(user: str) -> None:
    """Systems Manager User Guide, "Turn on Run As support"; CloudFormation reference of AWS::SSM::Document."""
    assert problems(replace(LOGGED, run_as_enabled=True, run_as_default_user=user)) == []


def test_a_log_group_may_begin_with_a_slash_and_aws() -> None:
    assert problems(replace(LOGGED, cloud_watch_log_group_name="/aws/ssm/x")) == []
    assert problems(replace(LOGGED, cloud_watch_log_group_name="awslogs/x")) == []


def test_merging_drops_a_user_that_no_session_runs_as_and_refuses_one_that_sessions_would_run_as() -> None:
    assert build({}, live(runAsEnabled=False, runAsDefaultUser="CORP\\ops")).run_as_default_user == ""
    assert build({}, live(runAsEnabled=False, runAsDefaultUser="ops")).run_as_default_user == "ops"
    assert build({}, live(runAsEnabled="true", runAsDefaultUser="CORP\\ops")).run_as_default_user == "CORP\\ops"
    assert build({"runAsDefaultUser": "a;b"}, live()).run_as_default_user == "a;b"  # `problems` refuses these


def test_a_waiver_lifts_exactly_its_own_rule() -> None:
    unlogged = Document(run_as_enabled=True)
    assert len(problems(unlogged)) == 2
    assert problems(unlogged, {core.NO_LOG_DESTINATION}) == problems(replace(LOGGED, run_as_enabled=True))
    assert problems(unlogged, {core.NO_LOG_DESTINATION, core.RUN_AS_BY_TAG}) == []


@pytest.mark.parametrize(
    ("preferences", "said"),
    [
        ({"idleTimeout": 20}, "inputs.idleTimeout is not a preference"),
        ({"idleSessionTimeout": "soon"}, "inputs.idleSessionTimeout must be a whole number of minutes"),
        ({"idleSessionTimeout": 20.5}, "inputs.idleSessionTimeout must be a whole number of minutes"),
        ({"idleSessionTimeout": True}, "inputs.idleSessionTimeout must be a whole number of minutes"),
        ({"idleSessionTimeout": -5}, "inputs.idleSessionTimeout must be a whole number of minutes"),
        ({"cloudWatchStreamingEnabled": "true"}, "inputs.cloudWatchStreamingEnabled must be true or false"),
        ({"runAsEnabled": "true"}, "inputs.runAsEnabled must be true or false"),
        ({"runAsEnabled": 1}, "inputs.runAsEnabled must be true or false"),
        ({"s3BucketName": 5}, "inputs.s3BucketName must be a text"),
        ({"shellProfile": "exec bash"}, "shellProfile takes an object"),
        ({"shellProfile": {"mac": "exec zsh"}}, r"inputs.shellProfile.\(other\) is not a preference"),
    ],
)
def test_preferences_of_the_wrong_name_or_type_are_refused(preferences: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidPreferencesError, match=said):
        build(preferences)


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(InvalidPreferencesError) as refusal:
        build({"idleTimeout": 20, "runAsEnabled": "yes", "s3BucketName": 5})
    assert all(path in str(refusal.value) for path in ("idleTimeout", "runAsEnabled", "s3BucketName"))


def test_numbers_and_numeric_texts_become_texts() -> None:
    wanted = build({"idleSessionTimeout": 15, "maxSessionDuration": "90"})
    assert (wanted.idle_session_timeout, wanted.max_session_duration) == ("15", "90")


def test_merging_keeps_what_is_not_managed_and_drops_what_no_document_may_have() -> None:
    kept = live(idleSessionTimeout="45", runAsEnabled="true", shellProfile={"linux": "a", "windows": "b"}, colour="red")
    wanted = build({"idleSessionTimeout": 10, "runAsDefaultUser": None, "shellProfile": {"linux": "c"}}, kept)
    assert wanted == Document(
        cloud_watch_log_group_name="logs",
        idle_session_timeout="10",
        run_as_enabled=True,
        shell_profile_linux="c",
        shell_profile_windows="b",
    )


def test_merging_refuses_to_guess_what_an_unreadable_live_value_means() -> None:
    with pytest.raises(InvalidPreferencesError, match="of the live document cannot be kept, so set it"):
        build({}, live(cloudWatchStreamingEnabled="true"))
    assert build({"cloudWatchStreamingEnabled": True}, live(cloudWatchStreamingEnabled="true"))


def test_a_change_never_shows_what_may_be_a_secret() -> None:
    secret = diff(live(shellProfile={"linux": "TOKEN=hunter2"}, custom="hunter2"), LOGGED.values())
    assert [str(change) for change in secret] == ["inputs.shellProfile.linux", "inputs.custom"]
    assert "hunter2" not in json.dumps([change.as_dict() for change in secret])
    named = diff(live(shellProfile={"export TOKEN=hunter2": ""}, **{"TOKEN=hunter2": 1}), LOGGED.values())
    assert [str(change) for change in named] == ["inputs.(other)", "inputs.shellProfile.(other)"]
    (shown,) = diff(live(idleSessionTimeout="45"), LOGGED.values())
    assert str(shown) == 'inputs.idleSessionTimeout ("45" to "20")'
