"""The policies that Terraform makes, judged by an IAM simulator over the requests in the *_requests.yaml files.

Each file has two YAML documents. The first says who asks (`subjects`) and what protects what is asked for
(`resources`); the second has the requests of each subject:

    action   what is asked for
    why      what needs it, or what the neighbours have in common
    context  context keys of the request (optional)
    allow, deny, deny_explicitly
             the resources; each is a request of its own. deny_explicitly wants a Deny statement to say so.

In all of it, {account} is a member account, {log_archive} that of the log archive, {organization} the id of their
organization, {session_key} the member's key for session data, {merging_session_key} the same with adopt = "merge",
{bucket_key} the key of the log archive's bucket and {organization_key} its key for session data. Keys and topics that
no entry of `resources` protects trust the account of the caller; other resources have no policy of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.judges.conftest import Judge, Products

MATRICES = sorted(Path(__file__).parent.glob("*_requests.yaml"))
RESULTS = {"allow": "Allowed", "deny": "ImplicitlyDenied", "deny_explicitly": "ExplicitlyDenied"}
FULL_ACCESS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

# The simulator knows the condition keys of encryption contexts by their pattern only.
ENCRYPTION_CONTEXT = re.compile(r"kms:EncryptionContext:[\w:]+")
PATTERN = "kms:EncryptionContext:${EncryptionContextKey}"


@dataclass(frozen=True)
class Subject:
    """Who asks, and the policies that decide, by their names in `Products.policies`.

    Attributes:
        principal: ARN of a user, role or session, name of a service, or `anonymous`.
        identity: Policies of the one who asks.
        boundary: Permissions boundary of the one who asks.
        scps: Service control policies of the account, besides the one that allows everything.
        endpoint: Policy of the VPC endpoint that requests go through.
        trust: Policy of the role that is to be assumed.
        allows_everything: Whether the one who asks is an administrator.
        context: Context keys of every request; those of a request come first, and take one away with null.
    """

    principal: str
    identity: list[str] = field(default_factory=list)
    boundary: list[str] = field(default_factory=list)
    scps: list[str] = field(default_factory=list)
    endpoint: str = ""
    trust: str = ""
    allows_everything: bool = False
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resource:
    """What protects resources: the policy of all whose ARN matches a pattern, and the account that they belong to."""

    arn: str
    policy: str
    account: str = ""


@dataclass(frozen=True)
class Matrix:
    """One file."""

    subjects: Mapping[str, Subject]
    resources: tuple[Resource, ...]
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Request:
    """One request, and what IAM must answer; the context as JSON."""

    matrix: str
    subject: str
    action: str
    why: str
    resource: str
    context: str
    result: str


def read_matrix(file: Path) -> Matrix:
    """A file; a key that is not known is an error."""
    layers, subjects = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    known = {name: Subject(**subject) for name, subject in layers.pop("subjects").items()}
    resources = tuple(Resource(**resource) for resource in layers.pop("resources", []))
    assert not layers, f"{file.name}: unknown keys {set(layers)}"
    requests = sorted(_requests(file.stem, subjects), key=lambda r: (r.subject, r.action, r.result))
    return Matrix(known, resources, tuple(requests))


def _requests(matrix: str, subjects: Mapping[str, list[dict[str, Any]]]) -> Iterator[Request]:
    for subject, entries in subjects.items():
        for entry in entries:
            unknown = entry.keys() - {"action", "why", "context", *RESULTS}
            assert not unknown, f"{matrix}: {subject}, {entry['action']}: unknown keys {unknown}"
            for verdict in RESULTS.keys() & entry.keys():
                for resource in entry[verdict]:
                    context = json.dumps(entry.get("context", {}))
                    yield Request(matrix, subject, entry["action"], entry["why"], resource, context, RESULTS[verdict])


ALL = {file.stem: read_matrix(file) for file in MATRICES}
REQUESTS = [request for matrix in ALL.values() for request in matrix.requests]


def simulation(request: Request, products: Products) -> dict[str, Any]:
    """The request as the simulator takes it."""
    matrix = ALL[request.matrix]
    subject = matrix.subjects[request.subject]
    principal, resource = products.fill(subject.principal), products.fill(request.resource)
    account = principal.split(":")[4] if principal.startswith("arn:") else products.names["account"]
    _, _, service, _, owner, *_ = resource.split(":") + [""] * 5

    def policies(names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "policy": products.policies[name]} for name in names]

    everything = {"name": "everything", "policy": FULL_ACCESS}
    simulated: dict[str, Any] = {
        "request": {
            "principal": {"type": "Anonymous"} if principal == "anonymous" else principal,
            "action": request.action,
            "resource": {"resource": resource, "accountId": owner or account},
            "contextVariables": {
                key: value
                for key, value in {
                    **principal_context(principal),
                    **json.loads(products.fill(json.dumps(subject.context))),
                    **json.loads(products.fill(request.context)),
                }.items()
                if value is not None
            },
        },
        "identityPolicies": [*policies(subject.identity), *([everything] if subject.allows_everything else [])],
        "serviceControlPolicies": [{"orgIdentifier": account, "policies": [everything, *policies(subject.scps)]}]
        if subject.scps
        else [],
        "resourceControlPolicies": [],
    }
    if subject.boundary:
        simulated["permissionBoundaryPolicies"] = policies(subject.boundary)
    if subject.endpoint:
        simulated["vpcEndpointPolicies"] = policies([subject.endpoint])
    protection = next((item for item in matrix.resources if fnmatchcase(resource, products.fill(item.arn))), None)
    if subject.trust:
        simulated["resourcePolicy"] = products.policies[subject.trust]
    elif protection:
        simulated["resourcePolicy"] = products.policies[protection.policy]
        simulated["request"]["resource"]["accountId"] = products.fill(protection.account) or owner or account
    elif service in {"kms", "sns"}:
        simulated["resourcePolicy"] = trusting_policy(service, account, principal.split(":")[1])
    return with_known_condition_keys(simulated)


def policies_of(request: Request, products: Products) -> set[str]:
    """The policies by which a request is decided."""
    matrix = ALL[request.matrix]
    subject, resource = matrix.subjects[request.subject], products.fill(request.resource)
    named = {*subject.identity, *subject.boundary, *subject.scps, subject.endpoint, subject.trust} - {""}
    return named | {item.policy for item in matrix.resources if fnmatchcase(resource, products.fill(item.arn))}


def may_decide(statement: dict[str, Any], request: Request) -> bool:
    """Whether a statement has to do with an answer: it names the action, and has the effect."""
    named = statement.get("Action", [])
    actions = [named] if isinstance(named, str) else named
    matches = "NotAction" in statement or any(fnmatchcase(request.action.lower(), each.lower()) for each in actions)
    return matches and (statement["Effect"] == "Allow") == (request.result == RESULTS["allow"])


def with_statement(products: Products, policy: str, number: int, changed: dict[str, Any]) -> Products:
    """The products with one statement of a policy changed."""
    document = products.policies[policy]
    statements = [changed if at == number else each for at, each in enumerate(document["Statement"])]
    return replace(products, policies={**products.policies, policy: {**document, "Statement": statements}})


def without(products: Products, policy: str, number: int) -> Products:
    """The products with one statement of a policy about something that nobody asks for."""
    statement = products.policies[policy]["Statement"][number]
    kept = {key: value for key, value in statement.items() if key != "NotAction"}
    return with_statement(products, policy, number, {**kept, "Action": "sts:GetFederationToken"})


@dataclass(frozen=True)
class Omission:
    """A statement of a policy from which one condition, action or resource is missing.

    Attributes:
        policy: Name of the policy.
        number: Which of its statements it is.
        element: What it is taken from: `Action`, `Resource`, `NotResource` or `Condition`.
        value: What is missing: an action, a resource, or operator and key of a condition.
        changed: The statement without it.
        original: The statement as it was.
    """

    policy: str
    number: int
    element: str
    value: str
    changed: dict[str, Any]
    original: dict[str, Any]

    @property
    def name(self) -> str:
        """What is missing where, the same for all forms in which a module is judged."""
        module, _, document = self.policy.partition(".")
        family = next(family for family in HARDENED if module.startswith(family))
        return f"{family}.{document} {self.original['Sid']}: {self.element} {self.value}"

    def concerns(self, request: Request, products: Products) -> bool:
        """Whether it could change the answer to a request."""
        if self.policy not in policies_of(request, products):
            return False
        # Without a condition, or an exception, a statement says more, and otherwise less.
        says_more = self.element in {"Condition", "NotResource"}
        effect = "Allowed" if self.original["Effect"] == "Allow" else "ExplicitlyDenied"
        if says_more == (request.result == effect):
            return False
        actions = [self.value] if self.element == "Action" else many(self.original["Action"])
        resources = (
            [self.value] if self.element in {"Resource", "NotResource"} else many(self.original.get("Resource", "*"))
        )
        asked = products.fill(request.resource)
        # IAM fills in the variables of a policy: whatever they may stand for.
        return any(fnmatchcase(request.action.lower(), each.lower()) for each in actions) and any(
            fnmatchcase(asked, re.sub(r"\$\{[^}]+\}", "*", each)) for each in resources
        )


def omissions(policy: str, number: int, statement: dict[str, Any]) -> Iterator[Omission]:
    """Every condition of a statement left out, and every action and resource of those that have others."""
    for element in {"Action", "Resource", "NotResource"} & statement.keys():
        values = many(statement[element])
        for value in values if len(values) > 1 else []:
            changed = {**statement, element: [each for each in values if each != value]}
            yield Omission(policy, number, element, value, changed, statement)
    conditions = statement.get("Condition", {})
    for operator, keys in conditions.items():
        for key in keys:
            rest = {each: value for each, value in keys.items() if each != key}
            others = {name: values for name, values in {**conditions, operator: rest}.items() if values}
            changed = {**statement, "Condition": others}
            yield Omission(policy, number, "Condition", f"{operator} {key}", changed, statement)


def many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def principal_context(principal: str) -> dict[str, str]:
    """What IAM itself says about users, roles and their sessions."""
    if not principal.startswith("arn:"):
        return {}
    session = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/[^/]+", principal)
    arn = "arn:{}:iam::{}:role/{}".format(*session.groups()) if session else principal
    return {"aws:PrincipalAccount": principal.split(":")[4], "aws:PrincipalArn": arn}


def with_known_condition_keys(simulated: dict[str, Any]) -> dict[str, Any]:
    """A simulation whose encryption context, in request and policy, has the name that the simulator knows."""
    text = json.dumps(simulated)
    assert len(set(ENCRYPTION_CONTEXT.findall(text))) <= 1, "several keys of the encryption context would become one"
    known: dict[str, Any] = json.loads(ENCRYPTION_CONTEXT.sub(lambda _: PATTERN, text))
    return known


def trusting_policy(service: str, account: str, partition: str) -> dict[str, Any]:
    """The policy of a key or a topic that leaves the decision to the account of the one who asks."""
    root = f"arn:{partition}:iam::{account}:root"
    allow = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": f"{service}:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [allow]}


@pytest.fixture(scope="session")
def answers(judge: Judge, products: Products) -> dict[Request, dict[str, Any]]:
    """What the simulator says to every request."""
    simulations = [simulation(request, products) for request in REQUESTS]
    return dict(zip(REQUESTS, judge("simulate_requests.mjs", simulations), strict=True))


@pytest.mark.parametrize("name", ALL)
def test_each_matrix_is_large_and_asks_everyone(name: str) -> None:
    matrix = ALL[name]
    assert len(matrix.requests) >= 20
    assert {request.subject for request in matrix.requests} == matrix.subjects.keys()
    assert len(set(matrix.requests)) == len(matrix.requests)
    assert {request.result for request in matrix.requests} >= {"Allowed", "ImplicitlyDenied"}


@pytest.mark.parametrize(
    "request_",
    REQUESTS,
    ids=lambda request: f"{request.subject}: {request.action} ({request.why}) on {request.resource}",
)
def test_request(request_: Request, answers: dict[Request, dict[str, Any]]) -> None:
    answer = answers[request_]

    assert answer["errors"] is None
    assert answer["ignoredContextKeys"] == [], "a condition on these keys could never hold"
    assert answer["result"] == request_.result


def test_no_statement_can_go_unnoticed(
    judge: Judge, products: Products, answers: dict[Request, dict[str, Any]]
) -> None:
    statements = {
        (policy, number): statement
        for policy in {policy for request in REQUESTS for policy in policies_of(request, products)}
        for number, statement in enumerate(products.policies[policy]["Statement"])
    }
    asked = [
        (policy, number, request)
        for (policy, number), statement in statements.items()
        for request in REQUESTS
        if may_decide(statement, request) and policy in policies_of(request, products)
    ]
    changed = [simulation(request, without(products, policy, number)) for policy, number, request in asked]
    results = judge("simulate_requests.mjs", changed)

    assert {json.dumps(answer["errors"]) for answer in results} == {"null"}
    # Modules that are judged in several forms repeat statements: one of the same ones is enough.
    noticed = [
        statements[policy, number]
        for (policy, number, request), answer in zip(asked, results, strict=True)
        if answer["result"] != answers[request]["result"]
    ]
    unnoticed = [(policy, each["Sid"]) for (policy, _), each in statements.items() if each not in noticed]
    assert sorted(unnoticed) == []


# The modules whose policies may lose no condition, action or resource without somebody noticing.
HARDENED = ("log_archive", "operator_access", "guardrails", "vpc_endpoints")

# What may go unnoticed, and why.
_AGAIN = "said again by a Deny, which also holds when somebody adds a wider statement:"
_TOGETHER = "the statement is one for all that can be named, and says iam:Delete* for other resources:"
_IDENTITY_CENTER = "the simulator lets nobody change or pass roles of IAM Identity Center"
_SUPPORT = "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_DatabaseSupport_*"
UNNOTICED = {
    "guardrails.boundary KeepAsDeployed: Action iam:DeletePolicy*": f"{_TOGETHER} exempt_roles",
    f"guardrails.boundary KeepAsDeployed: Resource {_SUPPORT}": _IDENTITY_CENTER,
    "guardrails.this KeepAsDeployed: Action iam:DeletePolicy*": f"{_TOGETHER} exempt_roles",
    f"guardrails.this KeepAsDeployed: Resource {_SUPPORT}": _IDENTITY_CENTER,
    "log_archive.bucket ReadLogs: Condition ArnEquals aws:PrincipalArn": f"{_AGAIN} NamedReadersOnly",
    "log_archive.bucket ReadLogs: Condition StringEquals aws:PrincipalOrgID": f"{_AGAIN} OrganizationOnly",
    "log_archive.bucket WriteOwnFolder: Condition StringEquals aws:PrincipalOrgID": f"{_AGAIN} OrganizationOnly",
    "operator_access.operator OwnSessionsById: Action ssmmessages:OpenDataChannel": (
        "the simulator knows no resource of this action, IAM the session"
    ),
}


def test_no_part_of_a_statement_can_go_unnoticed(
    judge: Judge, products: Products, answers: dict[Request, dict[str, Any]]
) -> None:
    found = [
        omission
        for policy in sorted({policy for request in REQUESTS for policy in policies_of(request, products)})
        if policy.startswith(HARDENED)
        for number, statement in enumerate(products.policies[policy]["Statement"])
        for omission in omissions(policy, number, statement)
    ]
    asked = [(omission, request) for omission in found for request in REQUESTS if omission.concerns(request, products)]
    changed = [
        simulation(request, with_statement(products, omission.policy, omission.number, omission.changed))
        for omission, request in asked
    ]
    results = judge("simulate_requests.mjs", changed)

    assert {json.dumps(answer["errors"]) for answer in results} == {"null"}
    noticed = [
        omission
        for (omission, request), answer in zip(asked, results, strict=True)
        if answer["result"] != answers[request]["result"]
    ]
    # Modules in several forms repeat statements, and so does a boundary: one of the same ones is enough.
    names = {omission.name for omission in noticed}
    statements = {json.dumps(omission.changed) for omission in noticed}
    unnoticed = {each.name for each in found if each.name not in names and json.dumps(each.changed) not in statements}
    assert sorted(unnoticed) == sorted(UNNOTICED)
