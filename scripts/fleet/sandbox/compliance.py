"""Evaluation of AWS Config rules.

moto keeps rules and never evaluates them. Here AWS's own Guard engine judges the configuration items of roles by the
policies of `CUSTOM_POLICY` rules, and the results are readable through the API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from cfn_guard_rs.api import run_checks
from cfn_guard_rs.errors import GuardError
from moto.config.models import ConfigRule, config_backends

from fleet.sandbox.background import Background
from fleet.sandbox.call import Call, Reply
from fleet.sandbox.config_rules import OWNER, PolicySource, find_rule
from fleet.sandbox.configuration_items import ROLE, ConfigurationItem, Place, Recorder
from fleet.sandbox.gateway import Operations
from fleet.sandbox.pages import page
from fleet.sandbox.turn import Turn

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

# Guard's statuses; a rule that skips an item is not applicable, and AWS Config keeps no result of it.
_COMPLIANCE = {"PASS": COMPLIANT, "FAIL": NON_COMPLIANT}

_PAGE_SIZE = 10
_CAP = 25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a rule says of a resource.

    Attributes:
        resource_id: The resource.
        compliance: `COMPLIANT` or `NON_COMPLIANT`.
        captured: When the configuration that was judged was recorded.
        recorded: When it was judged.
    """

    resource_id: str
    compliance: str
    captured: datetime
    recorded: datetime


