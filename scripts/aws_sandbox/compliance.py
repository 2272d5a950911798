"""Evaluation of AWS Config rules.

moto stores rules and never evaluates them. Here AWS's Guard engine evaluates the configuration items of roles against
the policies of `CUSTOM_POLICY` rules; `compliance_answers` serves the results through the API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from moto.config.models import ConfigRule, config_backends

from aws_sandbox.background import Background
from aws_sandbox.call import Call, Reply
from aws_sandbox.config_rules import OWNER, PolicySource, find_rule
from aws_sandbox.configuration_items import ROLE, ConfigurationItem, Place, Recorder
from aws_sandbox.gateway import Operations
from aws_sandbox.guard import GUARD_MISSING, GuardError, find_guard_engine
from aws_sandbox.lock import CallLock

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"

# Guard's statuses; AWS Config keeps no result when a rule skips an item (not applicable).
_COMPLIANCE = {"PASS": COMPLIANT, "FAIL": NON_COMPLIANT}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The result of a rule for a resource.

    Attributes:
        rule_name: Name of the rule.
        resource_id: Id of the resource.
        compliance: `COMPLIANT` or `NON_COMPLIANT`.
        captured: When the evaluated configuration was recorded.
        recorded: When the rule was evaluated.
    """

    rule_name: str
    resource_id: str
    compliance: str
    captured: datetime
    recorded: datetime


@dataclass
class Evaluation:
    """The evaluation status of a rule.

    Attributes:
        results: Results by resource id, without resources that are not applicable or whose evaluation failed.
        succeeded: Time of the last successful evaluation; None = never.
        failed: Time of the last failed evaluation; None = never.
        failure: Reason of the last failure.
    """

    results: dict[str, Result] = field(default_factory=dict)
    succeeded: datetime | None = None
    failed: datetime | None = None
    failure: str = ""


class Compliance:
    """Evaluates the rules of all accounts and regions.

    Args:
        background: Runs evaluations.
        lock: Held during an evaluation.
        recorder: Provides the configuration items.
        flagged: Called for every noncompliant resource with account and region, rule name and resource id.
    """

    def __init__(
        self,
        background: Background,
        lock: CallLock,
        recorder: Recorder,
        flagged: Callable[[Place, str, str], None],
    ) -> None:
        self._background = background
        self._lock = lock
        self._flagged = flagged
        self._recorder = recorder
        recorder.listeners.append(self.evaluate)
        # account and region → rule name → evaluation
        self._evaluations: dict[Place, dict[str, Evaluation]] = {}

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {("config", "StartConfigRulesEvaluation"): self.start_config_rules_evaluation}

    def observe(self, call: Call, _reply: Reply) -> None:
        """Evaluate a new rule, forget a deleted one, evaluate again when remediation is configured."""
        if call.service != "config":
            return
        place = (call.account_id, call.region)
        match call.operation:
            case "PutConfigRule":
                self._background.start(
                    partial(self._evaluate_all, place, [call.parameters["ConfigRule"]["ConfigRuleName"]])
                )
            case "DeleteConfigRule":
                self._evaluations.get(place, {}).pop(call.parameters["ConfigRuleName"], None)
            case "PutRemediationConfigurations":
                for configuration in call.parameters["RemediationConfigurations"]:
                    for result in self.results(place, configuration["ConfigRuleName"]):
                        if result.compliance == NON_COMPLIANT:
                            self._flagged(place, result.rule_name, result.resource_id)

    def evaluation(self, place: Place, name: str) -> Evaluation:
        """Return the evaluation status of a rule."""
        return self._evaluations.setdefault(place, {}).setdefault(name, Evaluation())

    def results(self, place: Place, name: str | None = None) -> list[Result]:
        """Return the results of a rule, or of all rules of an account and region."""
        evaluations: Mapping[str, Evaluation] = self._evaluations.get(place, {})
        return [
            result
            for rule_name, evaluation in evaluations.items()
            if name in {None, rule_name}
            for result in evaluation.results.values()
        ]

    def evaluate(self, place: Place, items: Iterable[ConfigurationItem], names: Iterable[str] | None = None) -> None:
        """Evaluate items against the rules of an account and region.

        Args:
            place: Account and region.
            items: Configuration items.
            names: Names of the rules; None = all.
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

    def _evaluate_all(self, place: Place, names: Iterable[str]) -> None:
        with self._lock:
            self.evaluate(place, self._recorder.newest(place), names)

    def _judge(self, place: Place, rule: ConfigRule, item: ConfigurationItem) -> None:
        name = str(rule.config_rule_name)
        evaluation = self.evaluation(place, name)
        text = cast("PolicySource", rule.source).custom_policy_details["PolicyText"]
        now = datetime.now(UTC)
        try:
            status = "SKIP" if item.is_deleted else _status(item, text)
        # After an engine failure the earlier result is stale; the other items are still evaluated.
        except Exception as error:
            log.exception("%s: the rule %s cannot judge %s", place, name, item.resource_name)
            evaluation.failed, evaluation.failure = now, f"The rule cannot judge {item.resource_name}: {error}"
            status = "SKIP"
        else:
            evaluation.succeeded = now
        compliance = _COMPLIANCE.get(status)
        if compliance is None:
            evaluation.results.pop(item.resource_id, None)
            return
        evaluation.results[item.resource_id] = Result(name, item.resource_id, compliance, item.captured, now)
        if compliance == NON_COMPLIANT:
            self._flagged(place, name, item.resource_id)


def _status(item: ConfigurationItem, policy: str) -> str:
    engine = find_guard_engine()
    if engine is None:
        raise GuardError(GUARD_MISSING)
    return engine.evaluate(item.notified(), policy)


def _concerns_roles(rule: ConfigRule) -> bool:
    """Return whether a rule is a custom policy rule that is triggered by changes of IAM roles."""
    if rule.source.owner != OWNER:
        return False
    types = rule.scope.compliance_resource_types if rule.scope else None
    return (not types or ROLE in types) and any(
        detail.message_type == "ConfigurationItemChangeNotification" for detail in rule.source.source_details or []
    )
