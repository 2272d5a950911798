"""The bucket of session logs, as an account sees it: each cure fits the owner who creates the bucket."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.settings import LogArchive, TargetSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.verify.archive import Archive
from session_manager_fleet.verify.archive_state import ArchiveState
from session_manager_fleet.verify.bucket import Bucket
from session_manager_fleet.verify.checks import Place
from session_manager_fleet.verify.keys import Key
from session_manager_fleet.verify.model import APPLY_ARCHIVE, Check, finding, ok

if TYPE_CHECKING:
    from session_manager_fleet.targets import Inventory
    from session_manager_fleet.verify.reading import Reader

HOME, BUCKET = "eu-west-1", "central-session-logs"
KEY = f"arn:aws:kms:{HOME}:210987654321:key/11111111-2222-4333-8444-555555555555"
APPLY = ("apply", "--account", "210987654321", "--region", HOME)
S3 = {"enabled": True, "bucket_name": BUCKET, "kms_key_arn": KEY}
VALUES = TargetSettings.model_validate({"preferences": {"s3": S3}})
OK = ok("bucket_policy", "The policy has all statements.")
LACKS_READING = finding("bucket_policy", "The policy lacks ReadEncryption, NoDeletion.", APPLY_ARCHIVE, APPLY)


class Answer:
    """The reader of an account, to whom S3 gives one answer: a default encryption, or an error's code."""

    def __init__(self, answer: str | Mapping[str, str]) -> None:
        self._answer = answer

    def call(self, *_: object, **__: object) -> Mapping[str, Any]:
        if isinstance(self._answer, str):
            raise ClientError({"Error": {"Code": self._answer, "Message": "no"}}, "GetBucketEncryption")
        rule = {"ApplyServerSideEncryptionByDefault": self._answer}
        return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def judged(answer: str | Mapping[str, str], policy: Check | None = OK, apply_bucket: tuple[str, ...] = APPLY) -> Check:
    """Judge the bucket of the log archive; without its policy, a bucket of another owner."""
    target, reader = Target(Account("123456789012", "Member"), HOME, HOME), cast("Reader", Answer(answer))
    archive = ArchiveState(HOME, apply_bucket, Key(KEY, "Enabled"), policy, OK) if policy else None
    return Bucket().run(Place(cast("Inventory", None), target, VALUES, reader, lambda *_: reader, archive))


def test_a_closed_bucket_is_a_finding_with_the_cure_of_its_policy() -> None:
    """Without its policy, the bucket of the archive denies the read: that is no missing permission of the role."""
    check = judged("AccessDenied", LACKS_READING)

    assert (check.verdict, check.fix, check.command) == ("finding", APPLY_ARCHIVE, APPLY)
    assert check.message == (
        f"The bucket {BUCKET} does not let this account read its default encryption, which the agent reads, too: see "
        "bucket_policy."
    )


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown"])
def test_what_the_policy_does_not_explain_is_not_checked(code: str) -> None:
    for policy in (OK, finding("bucket_policy", "The policy lacks NoDeletion."), LACKS_READING):
        if code == "AccessDenied" and policy is LACKS_READING:
            continue
        with pytest.raises(ClientError):
            judged(code, policy)


@pytest.mark.parametrize(("answer", "problem"), [("NoSuchBucket", "not exist"), ({"SSEAlgorithm": "AES256"}, "AES256")])
def test_a_created_bucket_is_cured_by_an_apply_of_the_archive(answer: Any, problem: str) -> None:  # noqa: ANN401 - as above
    check = judged(answer)

    assert (check.verdict, check.fix, check.command) == ("finding", APPLY_ARCHIVE, APPLY)
    assert problem in check.message


@pytest.mark.parametrize("policy", [OK, None], ids=["of the archive", "of another owner"])
def test_another_bucket_is_cured_by_a_command(policy: Check | None) -> None:
    check = judged({"SSEAlgorithm": "AES256"}, policy, ())

    prefix = "In the account of the bucket, set it: aws s3api put-bucket-encryption --bucket central-session-logs "
    words, _, rules = check.fix.partition("--server-side-encryption-configuration ")
    assert (words, check.command) == (prefix, ())
    (rule,) = json.loads(rules.strip("'"))["Rules"]
    assert judged(rule["ApplyServerSideEncryptionByDefault"], policy, ()).verdict == "ok"
    missing = judged("NoSuchBucket", policy, ())
    assert (missing.fix, missing.command) == ("Create the bucket, or correct s3.bucket_name.", ())


def test_only_a_bucket_of_the_archives_own_is_created_by_its_apply() -> None:
    account = Account("210987654321", "Log Archive")
    created, existing = (
        Archive(account, HOME, "o-exampleorgid", LogArchive.model_validate(settings))
        for settings in ({"bucket_name": BUCKET}, {"existing_bucket_name": BUCKET})
    )

    assert (created.apply_bucket, existing.apply_bucket) == (APPLY, ())
