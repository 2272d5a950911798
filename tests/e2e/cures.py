"""Break what an apply made, and do literally what findings say: their AWS commands, then their command line."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3

DOCUMENT, FUNCTION = "SSM-SessionManagerRunShell", "session-manager-preferences"
AUTOMATION = "Attach-ssm-policy-to-instance-profile"
LOG_GROUP = "ssm-sessionmanager-logs"
DEFAULT_ROLE = "default-host-management"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
SHARING = "/ssm/documents/console/public-sharing-permission"
OF_SESSIONS = "Start and end a session."
OF_ENDPOINTS = "Create the endpoints with modules/vpc_endpoints."
_COMMAND = re.compile(r"\baws [a-z][a-z0-9-]+ [a-z][a-z-]+(?: (?!aws\b)(?:'[^']*'|[^\s`()&;]+))*")
_ACCOUNT = re.compile(r"in account (\d{12}): ")
_SERVICES = {"configservice": "config", "s3api": "s3"}
_ENDPOINTS = Path(__file__).parents[2] / "modules" / "vpc_endpoints"

_BY_HAND = "what it names belongs to the organization, which knows its value: the words are no command"
_STATE = "the emulated organization has no such state; a unit test judges it"
_FIRST_ROLLOUT = (
    "it is the first rollout to a region with nodes, which tests/e2e/test_nodes.py follows: it is refused until they "
    "have what sessions need; verify/test_rollout.py finds nothing where the region is named"
)
_OF_DOCTOR = "`doctor` says it before a rollout: tests/e2e/test_doctor.py and test_nodes.py"

# By the text of an advice, with {} for what differs: the checks that it cures in `every_cure_cures`.
FOLLOWED: dict[str, tuple[str, ...]] = {
    "Plan and apply this target.": (
        *("rollout", "preferences", "log_group", "subscription", "data_protection", "drift_repair"),
        *("applied_preferences", "keys", "instance_policy", "config_rule", "guardrails", "outside_changes"),
    ),
    "Plan and apply this target. If that changes nothing, delete the policy before, because the provider compares only "
    "what policies of IAM have: `aws logs delete-data-protection-policy --region {} --log-group-identifier {}`.": (
        "data_protection",
    ),
    "Plan and apply the target of the log archive.": ("bucket", "bucket_policy", "archive"),
    "Apply the home region, then attach the policy to the roles.": ("roles",),
    "Attach the policy: `{}`.": ("roles",),
    "Block it, with a role that the guardrails exempt: aws ssm update-service-setting --region {} --setting-id {} "
    "--setting-value Disable": ("public_sharing",),
    "Cancel its deletion in account {}: aws kms cancel-key-deletion {} && {}": ("archive",),
    "Enable it in account {}: {}": ("session_key", "keys"),
    "In organization.yaml, set preferences.drift_repair.notify_topic_arn to the ARN of an SNS topic in {} whose policy "
    "lets CloudWatch publish; then plan and apply this target.": ("alarm_recipient",),
    "In the management account, run `aws organizations enable-policy-type --root-id {} --policy-type {}`": (
        "guardrails",
    ),
    "{}; then plan and apply this target.": ("guardrails",),
    "Let {} log there, or delete it: {}": ("session_documents",),
    "Plan and apply this target. If that changes nothing, delete the rule before, because Terraform cannot read its "
    "text: `aws configservice delete-remediation-configuration {} && aws configservice delete-config-rule {}`.": (
        "config_rule",
    ),
    "Remediate them: `aws configservice start-remediation-execution --region {} --config-rule-name {} --resource-keys "
    "{}`, or set config_rule.auto_remediation.": ("config_rule",),
    "Read why (aws sqs receive-message {} --max-number-of-messages 10), correct it, and delete the messages, with a "
    "role that the guardrails exempt: aws sqs purge-queue {}": ("drift_repair",),
    "Start it: `aws configservice start-configuration-recorder {}`.": ("recorder",),
    "Take it away, with a role that the guardrails exempt: `aws iam {}`.": ("outside_changes",),
    "Start and end a session. If no log arrives, check the instance's role and the SSM agent's log.": (
        *("logs", "log_streams"),
    ),
    "Create the endpoints with modules/vpc_endpoints. Existing interface endpoints need private DNS; the S3 gateway "
    "endpoint needs the instances' route tables. A bucket in another region needs internet access.": ("endpoints",),
}

# The advice that no test follows literally, with the reason.
NOT_FOLLOWED: dict[str, str] = {
    "A class cannot change: set cloudwatch.log_group_class to {}, or give the log group another name.": _BY_HAND,
    "Add this type to the recorder, or set includeGlobalResourceTypes.": _BY_HAND,
    "Add {} to organization.regions (an override with `regions` leaves other accounts as they are), and apply the "
    "account.": _FIRST_ROLLOUT,
    "Add {} to `regions` of the account in its override, and apply the account.": _FIRST_ROLLOUT,
    "Allow the role {} (see docs/read-policy.json).": (
        "the roles of tests/e2e/test_access.py have exactly that policy, and no check of theirs is not_checked"
    ),
    "Allow these actions in the permissions boundary, or take the roles out of the denial.": _BY_HAND,
    "Apply `--component instance_policy --component config_rule` first, remediate the roles, and apply the preferences "
    "when `plan` names no node any more (docs/nodes.md).": _OF_DOCTOR,
    "Associate a KMS key with the log group.": _BY_HAND,
    "Associate another key.": _BY_HAND,
    "Call it, and read its log group: aws lambda invoke --region {} --function-name {} --cli-binary-format "
    'raw-in-base64-out --payload \'{"action": "reconcile"}\' /dev/stdout': "hours have to pass before it is said",
    "Correct organization.regions.": _OF_DOCTOR,
    "Create a trail for all regions that logs write management events (an organization trail serves all accounts), or "
    "start it with `aws cloudtrail start-logging`. Without it, drift is repaired only on schedule.": _OF_DOCTOR,
    "Create it, or set create_log_group = true.": _BY_HAND,
    "Create the bucket, or correct s3.bucket_name.": _BY_HAND,
    "Create the key, or correct log_archive.bucket_key.kms_key_arn.": _BY_HAND,
    "Create the key, or correct s3.kms_key_arn.": _BY_HAND,
    "Create the key, or correct session_key.kms_key_arn.": _BY_HAND,
    "Create the policy, or set instance_policy.enabled, and attach it.": _BY_HAND,
    "Create the role {} there, let it trust your credentials, or exclude the account.": _OF_DOCTOR,
    "Create {} again, with the policy.": _BY_HAND,
    "Delete the function ({}), then plan and apply.": _STATE,
    "Detach a policy from it, have the quota raised in Service Quotas, or set instance_policy.nodes.inline_at_quota "
    "and remediate the role.": _BY_HAND,
    "If the queue stays empty, the alarm ends within ten minutes.": "there is nothing to do but wait",
    "In the account of the bucket, set it: aws s3api put-bucket-encryption --bucket {} "
    "--server-side-encryption-configuration '{}'": (
        "the bucket of the log archive is created here; verify/test_bucket.py judges the rule that it sets"
    ),
    "In the account, run `aws account enable-region --region-name {}` and wait some minutes; or exclude the region "
    "(--exclude ACCOUNT/{}, or `regions` in an override).": _OF_DOCTOR,
    "Let {} log there, or let its owner share it no more, in account {}: {}": (
        "tests/session_manager_fleet/verify/test_session_documents.py, where the owner is outside of the organization"
    ),
    "Let your credentials, or organization.state.role, read the states (docs/permissions.md).": (
        "the callers of tests/e2e/test_access.py have the policies that `init` writes, and none is not_checked"
    ),
    "Make the key usable: see its state in AWS KMS.": _STATE,
    "Merge the output bucket_policy_statements_json of modules/log_archive into the policy.": (
        "it is for a bucket that existed already, whose policy is its owner's; tests/modules/test_log_archive.py"
    ),
    "Not checked: needs {}.": _OF_DOCTOR,
    "Record this type continuously.": _BY_HAND,
    "Remediate them: `aws configservice start-remediation-execution --region {} --config-rule-name {} --resource-keys "
    "{}`.": "the same command is followed without automatic remediation, with which nothing would be left to find",
    "Set the bucket's default encryption to aws:kms with the full ARN of its key.": _BY_HAND,
    'Set up a recorder that records {}, or set config_rule.without_recorder to "skip".': _BY_HAND,
    "Start and end a session while verify waits; increase --watch if needed.": "tests/e2e/test_verify.py does so",
    "Wait if it was started just now. Regions that AWS Config has served only since February 2022 never record IAM "
    "types: choose another home region.": _STATE,
    "Wait until it is gone, then plan and apply this target.": _STATE,
    "Watch for new logs, and start and end a session meanwhile.": "tests/e2e/test_verify.py does so",
    "{}, or remove guardrails from the settings.": _OF_DOCTOR,
    "{}{}, import it with the commands that the plan prints, or delete it.": _OF_DOCTOR,
}

# The checks whose findings no advice in FOLLOWED cures, with the reason.
UNBROKEN = {"other_regions": "its cure is the first rollout to a region; see NOT_FOLLOWED"}


def unfollowed(fixes: Sequence[str]) -> list[str]:
    """The advice in FOLLOWED that is in none of the texts that were followed."""
    patterns = {advice: ".+?".join(map(re.escape, advice.split("{}"))) for advice in FOLLOWED}
    return [advice for advice, pattern in patterns.items() if not any(re.search(pattern, fix, re.S) for fix in fixes)]


def clients(session: boto3.Session, region: str) -> Callable[[str], Any]:
    """Return what makes the clients of a session in a region, by the name of the service."""
    client: Any = session.client
    return partial(client, region_name=region)


def aws_commands(fix: str) -> list[str]:
    """The commands of the AWS CLI in an advice, in their order."""
    return [found.group().rstrip(".,;:") for found in _COMMAND.finditer(fix) if "--" in found.group()]


def run_aws(session: boto3.Session, command: str) -> None:
    """Run a command of the AWS CLI with boto3: each option is a parameter of the operation."""
    _aws, service, operation, *words = shlex.split(command)
    options: dict[str, list[Any]] = {}
    for word in words:
        if word.startswith("--"):
            options[word[2:]] = []
        else:
            options[next(reversed(options))].append(word)
    region = options.pop("region", [session.region_name])[0]
    client: Any = session.client(_SERVICES.get(service, service), region_name=region)  # type: ignore[call-overload]
    name = operation.replace("-", "_")
    members = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name]).input_shape.members
    spelled = {member.replace("_", "").lower(): member for member in members}
    parameters: dict[str, Any] = {}
    for option, values in options.items():
        member = spelled[option.replace("-", "")]
        kind = members[member].type_name
        if kind == "list":
            parameters[member] = [_structure(value) for value in values]
        else:
            parameters[member] = int(values[0]) if kind == "integer" else values[0]
    getattr(client, name)(**parameters)


def _structure(word: str) -> object:
    return dict(pair.split("=", 1) for pair in word.split(",")) if re.match(r"\w+=", word) else word


@dataclass
class Follower:
    """Does what findings say, as literally as a program can.

    Attributes:
        session_of: Returns a session in an account.
        rollout: Runs the words of a command line of the program.
        by_hand: What to do about an advice without a command, by the words with which it begins.
        fixes: Every advice that was followed.
    """

    session_of: Callable[[str], boto3.Session]
    rollout: Callable[..., None]
    by_hand: Mapping[str, Callable[[], object]]
    fixes: list[str] = field(default_factory=list)

    def follow(self, targets: Sequence[Mapping[str, Any]]) -> None:
        """Run the AWS commands of all findings, each in its account, then each command line once, and do the rest."""
        commands: dict[tuple[str, str], None] = {}
        lines: dict[tuple[str, ...], None] = {}
        by_hand: dict[str, None] = {}
        for target in targets:
            for check in target["checks"]:
                if check["verdict"] != "finding":
                    continue
                self.fixes.append(check["fix"])
                for line in check["fix"].splitlines():
                    account = _ACCOUNT.search(line)
                    where = account[1] if account else target["account_id"]
                    commands.update({(where, command): None for command in aws_commands(line)})
                by_hand.update({begin: None for begin in self.by_hand if check["fix"].startswith(begin)})
                if check["command"]:
                    line_words = shlex.split(check["command"])
                    lines[tuple(line_words[line_words.index("-c") + 2 :])] = None
        for account_id, command in commands:
            run_aws(self.session_of(account_id), command)
        for words in lines:
            self.rollout(*words)
        for begin in by_hand:
            self.by_hand[begin]()


def create_endpoints(session: boto3.Session, vpc: str, organization_id: str, role_arn: str, folder: Path) -> None:
    """Create the endpoints of a VPC with modules/vpc_endpoints, in a root module of one's own."""
    ec2 = session.client("ec2")
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    of_vpc: Any = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = [each["RouteTableId"] for each in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]]
    content = {
        "provider": {"aws": {"region": session.region_name, "assume_role": [{"role_arn": role_arn}]}},
        "module": {
            "endpoints": {
                "source": os.path.relpath(_ENDPOINTS, folder),
                "organization_id": organization_id,
                "vpc_id": vpc,
                "subnet_ids": [ec2.describe_subnets(Filters=of_vpc)["Subnets"][0]["SubnetId"]],
                "route_table_ids": tables,
            }
        },
    }
    (folder / "main.tf.json").write_text(json.dumps(content), encoding="utf-8")
    for arguments in (["init"], ["apply", "-auto-approve"]):
        command = ["terraform", *arguments, "-input=false", "-no-color"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def run_node(client: Callable[[str], Any]) -> tuple[str, str]:
    """Run a managed instance, and return its id and its VPC."""
    made = client("ec2").run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "app-server"}
    )["Instances"][0]
    return made["InstanceId"], made["VpcId"]


