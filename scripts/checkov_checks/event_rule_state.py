"""Check of the rules on which drift repair depends."""

from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck
from session_manager_values import is_expression, single


class EventRuleStateIsSet(BaseResourceCheck):
    """An optional and computed attribute that is left unset is no desired state: a disabled rule stays disabled."""

    def __init__(self) -> None:
        super().__init__(
            name="Ensure the state of an EventBridge rule is set to enabled",
            id="CKV_SMF_7",
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_resources=["aws_cloudwatch_event_rule"],
        )

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Ask for one of the two enabled states."""
        self.evaluated_keys = ["state"]
        state = single(conf.get("state"))
        if is_expression(state):
            return CheckResult.UNKNOWN
        return CheckResult.PASSED if str(state).startswith("ENABLED") else CheckResult.FAILED


check = EventRuleStateIsSet()
