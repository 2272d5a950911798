"""Code for the `demo` and `sandbox` commands only; needs the extra `sandbox`."""

from session_manager_fleet.demo.central_logging import Attempt as Attempt, try_uploads as try_uploads
from session_manager_fleet.demo.live_state import (
    RemediatedRole as RemediatedRole,
    live_preferences as live_preferences,
    remediate_roles as remediate_roles,
)
from session_manager_fleet.demo.node_sessions import NodeSession as NodeSession, open_session as open_session
from session_manager_fleet.demo.nodes import (
    DemoNode as DemoNode,
    add_nodes as add_nodes,
    open_sessions as open_sessions,
)
from session_manager_fleet.demo.remediation import evaluation_unavailable as evaluation_unavailable
from session_manager_fleet.demo.report import (
    print_attempts as print_attempts,
    print_findings as print_findings,
    print_live as print_live,
    print_remediations as print_remediations,
    print_sessions as print_sessions,
)
from session_manager_fleet.demo.sabotage import dismantle as dismantle
from session_manager_fleet.demo.session import RunningSandbox as RunningSandbox, sandboxed as sandboxed
