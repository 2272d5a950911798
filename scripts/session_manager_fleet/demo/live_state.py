"""Read and remediate the live accounts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from session_manager_fleet.demo.preferences import LivePreferences, read_preferences
from session_manager_fleet.demo.remediation import EvaluatedRole, read_compliance, remediate
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Inventory, Target


def live_preferences(inventory: Inventory, targets: Sequence[Target]) -> list[tuple[Target, LivePreferences | str]]:
    """Read the preferences document of each target, or the reason why that fails."""
    rows: list[tuple[Target, LivePreferences | str]] = []
    for target in targets:
        settings = inventory.settings.effective(target.account, target.region)
        try:
            session = inventory.session(target.account, target.region)
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
        before: Compliance before the remediation.
        state: Final state of the remediation; empty if none was needed.
        compliant: Compliance after the remediation.
    """

    target: Target
    before: EvaluatedRole
    state: str
    compliant: bool


def remediate_roles(
    inventory: Inventory, targets: Sequence[Target], settle: Callable[[], None]
) -> list[RemediatedRole]:
    """Remediate all non-compliant roles in the home regions, and read their compliance again.

    Args:
        inventory: The organization and its settings.
        targets: Only those in their account's home region are used.
        settle: Waits until AWS Config has evaluated all changes.

    Raises:
        AccessError: AWS Config is not accessible.
    """
    settle()
    rows: list[RemediatedRole] = []
    for target in targets:
        settings = inventory.settings.effective(target.account, target.region).values
        if not target.is_home or not settings.config_rule.enabled:
            continue
        session, rule = inventory.session(target.account, target.region), settings.names.config_rule
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
