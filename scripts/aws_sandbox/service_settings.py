"""Service settings of Systems Manager (per account and region), which moto lacks.

See https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ServiceSetting.html.
"""

from __future__ import annotations

import time
from typing import Any

from aws_sandbox.call import AwsError, Call

# Default Host Management: the role of EC2 instances without one, by its path and name; off at first.
DEFAULT_ROLE = "/ssm/managed-instance/default-ec2-instance-management-role"

_DEFAULTS = {
    DEFAULT_ROLE: "$None",
    "/ssm/documents/console/public-sharing-permission": "Enable",
}


class ServiceSettings:
    """The service settings of all accounts and regions."""

    def __init__(self) -> None:
        self._customized: dict[tuple[str, str, str], dict[str, Any]] = {}

    def operations(self) -> dict[tuple[str, str], Any]:
        """Return the operations by service and name."""
        return {
            ("ssm", "GetServiceSetting"): self.get,
            ("ssm", "UpdateServiceSetting"): self.update,
            ("ssm", "ResetServiceSetting"): self.reset,
        }

    def get(self, call: Call) -> dict[str, Any]:
        """Answer GetServiceSetting."""
        return {"ServiceSetting": self._setting(call)}

    def update(self, call: Call) -> dict[str, Any]:
        """Answer UpdateServiceSetting."""
        setting_id = _setting_id(call)
        self._customized[call.account_id, call.region, setting_id] = {
            "SettingValue": call.parameters["SettingValue"],
            "LastModifiedDate": time.time(),
            "LastModifiedUser": f"arn:aws:iam::{call.account_id}:root",
            "Status": "Customized",
        }
        return {}

    def reset(self, call: Call) -> dict[str, Any]:
        """Answer ResetServiceSetting."""
        self._customized.pop((call.account_id, call.region, _setting_id(call)), None)
        return {"ServiceSetting": self._setting(call)}

    def value(self, account_id: str, region: str, setting_id: str) -> str:
        """Return the value of a setting."""
        customized = self._customized.get((account_id, region, setting_id), {})
        return str(customized.get("SettingValue", _DEFAULTS[setting_id]))

    def _setting(self, call: Call) -> dict[str, Any]:
        setting_id = _setting_id(call)
        default = {"SettingValue": _DEFAULTS[setting_id], "LastModifiedUser": "System", "Status": "Default"}
        return {
            "SettingId": setting_id,
            "ARN": f"arn:aws:ssm:{call.region}:{call.account_id}:servicesetting{setting_id}",
            **self._customized.get((call.account_id, call.region, setting_id), default),
        }


def _setting_id(call: Call) -> str:
    """Return the id of the setting that a call gives by id or ARN.

    Raises:
        AwsError: The setting is not supported here.
    """
    setting_id = str(call.parameters["SettingId"]).rpartition(":servicesetting")[2]
    if setting_id not in _DEFAULTS:
        raise AwsError("ServiceSettingNotFound", f"Setting {setting_id} not found")
    return setting_id
