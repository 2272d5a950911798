"""Messages about runs: when there is one, and what it says."""

import pytest

from session_manager_fleet.reports import message_of_run, message_of_verification
from session_manager_fleet.reports.safe_text import slack_text
from session_manager_fleet.run import Message
from session_manager_fleet.verify import Verification
from tests.session_manager_fleet.reports.test_formats import HOSTILE_SUMMARY
from tests.session_manager_fleet.reports.verifications import OK, hostile, many, verification_of, verified, wrong

ALL = ["run_finished", "run_failed", "new_findings", "expiring_exceptions"]
OPEN = verification_of(verified(1, "One", wrong("000000000001", history="open")))
NEW = verification_of(verified(1, "One", wrong("000000000001", history="new")))
FIRST = verification_of(verified(1, "One", wrong("000000000001")))
WELL = verification_of(verified(1, "One", OK), exit_code=0)


def told(verification: Verification, *events: str) -> Message:
    message = message_of_verification(verification, events or ALL)
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("run", "events", "expected"),
    [
        (WELL, ["run_finished"], True),
        (WELL, ["run_failed", "new_findings", "expiring_exceptions"], False),
        (OPEN, ["new_findings"], False),
        (NEW, ["new_findings"], True),
        (FIRST, ["new_findings"], True),
        (hostile(), ["run_finished"], False),
        (hostile(), ["run_failed"], True),
        (hostile(), ["expiring_exceptions"], True),
    ],
)
def test_when_there_is_a_message(run: Verification, events: list[str], expected: bool) -> None:
    assert (message_of_verification(run, events) is not None) == expected


def test_new_findings_are_told_once_with_their_targets() -> None:
    lines = told(many(70)).text.splitlines()

    assert lines[0] == "session-manager-fleet: verify of o-exampleorgid finished"
    assert lines[1] == "70 targets: 200 ok, 10 finding (10 critical)"
    assert lines[2].startswith("New, critical: preferences: The document of <account> is not as configured")
    assert lines[2].endswith("and 5 more.")
    assert lines[-1] == "Run 20261121T220000Z-abcd: session-manager-fleet report 20261121T220000Z-abcd"


def test_a_failed_run_names_causes_and_exceptions() -> None:
    message = message_of_run(HOSTILE_SUMMARY, ALL)

    assert message is not None
    assert message.subject.endswith("apply of o-exampleorgid failed")
    assert "plan: access denied: No way in. In In eu-west-1." in message.text
    assert "expires on 2026-12-01" in message.text
    assert message_of_run(HOSTILE_SUMMARY, ["run_finished", "new_findings"]) is None


@pytest.mark.parametrize("message", [told(hostile()), message_of_run(HOSTILE_SUMMARY, ALL)])
def test_names_are_no_markup(message: Message) -> None:
    assert not [sign for sign in ("<script", "<!", "\x1b", "\u202e") if sign in message.slack]
    assert "\n" not in message.subject


def test_slack_shows_what_was_written() -> None:
    assert slack_text("<!channel> *b* @here http://x") == "&lt;!channel&gt; *\u200bb*\u200b @\u200bhere http:\u200b//x"
