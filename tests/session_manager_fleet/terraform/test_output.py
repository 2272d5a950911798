"""Terraform's machine-readable output as errors and log lines."""

import json

import pytest

from session_manager_fleet.terraform.output import Messages

STACK = ['  File "/var/task/session_preferences/handler.py", line 30, in lambda_handler\n    raise']
ANSWER = {
    "errorMessage": "The bucket {logs} does not exist.\nCreate it, or correct the name.",
    "errorType": "PreflightError",
    "requestId": "7f2c",
    "stackTrace": STACK,
}
SENTENCE = "The bucket {logs} does not exist. Create it, or correct the name."


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        (
            f"invoking Lambda Function (session): {json.dumps(ANSWER)}",
            f"invoking Lambda Function (session): {SENTENCE}",
        ),
        (f"returned error: ({json.dumps(ANSWER)})", f"returned error: ({SENTENCE})"),
        (
            f"{json.dumps({'a': 1})} {{x}} {json.dumps(ANSWER)} {json.dumps(ANSWER)}",
            f'{{"a": 1}} {{x}} {SENTENCE} {SENTENCE}',
        ),
        ('{"errorMessage": 5} { not closed', '{"errorMessage": 5} { not closed'),
    ],
)
def test_the_error_of_a_function_is_its_message_and_the_log_keeps_the_stack_trace(detail: str, shown: str) -> None:
    messages = Messages(hide=lambda text: text.replace("correct", "(hidden)"))
    diagnostic = {"severity": "error", "summary": "Failed", "detail": detail}

    line = messages.take(json.dumps({"type": "diagnostic", "diagnostic": diagnostic}))

    assert messages.errors == [f"Failed: {shown}".replace("correct", "(hidden)")]
    assert ("stackTrace" in line) == ("stackTrace" in detail)
    assert "correct" not in line