def break_document(client: Callable[[str], Any]) -> None:
    """Make a version without logs the default."""
    ssm = client("ssm")
    content = json.loads(ssm.get_document(Name=DOCUMENT)["Content"])
    content["inputs"] |= {"cloudWatchLogGroupName": "", "s3BucketName": "", "s3EncryptionEnabled": False}
    written = ssm.update_document(Name=DOCUMENT, Content=json.dumps(content), DocumentVersion="$LATEST")
    ssm.update_document_default_version(
        Name=DOCUMENT, DocumentVersion=written["DocumentDescription"]["DocumentVersion"]
    )


@dataclass(frozen=True)
class Sabotage:
    """One way to take protection away.

    Attributes:
        check: Check that finds it.
        severity: Severity of the finding.
        do: Takes the protection away.
        undo: Gives it back, where an apply is not needed for that.
        elsewhere: Whether it is done in the other region.
    """

    check: str
    severity: str
    do: Callable[[], object]
    undo: Callable[[], object] = lambda: None
    elsewhere: bool = False


def sabotages(
    management: Callable[[str], Any], home: Callable[[str], Any], other: Callable[[str], Any], account: str, region: str
) -> list[Sabotage]:
    """Return the sabotages of an audit, that of the function last: it is not undone.

    Args:
        management: Makes clients in the management account.
        home: Makes clients in the account, in its home region.
        other: Makes clients in the account, in the other region.
        account: Id of the account.
        region: The home region.
    """
    events, iam = home("events"), home("iam")
    role = {"RoleName": DEFAULT_ROLE, "PolicyArn": f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy"}
    rules = [f"{FUNCTION}-{rule}" for rule in ("api-calls", "schedule")]
    return [
        Sabotage(
            *("guardrails", "critical"),
            lambda: detach_guardrails(management, account),
            lambda: attach_guardrails(management, account),
        ),
        Sabotage(
            *("drift_repair", "high"),
            lambda: [events.disable_rule(Name=rule) for rule in rules],
            lambda: [events.enable_rule(Name=rule) for rule in rules],
        ),
        Sabotage(
            *("public_sharing", "critical"),
            lambda: share_publicly(home, account, region),
            lambda: share_publicly(home, account, region, "Disable"),
        ),
        Sabotage("roles", "high", lambda: iam.detach_role_policy(**role), lambda: iam.attach_role_policy(**role)),
        Sabotage("drift_repair", "high", lambda: delete_function(other), elsewhere=True),
    ]


def use_default_host_management(client: Callable[[str], Any], account: str, region: str) -> None:
    """Let Systems Manager manage instances with a role that lacks the instance policy."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    client("iam").create_role(RoleName=DEFAULT_ROLE, AssumeRolePolicyDocument=document)
    setting = "/ssm/managed-instance/default-ec2-instance-management-role"
    arn = f"arn:aws:ssm:{region}:{account}:servicesetting{setting}"
    client("ssm").update_service_setting(SettingId=arn, SettingValue=DEFAULT_ROLE)


def break_failures(client: Callable[[str], Any]) -> None:
    """Take the alarm away and the destination of failures, and let a failure wait in the queue."""
    client("cloudwatch").delete_alarms(AlarmNames=[f"{FUNCTION}-failures"])
    client("lambda").delete_function_event_invoke_config(FunctionName=FUNCTION)
    queue = client("sqs").get_queue_url(QueueName=f"{FUNCTION}-failures")["QueueUrl"]
    client("sqs").send_message(QueueUrl=queue, MessageBody="{}")


def delete_function(client: Callable[[str], Any]) -> None:
    """Delete the function, with its permissions; it may be gone."""
    with suppress(client("lambda").exceptions.ResourceNotFoundException):
        client("lambda").delete_function(FunctionName=FUNCTION)


def break_stored_settings(client: Callable[[str], Any]) -> None:
    """Store no settings, and another key id."""
    client("ssm").delete_parameter(Name="/session-manager/applied-preferences")
    client("ssm").put_parameter(Name="/session-manager/session-data-key", Value="another", Overwrite=True)


def break_keys(client: Callable[[str], Any]) -> None:
    """Disable the session key and the rotation of the log group's key, and schedule the deletion of the archive's."""
    kms = client("kms")
    logs, data, archive = (
        kms.describe_key(KeyId=f"alias/session-manager/{name}")["KeyMetadata"]["KeyId"]
        for name in ("logs", "data", "log-archive")
    )
    kms.disable_key_rotation(KeyId=logs)
    kms.disable_key(KeyId=data)
    kms.schedule_key_deletion(KeyId=archive, PendingWindowInDays=7)


def break_log_group(client: Callable[[str], Any]) -> None:
    """Keep session logs for a day, mask less in them, of which Terraform sees nothing, and send none on."""
    logs = client("logs")
    logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=1)
    policy = json.loads(logs.get_data_protection_policy(logGroupIdentifier=LOG_GROUP)["policyDocument"])
    for statement in policy["Statement"]:
        statement["DataIdentifier"] = statement["DataIdentifier"][:1]
    logs.put_data_protection_policy(logGroupIdentifier=LOG_GROUP, policyDocument=json.dumps(policy))
    client("logs").delete_subscription_filter(logGroupName=LOG_GROUP, filterName="session-manager")


def break_archive(client: Callable[[str], Any]) -> None:
    """Take the bucket policy of the log archive away, its encryption and its versions."""
    s3 = client("s3")
    bucket = _archive(s3)
    s3.delete_bucket_policy(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def empty_archive(client: Callable[[str], Any]) -> None:
    """Delete the logs in the archive, which its policy forbids: a bucket that holds any is not destroyed."""
    s3 = client("s3")
    bucket = _archive(s3)
    s3.delete_bucket_policy(Bucket=bucket)
    for each in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def _archive(s3: Any) -> str:  # noqa: ANN401 - a client
    names = [str(each["Name"]) for each in s3.list_buckets()["Buckets"]]
    return next(name for name in names if name.startswith("session-manager-logs-"))


def add_document(client: Callable[[str], Any]) -> None:
    """Add a Session document that logs nowhere."""
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {}}
    client("ssm").create_document(Name="Team-Shell", Content=json.dumps(content), DocumentType="Session")


def share_publicly(client: Callable[[str], Any], account: str, region: str, value: str = "Enable") -> None:
    """Allow public sharing of documents, or forbid it again."""
    setting = f"arn:aws:ssm:{region}:{account}:servicesetting{SHARING}"
    client("ssm").update_service_setting(SettingId=setting, SettingValue=value)


def delete_instance_policy(client: Callable[[str], Any], account: str) -> None:
    """Detach the policy from all roles, and delete it."""
    iam, policy = client("iam"), f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy"
    for role in iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"]:
        iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)


def break_config_rule(client: Callable[[str], Any]) -> None:
    """Give the rule a text that all roles comply with, and stop the recorder."""
    config = client("config")
    (rule,) = config.describe_config_rules()["ConfigRules"]
    details = {
        "PolicyRuntime": "guard-2.x.x",
        "PolicyText": "rule all when resourceType == 'AWS::S3::Bucket' { resourceType exists }",
    }
    kept = {key: rule[key] for key in ("ConfigRuleName", "Description", "Scope") if key in rule}
    source = {"Owner": "CUSTOM_POLICY", "SourceDetails": rule["Source"]["SourceDetails"]}
    config.put_config_rule(ConfigRule={**kept, "Source": {**source, "CustomPolicyDetails": details}})
    (recorder,) = config.describe_configuration_recorders()["ConfigurationRecorders"]
    config.stop_configuration_recorder(ConfigurationRecorderName=recorder["name"])


def widen_rights(client: Callable[[str], Any]) -> None:
    """Let every account assume the role of the remediation, with all rights, and let it attach another policy."""
    iam, config = client("iam"), client("config")
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for call, argument, statement in (
        (iam.update_assume_role_policy, {}, anybody),
        (iam.put_role_policy, {"PolicyName": AUTOMATION}, everything),
        (iam.put_role_policy, {"PolicyName": "further"}, everything),
    ):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        call(RoleName=AUTOMATION, PolicyDocument=document, **argument)
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    further = iam.create_policy(PolicyName="further", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=AUTOMATION, PolicyArn=further)
    (rule,) = config.describe_config_rules()["ConfigRules"]
    where = {"ConfigRuleNames": [rule["ConfigRuleName"]]}
    (found,) = config.describe_remediation_configurations(**where)["RemediationConfigurations"]
    found["Parameters"]["PolicyArn"] = {"StaticValue": {"Values": [ADMINISTRATOR]}}
    kept = {name: value for name, value in found.items() if name not in {"Arn", "CreatedByService"}}
    config.put_remediation_configurations(RemediationConfigurations=[kept])


def delete_all(client: Callable[[str], Any]) -> None:
    """Delete what an apply made in a region, but the keys, the alarm and the record of the original document."""
    delete_function(client)
    events, ssm, logs, kms = (client(service) for service in ("events", "ssm", "logs", "kms"))
    for rule in (each["Name"] for each in events.list_rules()["Rules"]):
        events.remove_targets(Rule=rule, Ids=[each["Id"] for each in events.list_targets_by_rule(Rule=rule)["Targets"]])
        events.delete_rule(Name=rule)
    client("sqs").delete_queue(QueueUrl=client("sqs").get_queue_url(QueueName=f"{FUNCTION}-failures")["QueueUrl"])
    for name in ("applied-preferences", "session-data-key"):
        ssm.delete_parameter(Name=f"/session-manager/{name}")
    ssm.delete_document(Name=DOCUMENT)
    for group in (LOG_GROUP, f"/aws/lambda/{FUNCTION}"):
        logs.delete_log_group(logGroupName=group)
    for alias in (each["AliasName"] for each in kms.list_aliases()["Aliases"]):
        if alias.startswith("alias/session-manager/"):
            kms.delete_alias(AliasName=alias)


def switch_off_guardrails(client: Callable[[str], Any]) -> None:
    """Disable service control policies in the organization."""
    root = client("organizations").list_roots()["Roots"][0]["Id"]
    client("organizations").disable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")


def detach_guardrails(client: Callable[[str], Any], target: str) -> None:
    """Detach the service control policy."""
    client("organizations").detach_policy(PolicyId=_guardrails(client), TargetId=target)


def attach_guardrails(client: Callable[[str], Any], target: str) -> None:
    """Attach the service control policy again."""
    client("organizations").attach_policy(PolicyId=_guardrails(client), TargetId=target)


def _guardrails(client: Callable[[str], Any]) -> str:
    policies = client("organizations").list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
    return next(str(each["Id"]) for each in policies if each["Name"] == "session-manager-guardrails")
