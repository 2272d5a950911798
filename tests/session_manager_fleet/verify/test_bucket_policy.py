"""Whether the policy of the log archive's bucket has the statements of modules/log_archive."""

import copy
from typing import Any

import pytest

from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.verify.bucket_policy import expected_statements, missing_statements

BUCKET = "arn:aws:s3:::session-logs"
KEY = "arn:aws:kms:eu-west-1:200000000002:key/0123"
ARCHIVES = {
    "made": LogArchive(reader_role_arns=["arn:aws:iam::300000000003:role/Auditor"]),
    "existing": LogArchive(existing_bucket_name="session-logs", key_prefix="logs"),
}


def expected(archive: LogArchive) -> list[dict[str, Any]]:
    return expected_statements(archive, "o-exampleorgid", BUCKET, KEY)


@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
def test_each_statement_that_is_missing_is_named(archive: LogArchive) -> None:
    statements = expected(archive)
    assert missing_statements({"Statement": statements}, statements) == []
    for number, statement in enumerate(statements):
        rest = [*statements[:number], *statements[number + 1 :]]
        assert missing_statements({"Statement": rest}, statements) == [statement["Sid"]]


def changes(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """A statement with one thing taken away or changed, that makes it say less."""
    found = []
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            narrower = copy.deepcopy(statement)
            narrower["Condition"][operator][key] = "something-else"
            found.append(narrower)
    found.append({**statement, "Condition": {**statement.get("Condition", {}), "Bool": {"aws:ViaAWSService": "true"}}})
    found.append({**statement, "Action": "s3:PutObjectTagging"})
    found.append({**statement, "Principal": {"AWS": "arn:aws:iam::300000000003:root"}})
    about = "NotResource" if "NotResource" in statement else "Resource"
    found.append({**statement, about: f"{BUCKET}-of-others/*"})
    found.append({**statement, "Effect": "Allow" if statement["Effect"] == "Deny" else "Deny"})
    return found


def test_what_says_less_than_a_statement_is_not_taken_for_it() -> None:
    statements = expected(ARCHIVES["made"])
    for number, statement in enumerate(statements):
        for change in changes(statement):
            policy = [*statements[:number], change, *statements[number + 1 :]]
            assert statement["Sid"] in missing_statements({"Statement": policy}, statements), change


def test_other_words_for_the_same_are_understood() -> None:
    archive = ARCHIVES["existing"]
    statements = expected(archive)
    reading, writing, *rest = statements
    together = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [reading["Action"], *writing["Action"]],
        "Resource": [reading["Resource"], writing["Resource"]],
        "Condition": {"StringEquals": {"AWS:PrincipalOrgId": ["o-exampleorgid"]}},
    }
    wider = [{**each, "Sid": "", "Resource": [BUCKET, f"{BUCKET}/*"], "Action": "s3:*"} for each in rest]
    assert missing_statements({"Statement": [together, *wider]}, statements) == []
    assert missing_statements({"Statement": together}, [reading, writing]) == []
