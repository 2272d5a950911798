"""AWS Config rules and remediation.

moto rejects rules of the owner `CUSTOM_POLICY` and has no remediation configurations. This module adds both; moto still
stores the rule, with its Guard text in `source.custom_policy_details`.
"""

from __future__ import annotations

import uuid
from typing import Any

from moto.config import models
from moto.config.models import ConfigRule, Source, config_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.gateway import Operations
from aws_sandbox.guard import GuardError, find_guard_engine

OWNER = "CUSTOM_POLICY"


class PolicySource(Source):
    """moto's rule source with the owner `CUSTOM_POLICY`."""

    def __init__(
        self,
        account_id: str,
        region: str,
        owner: str,
        source_identifier: str = "",
        source_details: list[dict[str, Any]] | None = None,
        custom_policy_details: dict[str, Any] | None = None,
    ) -> None:
        if owner != OWNER:
            super().__init__(account_id, region, owner, source_identifier, source_details)  # type: ignore[arg-type]
            return
        super(Source, self).__init__(capitalize_start=True, capitalize_arn=False)
        details = custom_policy_details or {}
        text = details.get("PolicyText", "")
        if not text:
            raise AwsError(
                "InvalidParameterValueException",
                f"CustomPolicyDetails with a PolicyText is required when the owner is {OWNER}.",
            )
        try:
            if engine := find_guard_engine():
                engine.evaluate({}, text)
        except GuardError as error:
            raise AwsError("InvalidParameterValueException", f"The PolicyText is not valid: {error}") from error
        self.owner = owner
        self.source_details = [
            models.SourceDetail(**models.convert_to_class_args(detail)) for detail in source_details or []
        ]
        self.custom_policy_details = details

    def to_dict(self) -> dict[str, Any]:
        """Return the source as in DescribeConfigRules: without the policy text."""
        described = super().to_dict()
        if self.owner == OWNER:
            described["CustomPolicyDetails"] = {
                key: value for key, value in self.custom_policy_details.items() if key != "PolicyText"
            }
        return described


class ConfigRules:
    """AWS Config operations that moto lacks."""

    def __init__(self) -> None:
        models.Source = PolicySource  # type: ignore[misc, assignment]
        # (account, region) → rule name → remediation configuration
        self._remediations: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {
            ("config", "GetCustomRulePolicy"): self.get_custom_rule_policy,
            ("config", "PutRemediationConfigurations"): self.put_remediation_configurations,
            ("config", "DescribeRemediationConfigurations"): self.describe_remediation_configurations,
            ("config", "DeleteRemediationConfiguration"): self.delete_remediation_configuration,
        }

    def remediation(self, account_id: str, region: str, rule_name: str) -> dict[str, Any] | None:
        """Return the remediation configuration of a rule, or None if it has none."""
        return self._remediations.get((account_id, region), {}).get(rule_name)

    def check(self, call: Call) -> None:
        """Reject the deletion of a rule that has a remediation configuration.

        Raises:
            AwsError: ResourceInUseException.
        """
        if (call.service, call.operation) == ("config", "DeleteConfigRule"):
            name = call.parameters["ConfigRuleName"]
            if name in self._of(call):
                raise AwsError(
                    "ResourceInUseException",
                    f"A remediation action is associated with the rule {name}; delete it before the rule.",
                )

    def get_custom_rule_policy(self, call: Call) -> dict[str, Any]:
        """Answer GetCustomRulePolicy with the Guard text of a rule."""
        rule = find_rule(call, call.parameters.get("ConfigRuleName", ""))
        details = getattr(rule.source, "custom_policy_details", None)
        return {"PolicyText": details["PolicyText"]} if details else {}

    def put_remediation_configurations(self, call: Call) -> dict[str, Any]:
        """Answer PutRemediationConfigurations; the rule must exist, as in AWS."""
        configurations = call.parameters["RemediationConfigurations"]
        for configuration in configurations:
            self._validate(call, configuration)
        for configuration in configurations:
            name = configuration["ConfigRuleName"]
            known = self._of(call).get(name, {})
            arn = known.get("Arn") or (
                f"arn:aws:config:{call.region}:{call.account_id}:remediation-configuration/{name}/{uuid.uuid4()}"
            )
            self._of(call)[name] = {**configuration, "Arn": arn}
        return {"FailedBatches": []}

    def describe_remediation_configurations(self, call: Call) -> dict[str, Any]:
        """Answer DescribeRemediationConfigurations; omit rules without one, as in AWS."""
        kept = self._of(call)
        names = call.parameters["ConfigRuleNames"]
        return {"RemediationConfigurations": [kept[name] for name in names if name in kept]}

    def delete_remediation_configuration(self, call: Call) -> dict[str, Any]:
        """Answer DeleteRemediationConfiguration."""
        name = call.parameters["ConfigRuleName"]
        if self._of(call).pop(name, None) is None:
            raise AwsError(
                "NoSuchRemediationConfigurationException", f"No remediation configuration exists for rule {name}."
            )
        return {}

    def _of(self, call: Call) -> dict[str, dict[str, Any]]:
        return self._remediations.setdefault((call.account_id, call.region), {})

    def _validate(self, call: Call, configuration: dict[str, Any]) -> None:
        find_rule(call, configuration["ConfigRuleName"])
        if configuration.get("Automatic") and "AutomationAssumeRole" not in configuration.get("Parameters", {}):
            raise AwsError(
                "InvalidParameterValueException",
                "Automatic remediation needs the parameter AutomationAssumeRole.",
            )


def find_rule(call: Call, name: str) -> ConfigRule:
    """Return a rule of the caller's account and region.

    Raises:
        AwsError: NoSuchConfigRuleException.
    """
    rule = config_backends[call.account_id][call.region].config_rules.get(name)
    if rule is None:
        raise AwsError(
            "NoSuchConfigRuleException",
            f"The ConfigRule '{name}' provided in the request is invalid. Please check the configRule name",
        )
    return rule
