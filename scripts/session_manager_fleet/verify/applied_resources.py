"""Compare live resources with what Terraform's state says of them, where it matters who may do what."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.terraform import ManagedResource
from session_manager_fleet.verify.log_group import find_group
from session_manager_fleet.verify.reading import Reader, error_code

Attributes = Mapping[str, Any]
# What is compared, as AWS has it now and as the state has it.
Compared = tuple[str, object, object]


@dataclass(frozen=True)
class Live:
    """Where the resources of a target are.

    Attributes:
        reader: In their account.
        region: Their region.
    """

    reader: Reader
    region: str

    def find(self, service: str, method: str, **arguments: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
        """Return the answer to a call; None if what it is about does not exist."""
        return self.reader.find_once(service, self.region, method, **arguments)


def differences(live: Live, resource: ManagedResource) -> Iterator[str]:
    """Yield what is not as in the state, as it reads after "Not as the last apply wrote it: ".

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
        LookupError, AttributeError, TypeError, ValueError: The state has another form.
    """
    compare = _COMPARE.get(resource.type)
    if compare is None:
        return
    kind, name, read = compare
    compared = read(live, resource.attributes)
    called = f"the {kind} {resource.attributes[name]}"
    if compared is None:
        if resource.type in _ONLY_HERE:
            yield f"{called} does not exist"
        return
    if others := [what for what, found, applied in compared if found != applied]:
        yield f"{called} has another {' and another '.join(others)}"


def further_policies(live: Live, resources: Sequence[ManagedResource]) -> Iterator[tuple[str, str]]:
    """Yield the policies that the roles in a state have besides those in it, with the commands that take them away.

    Terraform leaves them: it manages the policies of a role one by one.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
        LookupError: The state has another form.
    """
    of_type = {kind: [each.attributes for each in resources if each.type == kind] for kind in _POLICIES_OF_ROLES}
    for name in sorted(a["name"] for a in of_type["aws_iam_role"]):
        has = f"the role {name} also has the policy"
        texts = {a["name"] for a in of_type["aws_iam_role_policy"] if a["role"] == name}
        for text in sorted(set(_all(live, "list_role_policies", "PolicyNames", name)) - texts):
            yield f"{has} {text}", f"delete-role-policy --role-name {name} --policy-name {text}"
        attached = {a["policy_arn"] for a in of_type["aws_iam_role_policy_attachment"] if a["role"] == name}
        found = {each["PolicyArn"] for each in _all(live, "list_attached_role_policies", "AttachedPolicies", name)}
        for arn in sorted(found - attached):
            yield f"{has} {arn}", f"detach-role-policy --role-name {name} --policy-arn {arn}"


def _all(live: Live, method: str, key: str, role: str) -> list[Any]:
    """Return all of what IAM lists of a role; nothing of one that is gone."""
    try:
        return list(live.reader.pages("iam", live.region, method, key, RoleName=role))
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return []


def _canonical(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a policy so that equal ones are equal: AWS changes the order of lists, and a list of one is its entry."""
    if isinstance(document, Mapping):
        return {name: _canonical(value) for name, value in document.items()}
    if isinstance(document, list):
        entries = [_canonical(entry) for entry in document]
        return entries[0] if len(entries) == 1 else sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
    return str(document).lower() if isinstance(document, bool) else document


def _policy(document: Any) -> Any:  # noqa: ANN401 - botocore decodes those of IAM, and leaves others as text
    return _canonical(json.loads(document) if isinstance(document, str) else document)


def _role(live: Live, a: Attributes) -> list[Compared] | None:
    found = live.find("iam", "get_role", RoleName=a["name"])
    if found is None:
        return None
    boundary = found["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    return [
        ("trust policy", _policy(found["Role"]["AssumeRolePolicyDocument"]), _policy(a["assume_role_policy"])),
        ("permissions boundary", boundary, a["permissions_boundary"] or ""),
    ]


def _role_policy(live: Live, a: Attributes) -> list[Compared] | None:
    found = live.find("iam", "get_role_policy", RoleName=a["role"], PolicyName=a["name"])
    return None if found is None else [("text", _policy(found["PolicyDocument"]), _policy(a["policy"]))]


def _iam_policy(live: Live, a: Attributes) -> list[Compared] | None:
    found = live.find("iam", "get_policy", PolicyArn=a["arn"])
    if found is None:
        return None
    version = found["Policy"]["DefaultVersionId"]
    text = live.find("iam", "get_policy_version", PolicyArn=a["arn"], VersionId=version)
    return None if text is None else [("text", _policy(text["PolicyVersion"]["Document"]), _policy(a["policy"]))]


def _attachment(live: Live, a: Attributes) -> list[Compared] | None:
    attached = _all(live, "list_attached_role_policies", "AttachedPolicies", a["role"])
    return [] if any(each["PolicyArn"] == a["policy_arn"] for each in attached) else None


def _key(live: Live, a: Attributes) -> list[Compared] | None:
    found = live.find("kms", "get_key_policy", KeyId=a["arn"], PolicyName="default")
    return None if found is None else [("policy", _policy(found["Policy"]), _policy(a["policy"]))]


def _queue(live: Live, a: Attributes) -> list[Compared] | None:
    names = ("Policy", "KmsMasterKeyId", "MessageRetentionPeriod")
    answer = live.find("sqs", "get_queue_attributes", QueueUrl=a["url"], AttributeNames=names)
    if answer is None:
        return None
    found = answer.get("Attributes", {})
    return [
        ("policy", _policy(found.get("Policy") or "{}"), _policy(a["policy"] or "{}")),
        ("key", found.get("KmsMasterKeyId", ""), a["kms_master_key_id"] or ""),
        ("retention", int(found["MessageRetentionPeriod"]), a["message_retention_seconds"]),
    ]


