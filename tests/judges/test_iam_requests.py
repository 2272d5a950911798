"""The policies that Terraform makes, judged by an IAM simulator over the requests in iam_requests.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.judges.conftest import Judge, Products

REQUESTS = Path(__file__).with_name("iam_requests.yaml")
RESULTS = {"allow": "Allowed", "deny": "ImplicitlyDenied", "deny_explicitly": "ExplicitlyDenied"}


@dataclass(frozen=True)
class Subject:
    """Who asks, and the policy that decides: of the one who asks, or of the role that is to be assumed."""

    policy: str
    principal: str
    is_trust: bool = False


SUBJECTS = {
    "instance_policy": Subject("instance_policy.this", "arn:aws:iam::{account}:role/web"),
    "instance_policy_without_s3": Subject("instance_policy_without_s3.this", "arn:aws:iam::{account}:role/web"),
    "instance_policy_china": Subject("instance_policy_china.this", "arn:aws-cn:iam::{account}:role/web"),
    "automation_role": Subject("config_rule.permissions", "arn:aws:iam::{account}:role/automation"),
    "automation_role_trust": Subject("config_rule.trust", "ssm.amazonaws.com", is_trust=True),
    "function_role": Subject("preferences.function", "arn:aws:iam::{account}:role/function"),
    "function_role_trust": Subject("preferences.trust", "lambda.amazonaws.com", is_trust=True),
}


@dataclass(frozen=True)
class Request:
    """One request of the matrix, and what IAM must answer."""

    subject: str
    action: str
    why: str
    resource: str
    context: str
    result: str


def requests() -> Iterator[Request]:
    """The requests of the matrix in its order."""
    for subject, entries in yaml.safe_load(REQUESTS.read_text(encoding="utf-8")).items():
        for entry in entries:
            known = {"action", "why", "context", *RESULTS}
            assert entry.keys() <= known, f"{subject}, {entry['action']}: unknown keys {entry.keys() - known}"
            for verdict in RESULTS.keys() & entry.keys():
                for resource in entry[verdict]:
                    context = json.dumps(entry.get("context", {}))
                    yield Request(subject, entry["action"], entry["why"], resource, context, RESULTS[verdict])


MATRIX = sorted(requests(), key=lambda request: (request.subject, request.action, request.result))


def simulation(request: Request, products: Products) -> dict[str, Any]:
    """The request as the simulator takes it."""

    def filled(text: str) -> str:
        return text.replace("{account}", products.account).replace("{session_key}", products.session_key)

    subject = SUBJECTS[request.subject]
    resource = filled(request.resource)
    owner = (resource.split(":") + [""] * 5)[4] or products.account
    policy = products.policies[subject.policy]
    simulated: dict[str, Any] = {
        "request": {
            "principal": filled(subject.principal),
            "action": request.action,
            "resource": {"resource": resource, "accountId": owner},
            "contextVariables": json.loads(filled(request.context)),
        },
        "identityPolicies": [] if subject.is_trust else [{"name": subject.policy, "policy": policy}],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if subject.is_trust:
        simulated["resourcePolicy"] = policy
    elif ":key/" in resource:
        simulated["resourcePolicy"] = trusting_key_policy(filled(subject.principal))
    return simulated


def trusting_key_policy(principal: str) -> dict[str, Any]:
    """The policy of a key that leaves the decision to the account of the one who asks."""
    root = principal.partition(":role/")[0] + ":root"
    allow = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [allow]}


@pytest.fixture(scope="session")
def answers(judge: Judge, products: Products) -> dict[Request, dict[str, Any]]:
    """What the simulator says to every request."""
    simulations = [simulation(request, products) for request in MATRIX]
    return dict(zip(MATRIX, judge("simulate_requests.mjs", simulations), strict=True))


def test_the_matrix_is_large_and_asks_everyone() -> None:
    assert len(MATRIX) >= 60
    assert {request.subject for request in MATRIX} == SUBJECTS.keys()
    assert len(set(MATRIX)) == len(MATRIX)


@pytest.mark.parametrize(
    "request_",
    MATRIX,
    ids=lambda request: f"{request.subject}: {request.action} ({request.why}) on {request.resource}",
)
def test_request(request_: Request, answers: dict[Request, dict[str, Any]]) -> None:
    answer = answers[request_]

    assert answer["errors"] is None
    assert answer["ignoredContextKeys"] == [], "a condition on these keys could never hold"
    assert answer["result"] == request_.result
