"""Evaluation of AWS Config rules.

moto keeps rules and never evaluates them. Here AWS's own Guard engine judges the configuration items of roles by the
policies of `CUSTOM_POLICY` rules; `compliance_answers` makes the results readable through the API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from cfn_guard_rs.api import run_checks
from moto.config.models import ConfigRule, config_backends

from aws_sandbox.background import Background
from aws_sandbox.call import Call, Reply
from aws_sandbox.config_rules import OWNER, PolicySource, find_rule
from aws_sandbox.configuration_items import ROLE, ConfigurationItem, Place, Recorder
from aws_sandbox.gateway import Operations
from aws_sandbox.lock import CallLock

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"

# Guard's statuses; a rule that skips an item is not applicable, and AWS Config keeps no result of it.
_COMPLIANCE = {"PASS": COMPLIANT, "FAIL": NON_COMPLIANT}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a rule says of a resource.

    Attributes:
        rule_name: The rule.
        resource_id: The resource.
        compliance: `COMPLIANT` or `NON_COMPLIANT`.
        captured: When the configuration that was judged was recorded.
        recorded: When it was judged.
    """

    rule_name: str
    resource_id: str
    compliance: str
    captured: datetime
    recorded: datetime


@dataclass
class Evaluation:
    """What has become of a rule.

    Attributes:
        results: By resource id; none of resources to which the rule does not apply or that it could not judge.
        succeeded: When it last judged a resource; None = never.
        failed: When it last could not; None = never.
        failure: Why it last could not.
    """

    results: dict[str, Result] = field(default_factory=dict)
    succeeded: datetime | None = None
    failed: datetime | None = None
    failure: str = ""


class Compliance:
    """The evaluations of all rules.

    Args:
        background: Where rules are evaluated.
        lock: Taken to evaluate them.
        recorder: Whose items are judged.
        flagged: Told of every resource that is not compliant: account and region, name of the rule, resource id.
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
        """Return what is answered here."""
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
        """Return what has become of a rule of an account and region."""
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

    def _evaluate_all(self, place: Place, names: Iterable[str]) -> None:
        with self._lock:
            self.evaluate(place, self._recorder.newest(place), names)

    def _judge(self, place: Place, rule: ConfigRule, item: ConfigurationItem) -> None:
        name = str(rule.config_rule_name)
        evaluation = self.evaluation(place, name)
        text = cast("PolicySource", rule.source).custom_policy_details["PolicyText"]
        now = datetime.now(UTC)
        try:
            status = "SKIP" if item.is_deleted else run_checks(item.notified(), text).status
        # Whatever the engine fails on, the result of before is no longer true, and other items are judged all the same.
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


def _concerns_roles(rule: ConfigRule) -> bool:
    """Tell whether a rule carries a policy of its own and is triggered by changes of roles."""
    if rule.source.owner != OWNER:
        return False
    types = rule.scope.compliance_resource_types if rule.scope else None
    return (not types or ROLE in types) and any(
        detail.message_type == "ConfigurationItemChangeNotification" for detail in rule.source.source_details or []
    )
