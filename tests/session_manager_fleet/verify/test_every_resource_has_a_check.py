"""No resource of a module escapes `verify`: each has a check, or a reason why none judges it."""

from pathlib import Path

import hcl2
import pytest

from session_manager_fleet.verify import CHECKS, PROMISES
from tools import verify_docs

PROJECT = Path(__file__).resolve().parents[3]

_NOT_DEPLOYED = "the rollout does not create it: the module is applied by hand, in an account of the caller's choice"

# By module and type: names of checks, or a reason.
CHECKED_BY: dict[str, tuple[str, ...] | str] = {
    "config_rule/aws_config_config_rule": ("config_rule",),
    "config_rule/aws_config_remediation_configuration": ("config_rule", "outside_changes"),
    "config_rule/aws_iam_role": ("outside_changes",),
    "config_rule/aws_iam_role_policy": ("outside_changes",),
    "config_rule/aws_ssm_document": ("config_rule", "outside_changes"),
    "deployment_roles/aws_iam_openid_connect_provider": _NOT_DEPLOYED,
    "deployment_roles/aws_iam_policy": _NOT_DEPLOYED,
    "deployment_roles/aws_iam_role": _NOT_DEPLOYED,
    "deployment_roles/aws_iam_role_policy": _NOT_DEPLOYED,
    "deployment_roles/aws_iam_role_policy_attachment": _NOT_DEPLOYED,
    "guardrails/aws_iam_policy": _NOT_DEPLOYED,
    "guardrails/aws_organizations_policy": ("guardrails",),
    "guardrails/aws_organizations_policy_attachment": ("guardrails",),
    "instance_policy/aws_iam_policy": ("instance_policy", "outside_changes"),
    "instance_policy/aws_iam_role_policy_attachment": ("roles", "outside_changes"),
    "log_archive/aws_kms_alias": ("bucket", "archive"),
    "log_archive/aws_kms_key": ("bucket", "archive", "outside_changes"),
    "log_archive/aws_s3_bucket": ("bucket", "logs"),
    "log_archive/aws_s3_bucket_lifecycle_configuration": ("archive",),
    "log_archive/aws_s3_bucket_logging": ("archive",),
    "log_archive/aws_s3_bucket_object_lock_configuration": ("archive",),
    "log_archive/aws_s3_bucket_ownership_controls": ("archive",),
    "log_archive/aws_s3_bucket_policy": ("bucket_policy", "outside_changes"),
    "log_archive/aws_s3_bucket_public_access_block": ("archive",),
    "log_archive/aws_s3_bucket_server_side_encryption_configuration": ("bucket",),
    "log_archive/aws_s3_bucket_versioning": ("archive",),
    "log_destination/aws_cloudwatch_log_destination": _NOT_DEPLOYED,
    "log_destination/aws_cloudwatch_log_destination_policy": _NOT_DEPLOYED,
    "log_destination/aws_iam_role": _NOT_DEPLOYED,
    "log_destination/aws_iam_role_policy": _NOT_DEPLOYED,
    "operator_access/aws_iam_policy": _NOT_DEPLOYED,
    "operator_access/aws_iam_role_policy_attachment": _NOT_DEPLOYED,
    "preferences/aws_cloudwatch_event_rule": ("drift_repair",),
    "preferences/aws_cloudwatch_event_target": ("drift_repair",),
    "preferences/aws_cloudwatch_log_data_protection_policy": ("data_protection",),
    "preferences/aws_cloudwatch_log_group": ("log_group", "outside_changes"),
    "preferences/aws_cloudwatch_log_subscription_filter": ("subscription",),
    "preferences/aws_cloudwatch_metric_alarm": ("drift_repair",),
    "preferences/aws_iam_role": ("outside_changes",),
    "preferences/aws_iam_role_policy": ("outside_changes",),
    "preferences/aws_kms_alias": ("keys", "session_key"),
    "preferences/aws_kms_key": ("keys", "session_key", "outside_changes"),
    "preferences/aws_lambda_function": ("drift_repair", "outside_changes"),
    "preferences/aws_lambda_function_event_invoke_config": ("drift_repair",),
    "preferences/aws_lambda_invocation": ("preferences", "applied_preferences"),
    "preferences/aws_lambda_permission": ("drift_repair",),
    "preferences/aws_sqs_queue": ("drift_repair", "outside_changes"),
    "preferences/aws_ssm_parameter": ("applied_preferences",),
    "preferences/aws_ssm_service_setting": ("public_sharing",),
    "vpc_endpoints/aws_security_group": _NOT_DEPLOYED,
    "vpc_endpoints/aws_vpc_endpoint": "the module is applied by hand, but `endpoints` judges any endpoint",
}


def resources() -> set[str]:
    """Return the module and type of every resource."""
    return {
        f"{path.parent.name}/{kind}".replace('"', "")
        for path in sorted((PROJECT / "modules").glob("*/*.tf"))
        for block in hcl2.loads(path.read_text(encoding="utf-8")).get("resource", [])
        for kind in block
    }


def names() -> set[str]:
    """Return the ids of the checks."""
    return {check.info.id for check in CHECKS}


def test_every_resource_has_a_check_or_a_reason() -> None:
    assert resources() - CHECKED_BY.keys() == set(), "add a check to verify/, or say here why none judges it"
    assert CHECKED_BY.keys() - resources() == set(), "no module has such a resource any more"


@pytest.mark.parametrize("resource", CHECKED_BY)
def test_the_checks_exist_and_reasons_are_said(resource: str) -> None:
    checks = CHECKED_BY[resource]
    if isinstance(checks, str):
        assert checks
    else:
        assert set(checks) <= names()


def test_every_check_stands_for_a_promise() -> None:
    assert {check for promise in PROMISES for check in promise.checks} == names()
    assert len(names()) == len(CHECKS)


def test_the_page_says_what_the_checks_declare() -> None:
    text = verify_docs.PAGE.read_text(encoding="utf-8")
    assert verify_docs.page(text) == text, "docs/verify.md is stale: run `make docs`"
