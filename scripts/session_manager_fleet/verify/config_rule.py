"""Check the Config rule for instance roles and its remediation, and name the roles without the policy.

Terraform cannot read the text of a rule: DescribeConfigRules leaves it out, and the provider takes that of its state.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from session_manager_fleet.errors import AccessError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import ROOT_MODULE, permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.instance_policy import policy_arn
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, Verdict, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.recorder import shared_recorder

_ROLE: Final = "AWS::IAM::Role"
# The file holds a whole rule; these literals of it make way for those of an account, as in modules/config_rule/main.tf.
_GUARD = ROOT_MODULE.modules / "config_rule" / "guard" / "session_manager_policy_attached.guard"
_EXAMPLE_POLICY = "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"
_EXAMPLE_NAME = '"SessionManagerLogPolicy"'
_EXAMPLE_ROLES = ",\n  /:role\\x2Fplatform\\x2F/,\n  /\\x2Flegacy-[^\\x2F]*$/"
_IN_FORCE = ("ACTIVE", "EVALUATING")
# As many names as one call gives.
_NAMED_ROLES = 20


def config_rule(reader: Reader, target: Target, values: TargetSettings) -> Check:
    """Check rule, remediation and compliance, in the home region of an account with a recorder."""
    region, name = target.region, values.names.config_rule
    rule = _described(reader, region, name)
    if rule is None:
        return finding("config_rule", f"The Config rule {name} does not exist.")
    if rule["ConfigRuleState"] not in _IN_FORCE:
        message = f"The Config rule {name} is {rule['ConfigRuleState']}: it evaluates no roles."
        return finding("config_rule", message, "Wait until it is gone, then plan and apply this target.", ("apply",))
    if problems := list(_remediation_problems(reader, region, values)):
        return finding("config_rule", f"The Config rule {name} is not as configured: {'; '.join(problems)}.")
    text = reader.call("config", region, "get_custom_rule_policy", ConfigRuleName=name).get("PolicyText", "")
    if text.strip() != expected_text(values, policy_arn(target, values)).strip():
        words = f"--region {region} --config-rule-name {name}"
        fix = (
            "Plan and apply this target. If that changes nothing, delete the rule before, because Terraform cannot "
            f"read its text: `aws configservice delete-remediation-configuration {words} && "
            f"aws configservice delete-config-rule {words}`."
        )
        return finding("config_rule", f"The Guard text of the Config rule {name} is another one.", fix, ("apply",))
    return _compliance(reader, region, values)


def expected_text(values: TargetSettings, policy: str) -> str:
    """Return the Guard text that modules/config_rule gives the rule.

    Args:
        values: Settings with the roles that the rule leaves out.
        policy: ARN of the policy that roles must have.
    """
    settings = values.config_rule
    paths = [f":role{_escaped(path)}" for path in sorted(set(settings.excluded_role_paths))]
    names = [
        "\\x2F" + _escaped(name).replace("*", "[^\\x2F]*").replace("?", "[^\\x2F]") + "$"
        for name in sorted(set(settings.excluded_role_names))
    ]
    # The blocks of the nodes that are not judged go first, by the comments around them.
    left_out = "|".join(kind for kind, judged in values.instance_policy.nodes if not judged)
    judged = re.sub(rf"(?s) *# BEGIN ({left_out})\n.*?# END [a-z_]+\n", "", _GUARD.read_text(encoding="utf-8"))
    rule = re.sub(r"(?m)^ *#.*\n", "", judged)
    excluded = "".join(f",\n  /{expression}/" for expression in (*paths, *names))
    name = json.dumps(policy.rpartition("/")[2])
    return rule.replace(_EXAMPLE_ROLES, excluded).replace(_EXAMPLE_POLICY, policy).replace(_EXAMPLE_NAME, name)


def _escaped(text: str) -> str:
    return re.sub(r"([.+])", r"\\\1", text).replace("/", "\\x2F")


def _described(reader: Reader, region: str, name: str) -> Mapping[str, Any] | None:
    found = reader.find_once("config", region, "describe_config_rules", ConfigRuleNames=[name])
    return next(iter(found["ConfigRules"]), None) if found else None


def _remediation_problems(reader: Reader, region: str, values: TargetSettings) -> Iterator[str]:
    name, document = values.names.config_rule, values.names.automation_document
    answer = reader.find_once("config", region, "describe_remediation_configurations", ConfigRuleNames=[name])
    remediations = answer["RemediationConfigurations"] if answer else []
    if not remediations:
        yield "it has no remediation"
    elif remediations[0]["TargetId"] != document:
        yield f"its remediation runs {remediations[0]['TargetId']}, expected {document}"
    elif remediations[0].get("Automatic", False) != values.config_rule.auto_remediation:
        yield f"its remediation is {'not ' if values.config_rule.auto_remediation else ''}automatic"
    if reader.find("ssm", region, "describe_document", Name=document) is None:
        yield f"the Automation document {document} does not exist"


def _compliance(reader: Reader, region: str, values: TargetSettings) -> Check:
    """Check that AWS Config has found no roles without the policy, and name those that remediation leaves out."""
    name = values.names.config_rule
    results = reader.pages(
        *("config", region, "get_compliance_details_by_config_rule", "EvaluationResults"),
        ConfigRuleName=name,
        ComplianceTypes=["NON_COMPLIANT"],
        PaginationConfig={"PageSize": 100},
    )
    roles = [result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"] for result in results]
    exceptions = {each["ResourceId"]: each.get("Message", "") for each in _exceptions(reader, region, name)}
    names = _names(reader, region, [*roles, *exceptions])
    without = [names.get(role, role) for role in roles[:_NAMED_ROLES]]
    excepted = [
        names.get(role, role) + (f" ({reason.rstrip('.')})" if reason else "")
        for role, reason in list(exceptions.items())[:_NAMED_ROLES]
    ]
    note = f" Excepted from remediation: {_listed(excepted, len(exceptions))}." if excepted else ""
    if not roles:
        return ok("config_rule", f"{name} finds no role without the policy.{note}")
    keys = " ".join(f"resourceType={_ROLE},resourceId={role}" for role in roles[:_NAMED_ROLES])
    fix = (
        f"Remediate them: `aws configservice start-remediation-execution --region {region} --config-rule-name {name} "
        f"--resource-keys {keys}`"
        + (", or set config_rule.auto_remediation." if not values.config_rule.auto_remediation else ".")
    )
    return finding("config_rule", f"Roles without the policy: {_listed(without, len(roles))}.{note}", fix)


def _exceptions(reader: Reader, region: str, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the remediation exceptions of a rule; botocore has no paginator for them."""
    token: dict[str, str] = {}
    while True:
        page = reader.call("config", region, "describe_remediation_exceptions", ConfigRuleName=name, **token)
        yield from page.get("RemediationExceptions", [])
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _names(reader: Reader, region: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of the first roles by their ids, under which AWS Config knows them."""
    if not ids:
        return {}
    asked = list(dict.fromkeys(ids))[:_NAMED_ROLES]
    answer = reader.call("config", region, "list_discovered_resources", resourceType=_ROLE, resourceIds=asked)
    return {
        each["resourceId"]: each["resourceName"] for each in answer["resourceIdentifiers"] if "resourceName" in each
    }


def _listed(names: Sequence[str], count: int) -> str:
    rest = count - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


class ConfigRule(TargetCheck):
    """Check the Config rule for instance roles and its remediation."""

    info = CheckInfo(
        id="config_rule",
        severity=Severity.MEDIUM,
        what="the rule exists, its Guard text is that of this version and these settings, its remediation runs the "
        "Automation document and is automatic as configured, and the document exists. Up to 20 roles that AWS Config "
        "found without the policy are named, and remediation exceptions with their reason. `outside_changes` compares "
        "the content of the document, its role and what the remediation gives it. No plan shows the text of the "
        "rule, because AWS does not return it to the provider, which takes it from the state ([config_rule.go]"
        "(https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/configservice/config_rule.go))",
        why="The rule finds roles of instances that lack the policy, and its remediation attaches it.",
        fix="Plan and apply the home region; delete the rule before where its text differs; remediate the named roles.",
        evidence="rule, its text, remediation, its exceptions, and what AWS Config found",
        where="home region, unless the rule is left out without a recorder",
        permissions=(
            permissions.CONFIG_RULE.allow("config:GetComplianceDetailsByConfigRule", "config:GetCustomRulePolicy"),
            permissions.WITHOUT_RESOURCES.allow(
                "config:DescribeConfigRules",
                "config:DescribeConfigurationRecorderStatus",
                "config:DescribeConfigurationRecorders",
                "config:DescribeRemediationConfigurations",
                "config:DescribeRemediationExceptions",
                "config:ListDiscoveredResources",
            ),
            permissions.DOCUMENTS.allow("ssm:DescribeDocument"),
        ),
        component="config_rule",
        controls=("NIST 800-53 CM-6", "NIST 800-53 SI-2"),
    )

    def applies(self, place: Place) -> bool:
        """Judge home regions with the Config rule."""
        return place.target.is_home and place.values.config_rule.enabled

    def run(self, place: Place) -> Check:
        """Judge the rule, unless a missing recorder leaves it out."""
        with suppress(AccessError):
            if shared_recorder(place).verdict is Verdict.NOT_NEEDED:
                return not_needed("config_rule", "The Config rule is left out without a recorder.")
        return config_rule(place.reader, place.target, place.values)
