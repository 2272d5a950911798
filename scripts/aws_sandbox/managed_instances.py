"""DescribeInstanceInformation of Systems Manager, which moto lacks.

Every running EC2 instance with an instance profile counts as a managed instance.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends

from aws_sandbox.call import Call
from aws_sandbox.pages import page

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
_PAGE_SIZE = 50


def describe_instance_information(call: Call) -> dict[str, Any]:
    """Answer DescribeInstanceInformation; ignore filters, because there are EC2 instances only."""
    instances = [
        {
            "InstanceId": instance.id,
            "PingStatus": "Online",
            "PlatformType": "Linux",
            "ResourceType": "EC2Instance",
            "IPAddress": instance.private_ip,
        }
        for reservation in ec2_backends[call.account_id][call.region].all_reservations()
        for instance in reservation.instances
        if instance.state == "running" and instance.iam_instance_profile
    ]
    size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
    return page("InstanceInformationList", instances, call.parameters.get("NextToken"), size)
