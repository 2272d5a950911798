"""Code for the `demo` and `sandbox` commands only; needs the extra `sandbox`."""

from session_manager_fleet.demo.central_logging import Attempt, try_uploads
from session_manager_fleet.demo.live_state import RemediatedRole, live_preferences, remediate_roles
from session_manager_fleet.demo.remediation import evaluation_unavailable
from session_manager_fleet.demo.report import print_attempts, print_live, print_remediations
from session_manager_fleet.demo.session import RunningSandbox, sandboxed

__all__ = [
    "Attempt",
    "RemediatedRole",
    "RunningSandbox",
    "evaluation_unavailable",
    "live_preferences",
    "print_attempts",
    "print_live",
    "print_remediations",
    "remediate_roles",
    "sandboxed",
    "try_uploads",
]
