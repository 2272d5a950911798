"""What the demo shows of the live accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from session_manager_fleet.demo.preferences import LivePreferences, read_preferences
from session_manager_fleet.demo.remediation import JudgedRole, read_compliance, remediate
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Inventory, Target


def live_preferences(context: Inventory, targets: Sequence[Target]) -> list[tuple[Target, LivePreferences | str]]:
    """Read the preferences document of every target; where that fails, the reason stands in its place."""
    rows: list[tuple[Target, LivePreferences | str]] = []
    for target in targets:
        settings = context.settings.effective(target.account, target.region)
        try:
            session = context.session(target.account, target.region)
            live = read_preferences(session, target.region, settings.values.names.document)
        except AccessError as error:
            rows.append((target, str(error)))
        else:
            rows.append((target, live or "there is no preferences document"))
    return rows


@dataclass(frozen=True)
class RemediatedRole:
    """An instance role before and after the remediation of the Config rule.

    Attributes:
        target: Home-region target of the role's account.
        before: What AWS Config said first.
        state: How the remediation ended; empty where none was needed.
        compliant: What AWS Config says now.
    """

    target: Target
    before: JudgedRole
    state: str
    compliant: bool


def remediate_roles(context: Inventory, targets: Sequence[Target], settle: Callable[[], None]) -> list[RemediatedRole]:
    """Start the remediation of all non-compliant roles in the home regions, and read again what AWS Config says.

    Args:
        context: The organization.
        targets: Only those in their account's home region are considered.
        settle: Waits until AWS Config has judged what changed.

    Raises:
        AccessError: AWS Config cannot be asked.
    """
    settle()
    rows: list[RemediatedRole] = []
    for target in targets:
        settings = context.settings.effective(target.account, target.region).values
        if not target.is_home or not settings.config_rule.enabled:
            continue
        session, rule = context.session(target.account, target.region), settings.names.config_rule
        judged = read_compliance(session, target.region, rule)
        pending = [role.resource_id for role in judged if not role.compliant]
        states = remediate(session, target.region, rule, pending) if pending else {}
        settle()
        now = {role.resource_id: role.compliant for role in read_compliance(session, target.region, rule)}
        rows.extend(
            RemediatedRole(target, role, states.get(role.resource_id, ""), now.get(role.resource_id, False))
            for role in judged
        )
    return rows