def _function(live: Live, a: Attributes) -> list[Compared] | None:
    answer = live.find("lambda", "get_function", FunctionName=a["function_name"])
    if answer is None:
        return None
    found = answer["Configuration"]
    variables = [each["variables"] or {} for each in a["environment"] or []]
    return [
        ("role", found["Role"], a["role"]),
        ("handler", found["Handler"], a["handler"]),
        ("runtime", found["Runtime"], a["runtime"]),
        ("time limit", found["Timeout"], a["timeout"]),
        ("layers", [layer["Arn"] for layer in found.get("Layers", [])], list(a["layers"] or [])),
        ("environment", found.get("Environment", {}).get("Variables", {}), variables[0] if variables else {}),
        (
            "log group",
            found.get("LoggingConfig", {}).get("LogGroup"),
            next((each["log_group"] for each in a["logging_config"]), None),
        ),
    ]


def _document(live: Live, a: Attributes) -> list[Compared] | None:
    found = live.find("ssm", "get_document", Name=a["name"], DocumentFormat="JSON")
    if found is None:
        return None
    shared = live.find("ssm", "describe_document_permission", Name=a["name"], PermissionType="Share") or {}
    accounts = [each for each in str((a["permissions"] or {}).get("account_ids", "")).split(",") if each]
    return [
        ("content", json.loads(found["Content"]), json.loads(a["content"])),
        ("list of accounts that it is shared with", sorted(shared.get("AccountIds", [])), sorted(accounts)),
    ]


def _config_rule(live: Live, a: Attributes) -> list[Compared] | None:
    answer = live.find("config", "describe_config_rules", ConfigRuleNames=[a["name"]])
    if not answer or not answer["ConfigRules"]:
        return None
    found, source = answer["ConfigRules"][0], a["source"][0]
    details = [(each["EventSource"], each["MessageType"]) for each in found["Source"].get("SourceDetails", [])]
    applied = [(each["event_source"], each["message_type"]) for each in source["source_detail"]]
    types = [kind for each in a["scope"] for kind in each["compliance_resource_types"] or []]
    return [
        ("scope", sorted(found.get("Scope", {}).get("ComplianceResourceTypes", [])), sorted(types)),
        ("trigger", sorted(details), sorted(applied)),
    ]


def _remediation(live: Live, a: Attributes) -> list[Compared] | None:
    name = a["config_rule_name"]
    answer = live.find("config", "describe_remediation_configurations", ConfigRuleNames=[name])
    if not answer or not answer["RemediationConfigurations"]:
        return None
    found = answer["RemediationConfigurations"][0]
    parameters = {
        name: value.get("StaticValue", {}).get("Values") or [value.get("ResourceValue", {}).get("Value")]
        for name, value in found.get("Parameters", {}).items()
    }
    applied = {
        each["name"]: list(each["static_values"] or []) or [each["static_value"] or each["resource_value"]]
        for each in a["parameter"]
    }
    return [("document", found["TargetId"], a["target_id"]), ("set of parameters", parameters, applied)]


def _bucket_policy(live: Live, a: Attributes) -> list[Compared] | None:
    try:
        answer = live.reader.call("s3", live.region, "get_bucket_policy", Bucket=a["bucket"])
    except ClientError as error:
        if error_code(error) not in {"NoSuchBucket", "NoSuchBucketPolicy"}:
            raise
        return None
    return [("text", _policy(answer["Policy"]), _policy(a["policy"]))]


def _organizations_policy(live: Live, a: Attributes) -> list[Compared] | None:
    try:
        found = live.find("organizations", "describe_policy", PolicyId=a["id"])
    except ClientError as error:
        if error_code(error) != "PolicyNotFoundException":
            raise
        return None
    return None if found is None else [("text", _policy(found["Policy"]["Content"]), _policy(a["content"]))]


def _log_group(live: Live, a: Attributes) -> list[Compared] | None:
    found = find_group(live.reader, live.region, a["name"])
    if found is None:
        return None
    return [
        ("key", found.get("kmsKeyId", ""), a["kms_key_id"] or ""),
        ("retention", found.get("retentionInDays", 0), a["retention_in_days"]),
    ]


_POLICIES_OF_ROLES = ("aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment")
# Of what else is gone, the check that stands for it says so, with a better cure.
_ONLY_HERE = _POLICIES_OF_ROLES
_Read = Callable[[Live, Attributes], list[Compared] | None]
# By type: how messages call it, the attribute with its name, and what is compared.
_COMPARE: Mapping[str, tuple[str, str, _Read]] = {
    "aws_cloudwatch_log_group": ("log group", "name", _log_group),
    "aws_config_config_rule": ("Config rule", "name", _config_rule),
    "aws_config_remediation_configuration": ("remediation of", "config_rule_name", _remediation),
    "aws_iam_policy": ("policy", "arn", _iam_policy),
    "aws_iam_role": ("role", "name", _role),
    "aws_iam_role_policy": ("policy of the role", "role", _role_policy),
    "aws_iam_role_policy_attachment": ("attachment of the policy to the role", "role", _attachment),
    "aws_kms_key": ("key", "arn", _key),
    "aws_lambda_function": ("function", "function_name", _function),
    "aws_organizations_policy": ("service control policy", "name", _organizations_policy),
    "aws_s3_bucket_policy": ("policy of the bucket", "bucket", _bucket_policy),
    "aws_sqs_queue": ("queue", "name", _queue),
    "aws_ssm_document": ("document", "name", _document),
}
