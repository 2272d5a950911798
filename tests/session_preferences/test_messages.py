"""What people read, word for word: refusals of events, problems of destinations, reports."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from session_preferences.aws import Budget
from session_preferences.document import (
    _HIDDEN as HIDDEN,
    _LONGEST_VALUE as LONGEST_VALUE,
    _MOST_ACCOUNTS as MOST_ACCOUNTS,
    PREFLIGHT_PERMISSIONS,
    Change,
    Document,
    build,
    check,
    parse,
)
from session_preferences.errors import (
    AwsError,
    InvalidEventError,
    InvalidPreferencesError,
    NotificationError,
    OutOfTimeError,
    PreflightError,
    UnreadableDocumentError,
)
from session_preferences.preflight import find_problems, preflight
from session_preferences.redaction import Secrets
from session_preferences.report import notify, summary
from session_preferences.request import parse_event
from tests.session_preferences.answers import given

NAMED = "must be 3 to 128 letters, digits or _.-, not beginning with aws, amazon or amzn."
KEYS = (
    "['action', 'adopt', 'cause', 'destinations', 'document', 'function_digest', 'notify_topic_arn', 'on_destroy', "
    "'preferences', 'revision', 'tf', 'waive']"
)
CAUSE = "cause must have texts for ['event_id', 'event_name', 'principal', 'time'] only."
WAIVERS = "['no_log_destination', 'preflight_permissions', 'run_as_by_tag']"
TERRAFORM = {"tf": {"action": "create"}}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (None, "The event must be an object."),
        ({"b": 1, "a": 2}, f"The event has unknown keys: ['a', 'b']. Known: {KEYS}."),
        ({"document": "no"}, f"document 'no' {NAMED}"),
        ({"document": "Amazon-X"}, f"document 'Amazon-X' {NAMED}"),
        ({"document": "a" * 300}, f"document '{'a' * 199}… {NAMED}"),
        ({"document": 1}, f"document 1 {NAMED}"),
        ({"cause": []}, "The event needs either tf (from Terraform) or action."),
        ({"cause": [1]}, "cause must be an object."),
        ({"cause": {"other": "x"}}, CAUSE),
        ({"cause": {"time": 1}}, CAUSE),
        ({"notify_topic_arn": "arn:aws:sqs:x"}, "notify_topic_arn 'arn:aws:sqs:x' must be the ARN of an SNS topic."),
        ({"destinations": "yes"}, "destinations must be true or false."),
        ({"tf": 1}, "tf must be an object."),
        ({"tf": {"prev_input": 1}}, "tf.prev_input must be an object."),
        ({"waive": "x"}, f"waive must be a list of {WAIVERS}, not 'x'."),
        ({"waive": ["x"]}, f"waive must be a list of {WAIVERS}, not ['x']."),
        ({"waive": [1]}, f"waive must be a list of {WAIVERS}, not [1]."),
        ({}, "The event needs either tf (from Terraform) or action."),
        ({**TERRAFORM, "action": "diff"}, "The event needs either tf (from Terraform) or action."),
        ({"action": "apply"}, "action is 'apply'; it must be one of ('reconcile', 'diff')."),
        ({"tf": {}}, "tf needs an action."),
        ({"tf": {"action": "diff"}}, "action is 'diff'; it must be one of ('create', 'update', 'delete')."),
        (
            {"document": "Other", "tf": {"action": "update", "prev_input": {"document": "First"}}},
            "'First' cannot be renamed to Other: destroy the preferences, which restores it, then create.",
        ),
        (
            {"document": "Other", "tf": {"action": "update", "prev_input": {}}},
            (
                "'SSM-SessionManagerRunShell' cannot be renamed to Other: destroy the preferences, which restores it, "
                "then create."
            ),
        ),
        ({**TERRAFORM, "preferences": []}, "preferences must be an object."),
        (
            {"tf": {"action": "create", "prev_input": {"preferences": [1]}}},
            "tf.prev_input.preferences must be an object.",
        ),
        ({**TERRAFORM, "adopt": "x"}, "adopt is 'x'; it must be one of ('replace', 'merge', 'fail')."),
        ({**TERRAFORM, "on_destroy": 1}, "on_destroy is 1; it must be one of ('restore', 'retain', 'reset')."),
    ],
)
def test_an_event_that_is_not_understood_is_refused_in_these_words(event: object, text: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(event)

    assert str(caught.value) == text


def test_what_an_event_leaves_out_has_defaults() -> None:
    request = parse_event({"tf": {"action": "create", "prev_input": None}, "cause": None, "waive": None})

    assert (request.action, request.document) == ("create", "SSM-SessionManagerRunShell")
    assert (request.adopt, request.on_destroy, request.notify_topic_arn) == ("replace", "restore", "")
    assert (request.preferences, request.previous, request.cause) == ({}, {}, {})
    assert (request.waive, request.destinations) == (frozenset(), False)


def test_digests_identify_the_event_its_input_and_the_one_before() -> None:
    one = {"preferences": {"a": 1, "b": 2}, "revision": "1"}
    first = parse_event({**one, "tf": {"action": "create"}})
    second = parse_event(
        {"revision": "1", "preferences": {"b": 2, "a": 1}, "tf": {"action": "update", "prev_input": one}}
    )
    other = parse_event({**one, "revision": "2", "tf": {"action": "update", "prev_input": one}})

    assert first.input_digest == second.input_digest == second.previous_digest == other.previous_digest
    assert (
        len({first.event_digest, second.event_digest, other.event_digest, other.input_digest, first.input_digest}) == 5
    )
    assert first.previous_digest == parse_event({"tf": {"action": "create", "prev_input": {}}}).previous_digest
    assert [len(digest) for digest in (first.event_digest, first.input_digest, first.previous_digest)] == [16] * 3


GROUP, BUCKET = "sessions", "session-logs"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/a"
ENCRYPTED = {
    "ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
}
FINE: dict[str, Any] = {"KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "KeyManager": "CUSTOMER"}
ALL = {"cloud_watch_log_group_name": GROUP, "cloud_watch_encryption_enabled": True, "s3_bucket_name": BUCKET}
DOCUMENT = Document(**ALL, s3_encryption_enabled=True, kms_key_id=KEY)  # type: ignore[arg-type]


def answers(**others: object) -> Callable[..., dict[str, Any]]:
    """A `Call` where all is well but for what is given: an answer, or an error to raise."""
    usual: dict[str, object] = {
        "DescribeLogGroups": {"logGroups": [{"logGroupName": f"{GROUP}-2"}, {"logGroupName": GROUP, "kmsKeyId": "k"}]},
        "GetBucketEncryption": ENCRYPTED,
        "DescribeKey": {"KeyMetadata": FINE},
    }

    def call(service: str, operation: str, **arguments: object) -> dict[str, Any]:
        asked = {
            "DescribeLogGroups": ("logs", {"logGroupNamePrefix": GROUP}),
            "GetBucketEncryption": ("s3", {"Bucket": BUCKET}),
            "DescribeKey": ("kms", {"KeyId": arguments.get("KeyId")}),
        }
        assert asked[operation] == (service, arguments)
        return given({**usual, **others}[operation], arguments)

    return call


def key_of_group(state: object) -> Callable[[dict[str, object]], object]:
    """The key of the log group has this state, or error; the session key is fine."""
    return lambda arguments: {"KeyMetadata": FINE} if arguments["KeyId"] == KEY else state


def session_key(**changes: object) -> Callable[[dict[str, object]], object]:
    return lambda arguments: {"KeyMetadata": {**FINE, **(changes if arguments["KeyId"] == KEY else {})}}


def denied(code: str = "AccessDeniedException") -> AwsError:
    return AwsError(code, "no.")


def encrypted(algorithm: str | None) -> dict[str, Any]:
    applied = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}} if algorithm else {}
    return {"ServerSideEncryptionConfiguration": {"Rules": [applied, ENCRYPTED]}}


OUT = "would lock everybody out"
LOG_KEY = (
    "cloudWatchLogGroupName would lose logs: the key k of sessions {}. Enable it, or associate another key with the "
    "group."
)
OFF = (
    f"s3EncryptionEnabled {OUT}: the default encryption of session-logs is {{}}, and the agent accepts aws:kms and "
    "AES256. Change it, or turn the flag off."
)
UNCHECKED = (
    "{} could not be checked: {} is denied. no. Its policy may have to allow it, too, or its alias is missing; or "
    "waive preflight_permissions."
)


@pytest.mark.parametrize(
    ("given", "path", "text"),
    [
        (
            {"DescribeLogGroups": {"logGroups": [{"logGroupName": f"{GROUP}-2"}]}},
            "cloudWatchLogGroupName",
            (
                "cloudWatchLogGroupName would refuse sessions or lose their logs: sessions does not exist in "
                "eu-west-1. Create it, or correct the name."
            ),
        ),
        (
            {
                "DescribeLogGroups": {
                    "logGroups": [{"logGroupName": GROUP, "kmsKeyId": "k", "logGroupClass": "DELIVERY"}]
                }
            },
            "cloudWatchLogGroupName",
            (
                "cloudWatchLogGroupName would lose logs: sessions is of class DELIVERY. Use one of class STANDARD or "
                "INFREQUENT_ACCESS."
            ),
        ),
        (
            {"DescribeLogGroups": {"logGroups": [{"logGroupName": GROUP}]}},
            "cloudWatchLogGroupName",
            f"cloudWatchEncryptionEnabled {OUT}: sessions has no KMS key. Associate one, or turn the flag off.",
        ),
        (
            {"DescribeKey": key_of_group(denied("NotFoundException"))},
            "cloudWatchLogGroupName",
            LOG_KEY.format("does not exist"),
        ),
        (
            {"DescribeKey": key_of_group({"KeyMetadata": {"KeyState": "PendingDeletion"}})},
            "cloudWatchLogGroupName",
            LOG_KEY.format("is PendingDeletion"),
        ),
        (
            {"GetBucketEncryption": denied("NoSuchBucket")},
            "s3BucketName",
            "s3BucketName would lose logs: session-logs does not exist. Create it, or correct the name.",
        ),
        (
            {"GetBucketEncryption": denied("ServerSideEncryptionConfigurationNotFoundError")},
            "s3BucketName",
            OFF.format("off"),
        ),
        ({"GetBucketEncryption": encrypted(None)}, "s3BucketName", OFF.format("off")),
        ({"GetBucketEncryption": encrypted("aws:kms:dsse")}, "s3BucketName", OFF.format("aws:kms:dsse")),
        (
            {
                "DescribeKey": lambda arguments: (
                    denied("NotFoundException") if arguments["KeyId"] == KEY else {"KeyMetadata": FINE}
                )
            },
            "kmsKeyId",
            f"kmsKeyId {OUT}: {KEY} does not exist. Create it, or correct kmsKeyId.",
        ),
        (
            {"DescribeKey": session_key(KeyState="Disabled")},
            "kmsKeyId",
            f"kmsKeyId {OUT}: {KEY} is Disabled. Enable it, or use another key.",
        ),
        (
            {"DescribeKey": session_key(KeySpec="RSA_2048")},
            "kmsKeyId",
            f"kmsKeyId {OUT}: {KEY} is not a symmetric encryption key. Use one that is.",
        ),
        (
            {"DescribeKey": session_key(KeyManager="AWS")},
            "kmsKeyId",
            f"kmsKeyId {OUT}: {KEY} is an AWS managed key. Use a customer managed key.",
        ),
        ({"GetBucketEncryption": denied()}, "s3BucketName", UNCHECKED.format(BUCKET, "s3:GetEncryptionConfiguration")),
        ({"DescribeKey": key_of_group(denied())}, "cloudWatchLogGroupName", UNCHECKED.format(GROUP, "kms:DescribeKey")),
        (
            {"DescribeKey": lambda arguments: denied() if arguments["KeyId"] == KEY else {"KeyMetadata": FINE}},
            "kmsKeyId",
            UNCHECKED.format(KEY, "kms:DescribeKey"),
        ),
    ],
)
def test_a_destination_that_would_fail_is_told_in_these_words(given: dict[str, object], path: str, text: str) -> None:
    (problem,) = find_problems(DOCUMENT, answers(**given), "eu-west-1")

    assert (problem.path, str(problem)) == (f"inputs.{path}", text)
    with pytest.raises(PreflightError) as caught:
        preflight(DOCUMENT, answers(**given), "eu-west-1")
    assert str(caught.value) == f"Preflight failed, nothing was written. {text}"


def test_all_is_well_and_what_is_not_named_is_not_asked_for() -> None:
    assert find_problems(DOCUMENT, answers(), "eu-west-1") == []
    assert find_problems(DOCUMENT, answers(), None) == []
    preflight(DOCUMENT, answers(), "eu-west-1")
    assert (
        find_problems(Document(), answers(DescribeLogGroups=None, GetBucketEncryption=None, DescribeKey=None), "r")
        == []
    )


def test_a_key_of_another_region_is_refused_without_asking() -> None:
    document = Document(kms_key_id=KEY)

    assert [str(problem) for problem in find_problems(document, answers(DescribeKey=None), "us-east-1")] == [
        f"kmsKeyId {OUT}: {KEY} is not of us-east-1. Use a key of this region."
    ]
    assert find_problems(Document(kms_key_id="alias/x"), answers(), "us-east-1") == []


def test_without_the_flag_the_encryption_of_the_bucket_does_not_count() -> None:
    document = Document(s3_bucket_name=BUCKET, s3_encryption_enabled=False)
    unencrypted = answers(GetBucketEncryption=denied("ServerSideEncryptionConfigurationNotFoundError"))

    assert find_problems(document, unencrypted, "eu-west-1") == []


def test_all_problems_are_told_at_once_and_a_log_group_is_read_once() -> None:
    asked: list[str] = []

    def counted(*names: str, **arguments: object) -> dict[str, Any]:
        asked.append(names[1])
        return answers(GetBucketEncryption=denied(), DescribeKey=session_key(KeyState="Disabled", KeySpec="RSA_2048"))(
            *names, **arguments
        )

    found = find_problems(DOCUMENT, counted, "eu-west-1")

    assert [problem.path for problem in found] == ["inputs.s3BucketName", "inputs.kmsKeyId", "inputs.kmsKeyId"]
    assert asked == ["DescribeLogGroups", "DescribeKey", "GetBucketEncryption", "DescribeKey"]
    with pytest.raises(PreflightError) as caught:
        preflight(DOCUMENT, counted, "eu-west-1")
    assert str(caught.value) == f"Preflight failed, nothing was written. {' '.join(map(str, found))}"


def test_what_is_denied_may_be_waived_and_other_failures_are_raised_or_told() -> None:
    assert find_problems(DOCUMENT, answers(DescribeKey=denied()), "eu-west-1", {PREFLIGHT_PERMISSIONS}) == []
    preflight(DOCUMENT, answers(DescribeKey=denied()), "eu-west-1", {PREFLIGHT_PERMISSIONS})
    broken = answers(GetBucketEncryption=AwsError("InternalError", "later."))
    with pytest.raises(AwsError, match="later"):
        find_problems(DOCUMENT, broken, "eu-west-1")
    (problem,) = find_problems(DOCUMENT, broken, "eu-west-1", failures=True)
    assert (problem.path, str(problem)) == ("inputs.s3BucketName", f"{BUCKET} could not be checked: later.")


RESULT = {
    "document": "D",
    "outcome": "updated",
    "changes": [{"path": "inputs.kmsKeyId", "from": None, "to": "k"}],
}


def test_the_fields_of_a_report_are_short_however_much_was_changed() -> None:
    long = {"path": "inputs.cloudWatchLogGroupName", "from": "a" * 400, "to": None}
    many = {**RESULT, "changes": [long] * 60}

    found = summary(many, {"principal": "x" * 600, "time": "t"})

    assert found["document"] == "D"
    assert found["changes_in_all"] == 60
    assert found["paths"] == ["inputs.cloudWatchLogGroupName"] * 50
    assert [len(text) for text in found["changes"]] == [300] * 50
    assert found["cause"] == {"principal": "x" * 500, "time": "t"}
    unknown = {**RESULT, "changes": [{**long, "path": "p" * 400}]}
    assert summary(unknown, {})["paths"] == ["p" * 300]
    assert summary(RESULT, {})["paths"] == ["inputs.kmsKeyId"]
    assert summary(RESULT, {})["changes_in_all"] == 1


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        ({}, "A scheduled run found it changed."),
        ({"event_name": "UpdateDocument", "principal": ""}, "event_name: UpdateDocument. principal: unknown."),
    ],
)
def test_a_message_says_what_was_repaired_and_why(cause: dict[str, str], line: str) -> None:
    sent: list[tuple[object, ...]] = []
    fields = {"account": "111122223333", "region": "eu-west-1", **summary(RESULT, cause)}

    def call(*names: str, **arguments: object) -> dict[str, Any]:
        sent.append((*names, arguments))
        return {}

    notify(call, "arn:topic", fields)

    text = f"D in 111122223333 eu-west-1 matches the configuration: updated.\n{line}\n\n{json.dumps(fields, indent=2)}"
    subject = "Session Manager preferences updated: 111122223333 eu-west-1"
    assert sent == [("sns", "Publish", {"TopicArn": "arn:topic", "Subject": subject, "Message": text})]


def test_a_subject_has_less_than_a_hundred_characters_and_a_failure_says_that_the_repair_is_done() -> None:
    fields = {"account": "1" * 200, "region": "r", **summary(RESULT, {})}

    def call(*_names: str, **arguments: object) -> dict[str, Any]:
        assert len(str(arguments["Subject"])) == 99
        raise denied()

    with pytest.raises(NotificationError) as caught:
        notify(call, "arn:topic", fields)
    assert str(caught.value) == "D matches the configuration (updated), but the SNS notification failed: no."


GROUP_PATH = "inputs.cloudWatchLogGroupName"


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        (GROUP_PATH, "a" * LONGEST_VALUE, "a" * LONGEST_VALUE),
        (GROUP_PATH, "a" * (LONGEST_VALUE + 1), f"{'a' * LONGEST_VALUE}…"),
        (GROUP_PATH, "", ""),
        (GROUP_PATH, None, None),
        (GROUP_PATH, 1, 1),
        (GROUP_PATH, False, False),
        (GROUP_PATH, ["a"], HIDDEN),
        (GROUP_PATH, {"a": 1}, HIDDEN),
        ("sharing", ["1"] * MOST_ACCOUNTS, ["1"] * MOST_ACCOUNTS),
        ("sharing", ["1"] * (MOST_ACCOUNTS + 1), [*["1"] * MOST_ACCOUNTS, "…"]),
        ("inputs.shellProfile.linux", "cd /tmp", HIDDEN),
        ("inputs.shellProfile.linux", "", ""),
    ],
)
def test_a_change_shows_short_values_that_are_no_secret(path: str, value: object, shown: object) -> None:
    change = Change(path, value, "after" if path == GROUP_PATH else None)

    assert change.as_dict()["from"] == shown
    text = path if "shellProfile" in path else f"{path} ({json.dumps(shown)} to {json.dumps(change.after)})"
    assert str(change) == text


def test_pauses_grow_to_ten_seconds() -> None:
    slept: list[float] = []
    budget = Budget(10_000, sleep=slept.append)
    for attempt in range(40):
        budget.pause(attempt % 20)
    halves = [min(0.5 * 2 ** (attempt % 20), 10) / 2 for attempt in range(40)]

    assert all(half <= pause <= 2 * half for half, pause in zip(halves, slept, strict=True))
    assert max(slept) <= 10
    with pytest.raises(
        OutOfTimeError, match=r"^Time ran out while waiting for AWS\. Run it again: it continues from here\.$"
    ):
        Budget(1, sleep=slept.append).pause(5)


def test_messages_of_aws_are_cut_and_withheld_where_they_quote_a_document() -> None:
    secrets = Secrets()
    assert secrets.hide("m" * 500) == "m" * 500
    assert secrets.hide("m" * 501) == f"{'m' * 500}…"
    secrets.learn(
        json.dumps({"inputs": {"shellProfile": {"linux": "export TOKEN=hunter2"}, "other": [{"key": "Zebra"}]}})
    )
    secrets.learn("no JSON: Walrus")
    withheld = "the message of AWS is withheld, because it quotes a document"
    for word in ("export", "TOKEN", "hunter2", "Zebra", "Walrus", "other"):
        assert secrets.hide(f"invalid: {word}") == withheld
        assert secrets.hide(f"{'m' * 1900} {word}") == withheld
    assert secrets.hide("cut: idle time") == "cut: idle time"


LOGGED = {"cloudWatchLogGroupName": "logs"}
REFUSED = "The preferences are refused, nothing was written. "
NO_LOGS = "No logs: set cloudWatchLogGroupName or s3BucketName, or waive no_log_destination."
LARGE = "The document is larger than 64 KB; shorten shellProfile."
TOO_MUCH = "shellProfile must have at most 60000 bytes, linux and windows together."
LONG_LINE = "shellProfile.linux must have lines of at most 4095 bytes: the terminal cuts longer ones."
REFERENCE = (
    "shellProfile must not have references such as {{ssm:name}}: who may write the parameter could run commands in "
    "every session."
)


@pytest.mark.parametrize(
    ("preferences", "text"),
    [
        (
            {"s3BucketName": "a.b"},
            "s3BucketName 'a.b' must be 3 to 63 lower-case letters, digits, hyphens, without dots.",
        ),
        (
            {**LOGGED, "s3KeyPrefix": "/a"},
            (
                "s3KeyPrefix '/a' must be a text that neither begins with '/' nor has '..' or '{{', nor parts that are "
                "empty or '.'."
            ),
        ),
        (
            {"cloudWatchLogGroupName": "a b"},
            "cloudWatchLogGroupName 'a b' must be a name that CloudWatch Logs accepts.",
        ),
        ({**LOGGED, "kmsKeyId": "a b"}, "kmsKeyId 'a b' must be a key ARN (best), id or alias."),
        (
            {**LOGGED, "runAsDefaultUser": "root"},
            "runAsDefaultUser 'root' must be a user other than root, such as ops or ops@example.com.",
        ),
        ({**LOGGED, "idleSessionTimeout": 61}, "idleSessionTimeout '61' must be from 1 to 60 minutes."),
        ({**LOGGED, "maxSessionDuration": 1441}, "maxSessionDuration '1441' must be from 1 to 1440 minutes, or empty."),
        (
            {**LOGGED, "idleSessionTimeout": 20, "maxSessionDuration": 20},
            "maxSessionDuration 20 must be greater than idleSessionTimeout 20.",
        ),
        (
            {**LOGGED, "runAsEnabled": True},
            "runAsEnabled needs runAsDefaultUser, or the waiver run_as_by_tag if all callers are tagged.",
        ),
        ({}, NO_LOGS),
        ({**LOGGED, "s3KeyPrefix": "a" * 901}, "s3KeyPrefix must have at most 900 bytes."),
        ({**LOGGED, "shellProfile": {"windows": "x" * 60_001}}, TOO_MUCH),
        ({**LOGGED, "shellProfile": {"linux": "\n" * 60_000}}, LARGE),
        ({**LOGGED, "shellProfile": {"linux": "a\r" + "x" * 4096}}, LONG_LINE),
        ({**LOGGED, "shellProfile": {"windows": "{{ SSM:x}}"}}, REFERENCE),
        (
            {"s3BucketName": "x" * 400},
            f"s3BucketName '{'x' * 300}' must be 3 to 63 lower-case letters, digits, hyphens, without dots.",
        ),
    ],
)
def test_preferences_that_must_not_be_written_are_refused_in_these_words(
    preferences: dict[str, object], text: str
) -> None:
    with pytest.raises(InvalidPreferencesError) as caught:
        check(build(preferences))

    assert str(caught.value) == f"{REFUSED}{text}"


@pytest.mark.parametrize(
    "preferences",
    [
        {**LOGGED, "s3KeyPrefix": "a" * 900},
        {**LOGGED, "shellProfile": {"windows": "x" * 60_000}},
        {**LOGGED, "shellProfile": {"linux": "x" * 4095}},
        {**LOGGED, "idleSessionTimeout": 20, "maxSessionDuration": 21},
        {**LOGGED, "maxSessionDuration": ""},
        {"s3BucketName": "x" * 63},
    ],
)
def test_preferences_at_the_limits_are_written(preferences: dict[str, object]) -> None:
    check(build(preferences))


NAMES = "is not a preference (shellProfile takes an object with linux and windows)."


@pytest.mark.parametrize(
    ("preferences", "keep", "text"),
    [
        (
            {"idleTimeout": 1, "s3BucketName": 5},
            None,
            f"inputs.idleTimeout {NAMES} inputs.s3BucketName must be a text.",
        ),
        ({"runAsEnabled": "true"}, None, "inputs.runAsEnabled must be true or false."),
        ({"idleSessionTimeout": "x"}, None, "inputs.idleSessionTimeout must be a whole number of minutes."),
        (
            {},
            {"inputs.maxSessionDuration": "soon"},
            (
                "inputs.maxSessionDuration of the live document cannot be kept, so set it: it must be a whole number "
                "of minutes."
            ),
        ),
    ],
)
def test_preferences_that_cannot_be_built_are_refused_in_these_words(
    preferences: dict[str, object], keep: dict[str, object] | None, text: str
) -> None:
    with pytest.raises(InvalidPreferencesError) as caught:
        build(preferences, keep)

    assert str(caught.value) == f"{REFUSED}{text}"


@pytest.mark.parametrize("text", [*"01tTfF", "TRUE", "true", "True", "FALSE", "false", "False"])
def test_flags_that_the_agent_reads_are_kept_as_flags(text: str) -> None:
    kept = build({}, {"inputs.runAsEnabled": text, "inputs.runAsDefaultUser": "ops"})

    assert kept.run_as_enabled is (text in {"1", "t", "T", "TRUE", "true", "True"})


@pytest.mark.parametrize("text", ["tRUE", "yes", "10", "tr", "x0", "0x", "falsee"])
def test_other_texts_are_no_flags(text: str) -> None:
    with pytest.raises(InvalidPreferencesError, match="runAsEnabled of the live document cannot be kept"):
        build({}, {"inputs.runAsEnabled": text})


def test_a_document_that_is_no_object_cannot_be_compared() -> None:
    for text in ("[]", "{", "1", "null"):
        with pytest.raises(UnreadableDocumentError) as caught:
            parse(text)
        assert str(caught.value) == (
            "The live document is not a JSON object, so it cannot be compared. Look at it with `aws ssm get-document` "
            "and repair or delete it by hand."
        )
