"""AWS Config's read operations for compliance.

moto has none of them; `compliance` evaluates the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.config.models import config_backends

from aws_sandbox.call import Call
from aws_sandbox.compliance import COMPLIANT, NON_COMPLIANT, Compliance, Result
from aws_sandbox.config_rules import find_rule
from aws_sandbox.configuration_items import ROLE, Place
from aws_sandbox.gateway import Operations
from aws_sandbox.pages import page

INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

_PAGE_SIZE = 10
_CAP = 25


class ComplianceAnswers:
    """Answers the read operations for compliance.

    Args:
        compliance: Holds the results.
    """

    def __init__(self, compliance: Compliance) -> None:
        self._compliance = compliance

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {
            ("config", "DescribeComplianceByConfigRule"): self.describe_compliance_by_config_rule,
            ("config", "DescribeComplianceByResource"): self.describe_compliance_by_resource,
            ("config", "DescribeConfigRuleEvaluationStatus"): self.describe_config_rule_evaluation_status,
            ("config", "GetComplianceDetailsByConfigRule"): self.get_compliance_details_by_config_rule,
            ("config", "GetComplianceDetailsByResource"): self.get_compliance_details_by_resource,
            ("config", "GetComplianceSummaryByConfigRule"): self.get_compliance_summary_by_config_rule,
            ("config", "GetComplianceSummaryByResourceType"): self.get_compliance_summary_by_resource_type,
        }

    def describe_compliance_by_config_rule(self, call: Call) -> dict[str, Any]:
        """Answer DescribeComplianceByConfigRule."""
        place = _place(call)
        entries = [
            {"ConfigRuleName": name, "Compliance": _summary(self._compliance.results(place, name))}
            for name in _rule_names(call)
        ]
        return _filtered(call, "ComplianceByConfigRules", entries)

    def describe_compliance_by_resource(self, call: Call) -> dict[str, Any]:
        """Answer DescribeComplianceByResource."""
        asked = call.parameters
        entries = [
            {"ResourceType": ROLE, "ResourceId": resource_id, "Compliance": _summary(results)}
            for resource_id, results in self._by_resource(_place(call)).items()
            if asked.get("ResourceType", ROLE) == ROLE and asked.get("ResourceId", resource_id) == resource_id
        ]
        return _filtered(call, "ComplianceByResources", entries)

    def describe_config_rule_evaluation_status(self, call: Call) -> dict[str, Any]:
        """Answer DescribeConfigRuleEvaluationStatus."""
        entries = []
        for name in _rule_names(call):
            rule, evaluation = find_rule(call, name), self._compliance.evaluation(_place(call), name)
            entry = {
                "ConfigRuleName": name,
                "ConfigRuleArn": rule.config_rule_arn,
                "ConfigRuleId": rule.config_rule_id,
                "LastSuccessfulInvocationTime": evaluation.succeeded,
                "LastSuccessfulEvaluationTime": evaluation.succeeded,
                "LastFailedInvocationTime": evaluation.failed,
                "LastFailedEvaluationTime": evaluation.failed,
                "LastErrorMessage": evaluation.failure or None,
                "FirstEvaluationStarted": bool(evaluation.succeeded or evaluation.failed),
            }
            entries.append({key: value for key, value in entry.items() if value is not None})
        return page("ConfigRulesEvaluationStatus", entries, call.parameters.get("NextToken"), _limit(call))

    def get_compliance_details_by_config_rule(self, call: Call) -> dict[str, Any]:
        """Answer GetComplianceDetailsByConfigRule."""
        name = call.parameters["ConfigRuleName"]
        find_rule(call, name)
        return _details(call, self._compliance.results(_place(call), name))

    def get_compliance_details_by_resource(self, call: Call) -> dict[str, Any]:
        """Answer GetComplianceDetailsByResource."""
        asked = call.parameters
        known = self._by_resource(_place(call)) if asked.get("ResourceType") == ROLE else {}
        return _details(call, known.get(asked.get("ResourceId", ""), []))

    def get_compliance_summary_by_config_rule(self, call: Call) -> dict[str, Any]:
        """Answer GetComplianceSummaryByConfigRule: counts of compliant and noncompliant rules."""
        place = _place(call)
        return {"ComplianceSummary": _counts(self._compliance.results(place, name) for name in _rule_names(call))}

    def get_compliance_summary_by_resource_type(self, call: Call) -> dict[str, Any]:
        """Answer GetComplianceSummaryByResourceType: counts of resources, in total or by type."""
        types = call.parameters.get("ResourceTypes") or []
        roles = self._by_resource(_place(call)).values()
        summaries: list[dict[str, Any]] = [
            {"ResourceType": each, "ComplianceSummary": _counts(roles if each == ROLE else [])} for each in types
        ]
        return {"ComplianceSummariesByResourceType": summaries or [{"ComplianceSummary": _counts(roles)}]}

    def _by_resource(self, place: Place) -> dict[str, list[Result]]:
        """Return the results of all rules, grouped by resource id."""
        by_resource: dict[str, list[Result]] = {}
        for result in self._compliance.results(place):
            by_resource.setdefault(result.resource_id, []).append(result)
        return by_resource


def _place(call: Call) -> Place:
    return (call.account_id, call.region)


def _rule_names(call: Call) -> list[str]:
    """Return the rule names in a call, or all names if it has none."""
    names = call.parameters.get("ConfigRuleNames")
    for name in names or []:
        find_rule(call, name)
    return list(names or config_backends[call.account_id][call.region].config_rules)


def _type(results: Iterable[Result]) -> str:
    """Return the compliance type of a rule or resource from its results."""
    types = {result.compliance for result in results}
    return NON_COMPLIANT if NON_COMPLIANT in types else COMPLIANT if types else INSUFFICIENT_DATA


def _summary(results: list[Result]) -> dict[str, Any]:
    bad = sum(result.compliance == NON_COMPLIANT for result in results)
    contributors = {"ComplianceContributorCount": _capped(bad)} if bad else {}
    return {"ComplianceType": _type(results), **contributors}


def _counts(groups: Iterable[list[Result]]) -> dict[str, Any]:
    """Count compliant and noncompliant rules or resources."""
    types = [_type(results) for results in groups]
    return {
        "CompliantResourceCount": _capped(types.count(COMPLIANT)),
        "NonCompliantResourceCount": _capped(types.count(NON_COMPLIANT)),
        "ComplianceSummaryTimestamp": datetime.now(UTC),
    }


def _capped(count: int) -> dict[str, Any]:
    return {"CappedCount": min(count, _CAP), "CapExceeded": count > _CAP}


def _details(call: Call, results: list[Result]) -> dict[str, Any]:
    """Return one page of results as in GetComplianceDetailsBy…."""
    types = call.parameters.get("ComplianceTypes")
    entries = [
        {
            "EvaluationResultIdentifier": {
                "EvaluationResultQualifier": {
                    "ConfigRuleName": result.rule_name,
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
        for result in results
        if not types or result.compliance in types
    ]
    return page("EvaluationResults", entries, call.parameters.get("NextToken"), _limit(call))


def _filtered(call: Call, key: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    types = call.parameters.get("ComplianceTypes")
    kept = [each for each in entries if not types or each["Compliance"]["ComplianceType"] in types]
    return page(key, kept, call.parameters.get("NextToken"), _limit(call))


def _limit(call: Call) -> int:
    return int(call.parameters.get("Limit") or _PAGE_SIZE)
