"""Whether what was rolled out works: read through the AWS APIs, without terraform."""

from session_manager_fleet.verify.arrivals import told
from session_manager_fleet.verify.model import TargetVerification, Verdict, exit_code
from session_manager_fleet.verify.verifier import SHORTEST_WATCH_SECONDS, Verifier, with_arrivals

__all__ = [
    "SHORTEST_WATCH_SECONDS",
    "TargetVerification",
    "Verdict",
    "Verifier",
    "exit_code",
    "told",
    "with_arrivals",
]
