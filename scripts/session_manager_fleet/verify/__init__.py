"""Check the live state of targets through the AWS APIs, without Terraform."""

from session_manager_fleet.verify.logs import age_text
from session_manager_fleet.verify.model import TargetVerification, Verdict, exit_code
from session_manager_fleet.verify.verifier import Verifier
from session_manager_fleet.verify.watch import MIN_WATCH_SECONDS, watch_logs, with_arrivals

__all__ = [
    "MIN_WATCH_SECONDS",
    "TargetVerification",
    "Verdict",
    "Verifier",
    "age_text",
    "exit_code",
    "watch_logs",
    "with_arrivals",
]
