"""Dismantle the protection of a target, as an administrator of its account could, so that `verify` has to find it."""

import json

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.targets import Inventory, Target

_SHARING = "/ssm/documents/console/public-sharing-permission"


def dismantle(inventory: Inventory, target: Target) -> dict[str, str]:
    """Disable drift repair, let the document log nowhere, and permit public sharing where it is blocked.

    Returns:
        What was done, by the id of the check that has to find it.

    Raises:
        AccessError: A call is refused.
    """
    values = inventory.settings.effective(target.account, target.region).values
    names = values.names
    session = inventory.session(target.account, target.region)
    events = session.client("events", region_name=target.region, config=CLIENT_CONFIG)
    ssm = session.client("ssm", region_name=target.region, config=CLIENT_CONFIG)
    rules = [f"{names.function}-{event}" for event in ("api-calls", "schedule")]
    unlogged = {
        "schemaVersion": "1.0",
        "description": "Preferences without logging",
        "sessionType": "Standard_Stream",
        "inputs": {"idleSessionTimeout": "60"},
    }
    with translated_errors(f"dismantle the protection of {target.account.id} in {target.region}"):
        for rule in rules:
            events.disable_rule(Name=rule)
        updated = ssm.update_document(
            Name=names.document, Content=json.dumps(unlogged), DocumentVersion="$LATEST", DocumentFormat="JSON"
        )
        version = updated["DocumentDescription"]["DocumentVersion"]
        ssm.update_document_default_version(Name=names.document, DocumentVersion=version)
        done = {
            "drift_repair": f"The rules {' and '.join(rules)} are disabled.",
            "preferences": f"The default version {version} of {names.document} logs and encrypts nothing.",
        }
        if values.preferences.block_public_sharing:
            ssm.update_service_setting(SettingId=_SHARING, SettingValue="Enable")
            done["public_sharing"] = "Documents can be shared with all accounts."
    return done
