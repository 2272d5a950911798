"""Subscription filters of log groups with a destination in another account, which moto lacks.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html.
"""

from __future__ import annotations

import json
from typing import Any

from moto.logs.models import logs_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.identity import Identity, find_role
from aws_sandbox.log_groups import find_group
from aws_sandbox.policies import Principal, Request, allows


class Subscriptions:
    """Subscription filters whose destination may be in another account.

    Args:
        identity: Knows the accounts of the organization.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def put(self, call: Call) -> dict[str, Any]:
        """Answer PutSubscriptionFilter.

        Raises:
            AwsError: There is no such group or destination, it does not let this account send, or the role is unfit.
        """
        asked, group = call.parameters, find_group(call)
        destination, role = asked["destinationArn"], asked.get("roleArn")
        service = destination.split(":")[2]
        name, pattern = asked["filterName"], asked.get("filterPattern", "")
        _check_role(self._identity, call, service, role)
        if ":destination:" in destination:
            self._check_destination(call, destination)
        if name in group.subscription_filters:
            group.subscription_filters[name].update(pattern, destination, role)
        elif ":destination:" in destination:
            group.put_subscription_filter(name, pattern, destination, role)
        else:
            backend = logs_backends[call.account_id][call.region]
            backend.put_subscription_filter(group.name, name, pattern, destination, role or "")
        group.subscription_filters[name].distribution = asked.get("distribution", "ByLogStream")
        return {}

    def describe(self, call: Call) -> dict[str, Any]:
        """Answer DescribeSubscriptionFilters."""
        filters = find_group(call).describe_subscription_filters()
        return {
            "subscriptionFilters": [
                {key: value for key, value in {**each.to_json(), "distribution": each.distribution}.items() if value}
                | {"filterPattern": each.filter_pattern}
                for each in filters
            ]
        }

    def _check_destination(self, call: Call, arn: str) -> None:
        _, _, _, region, owner, *_ = arn.split(":")
        destination = logs_backends[owner][region].destinations.get(arn)
        if destination is None or region != call.region:
            raise AwsError("ResourceNotFoundException", "The specified destination does not exist.")
        documents = [json.loads(destination.access_policy)] if destination.access_policy else []
        names = frozenset({call.account_id, f"arn:aws:iam::{call.account_id}:root"})
        context = self._identity.context(self._identity.caller(call))
        request = Request("logs:PutSubscriptionFilter", arn, context, Principal("AWS", names))
        if not allows(documents, request):
            raise AwsError(
                "AccessDeniedException",
                f"User with accountId: {call.account_id} is not authorized to perform: logs:PutSubscriptionFilter on "
                f"resource: {arn}",
            )


def _check_role(identity: Identity, call: Call, service: str, role: str | None) -> None:
    """Reject a role that CloudWatch Logs cannot assume, none where one is needed, and one where none is.

    Raises:
        AwsError: InvalidParameterException.
    """
    if (role is None) != (service == "lambda") and (service != "logs" or role):
        without = "with" if role else "without"
        message = f"destinationArn for vendor {service} cannot be used {without} roleArn"
        raise AwsError("InvalidParameterException", message)
    if role is None:
        return
    service_principal = Principal("Service", frozenset({"logs.amazonaws.com"}))
    source = f"arn:aws:logs:{call.region}:{call.account_id}:log-group:{call.parameters['logGroupName']}"
    context = {"aws:SourceArn": source, "aws:SourceAccount": call.account_id}
    assuming = Request("sts:AssumeRole", role, context, service_principal)
    if find_role(role) is None or not identity.trusts(role, assuming):
        raise AwsError(
            "InvalidParameterException",
            "Could not deliver test message to specified destination. Check if the destination is valid.",
        )