class Compliance:
    """The results of all rules.

    Args:
        background: Where rules are evaluated.
        turn: Taken to evaluate them.
        recorder: Whose items are judged.
        flagged: Told of every resource that is not compliant: account and region, name of the rule, resource id.
    """

    def __init__(
        self,
        background: Background,
        turn: Turn,
        recorder: Recorder,
        flagged: Callable[[Place, str, str], None],
    ) -> None:
        self._background = background
        self._turn = turn
        self._flagged = flagged
        self._recorder = recorder
        recorder.listeners.append(self.evaluate)
        # account and region → rule name → resource id → result
        self._results: dict[Place, dict[str, dict[str, Result]]] = {}

    def operations(self) -> Operations:
        """Return what is answered here."""
        return {
            ("config", "StartConfigRulesEvaluation"): self.start_config_rules_evaluation,
            ("config", "DescribeComplianceByConfigRule"): self.describe_compliance_by_config_rule,
            ("config", "DescribeComplianceByResource"): self.describe_compliance_by_resource,
            ("config", "GetComplianceDetailsByConfigRule"): self.get_compliance_details_by_config_rule,
        }

    def observe(self, call: Call, _reply: Reply) -> None:
        """Follow the life of rules: evaluate a new one, forget a deleted one, look again when remediation is set up."""
        if call.service != "config":
            return
        place = (call.account_id, call.region)
        match call.operation:
            case "PutConfigRule":
                self._background.start(
                    partial(self._evaluate_all, place, [call.parameters["ConfigRule"]["ConfigRuleName"]])
                )
            case "DeleteConfigRule":
                self._results.get(place, {}).pop(call.parameters["ConfigRuleName"], None)
            case "PutRemediationConfigurations":
                for configuration in call.parameters["RemediationConfigurations"]:
                    for result in self._of(place, configuration["ConfigRuleName"], {NON_COMPLIANT}):
                        self._flagged(place, configuration["ConfigRuleName"], result.resource_id)

    def evaluate(self, place: Place, items: Iterable[ConfigurationItem], names: Iterable[str] | None = None) -> None:
        """Judge items by the rules of an account and region.

        Args:
            place: Account and region.
            items: What is judged.
            names: Names of rules; None = all.
        """
        rules = config_backends[place[0]][place[1]].config_rules
        for name in list(rules) if names is None else names:
            if name in rules and _concerns_roles(rules[name]):
                for item in items:
                    self._judge(place, rules[name], item)

    def start_config_rules_evaluation(self, call: Call) -> dict[str, Any]:
        """Answer StartConfigRulesEvaluation."""
        names = call.parameters.get("ConfigRuleNames") or []
        for name in names:
            find_rule(call, name)
        self._background.start(partial(self._evaluate_all, (call.account_id, call.region), names))
        return {}

    def describe_compliance_by_config_rule(self, call: Call) -> dict[str, Any]:
        """Answer DescribeComplianceByConfigRule."""
        place = (call.account_id, call.region)
        names = call.parameters.get("ConfigRuleNames")
        for name in names or []:
            find_rule(call, name)
        entries = [
            {"ConfigRuleName": name, "Compliance": _summary(self._of(place, name))}
            for name in names or config_backends[place[0]][place[1]].config_rules
        ]
        return _filtered(call, "ComplianceByConfigRules", entries)

    def describe_compliance_by_resource(self, call: Call) -> dict[str, Any]:
        """Answer DescribeComplianceByResource."""
        asked = call.parameters
        by_resource: dict[str, list[Result]] = {}
        for results in self._results.get((call.account_id, call.region), {}).values():
            for result in results.values():
                by_resource.setdefault(result.resource_id, []).append(result)
        entries = [
            {"ResourceType": ROLE, "ResourceId": resource_id, "Compliance": _summary(results)}
            for resource_id, results in by_resource.items()
            if asked.get("ResourceType", ROLE) == ROLE and asked.get("ResourceId", resource_id) == resource_id
        ]
        return _filtered(call, "ComplianceByResources", entries)

    def get_compliance_details_by_config_rule(self, call: Call) -> dict[str, Any]:
        """Answer GetComplianceDetailsByConfigRule."""
        name = call.parameters["ConfigRuleName"]
        find_rule(call, name)
        wanted = set(call.parameters.get("ComplianceTypes") or [COMPLIANT, NON_COMPLIANT])
        entries = [
            {
                "EvaluationResultIdentifier": {
                    "EvaluationResultQualifier": {
                        "ConfigRuleName": name,
                        "ResourceType": ROLE,
                        "ResourceId": result.resource_id,
                        "EvaluationMode": "DETECTIVE",
                    },
                    "OrderingTimestamp": result.captured,
                },
                "ComplianceType": result.compliance,
                "ResultRecordedTime": result.recorded,
                "ConfigRuleInvokedTime": result.recorded,
            }
            for result in self._of((call.account_id, call.region), name, wanted)
        ]
        return page("EvaluationResults", entries, call.parameters.get("NextToken"), _limit(call))

    def _evaluate_all(self, place: Place, names: Iterable[str]) -> None:
        with self._turn:
            self.evaluate(place, self._recorder.newest(place), names)

    def _judge(self, place: Place, rule: ConfigRule, item: ConfigurationItem) -> None:
        name = str(rule.config_rule_name)
        results = self._results.setdefault(place, {}).setdefault(name, {})
        text = cast("PolicySource", rule.source).custom_policy_details["PolicyText"]
        try:
            status = "SKIP" if item.is_deleted else run_checks(item.notified(), text).status
        except GuardError:
            log.exception("%s: the rule %s cannot judge %s", place, name, item.resource_name)
            return
        compliance = _COMPLIANCE.get(status)
        if compliance is None:
            results.pop(item.resource_id, None)
            return
        results[item.resource_id] = Result(item.resource_id, compliance, item.captured, datetime.now(UTC))
        if compliance == NON_COMPLIANT:
            self._flagged(place, name, item.resource_id)

    def _of(self, place: Place, name: str, compliances: Iterable[str] = (COMPLIANT, NON_COMPLIANT)) -> list[Result]:
        return [r for r in self._results.get(place, {}).get(name, {}).values() if r.compliance in compliances]


def _concerns_roles(rule: ConfigRule) -> bool:
    """Tell whether a rule carries a policy of its own and is triggered by changes of roles."""
    if rule.source.owner != OWNER:
        return False
    types = rule.scope.compliance_resource_types if rule.scope else None
    return (not types or ROLE in types) and any(
        detail.message_type == "ConfigurationItemChangeNotification" for detail in rule.source.source_details or []
    )


def _summary(results: list[Result]) -> dict[str, Any]:
    """Return the compliance of a rule or resource with several results."""
    if not results:
        return {"ComplianceType": INSUFFICIENT_DATA}
    bad = sum(result.compliance == NON_COMPLIANT for result in results)
    if not bad:
        return {"ComplianceType": COMPLIANT}
    count = {"CappedCount": min(bad, _CAP), "CapExceeded": bad > _CAP}
    return {"ComplianceType": NON_COMPLIANT, "ComplianceContributorCount": count}


def _filtered(call: Call, key: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = call.parameters.get("ComplianceTypes")
    kept = [each for each in entries if not wanted or each["Compliance"]["ComplianceType"] in wanted]
    return page(key, kept, call.parameters.get("NextToken"), _limit(call))


def _limit(call: Call) -> int:
    return int(call.parameters.get("Limit") or _PAGE_SIZE)
