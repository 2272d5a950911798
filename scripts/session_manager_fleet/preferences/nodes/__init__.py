"""Managed nodes: which there are, with which role each works, and what that role may do for a session."""

from session_manager_fleet.preferences.nodes.demands import Demands as Demands, Effect as Effect
from session_manager_fleet.preferences.nodes.lockout import (
    Lockout as Lockout,
    find_denials as find_denials,
    find_lockouts as find_lockouts,
)
from session_manager_fleet.preferences.nodes.model import Node as Node, NodeKind as NodeKind, Nodes as Nodes
from session_manager_fleet.preferences.nodes.network import (
    enclosed_instances as enclosed_instances,
    has_way_out as has_way_out,
    missing_services as missing_services,
)
from session_manager_fleet.preferences.nodes.reading import (
    managed_instances as managed_instances,
    read_demands as read_demands,
    read_nodes as read_nodes,
    read_role as read_role,
    registered_nodes as registered_nodes,
)
