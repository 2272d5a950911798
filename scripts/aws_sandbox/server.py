"""The emulator's process: `python -m aws_sandbox.server`, started only by `Sandbox.start`.

The first line of stdin is the organization as JSON, with the working `folder`. Once the emulator accepts requests, it
writes one line of JSON to stdout: its URL, the token for operations on the emulator itself, and the credentials of two
administrators, one in the management account and one in an account outside the organization. The process exits when
stdin ends, that is, when its parent ends.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import sys
import threading
import warnings
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from moto.iam.exceptions import EntityAlreadyExists
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.datastructures import Headers
from werkzeug.serving import make_server

from aws_sandbox import (
    aws_policies,
    documents,
    function_concurrency,
    key_arns,
    log_groups,
    messages,
    policy_entities,
    queues,
    resource_policies,
)
from aws_sandbox.automation import Automations
from aws_sandbox.background import Background
from aws_sandbox.compliance import Compliance
from aws_sandbox.compliance_answers import ComplianceAnswers
from aws_sandbox.config_rules import ConfigRules
from aws_sandbox.configuration_items import Recorder
from aws_sandbox.delays import Delays
from aws_sandbox.event_bus import EventBus
from aws_sandbox.faults import Fault, Faults
from aws_sandbox.function_process import FunctionProcesses
from aws_sandbox.functions import Functions
from aws_sandbox.gateway import Gateway
from aws_sandbox.identity import Identity
from aws_sandbox.lock import CallLock
from aws_sandbox.managed_nodes import ManagedNodes
from aws_sandbox.model import OUTSIDER_ACCOUNT_ID, SandboxDelays, SandboxLimits, SandboxOrganization
from aws_sandbox.organizations import Organizations
from aws_sandbox.permissions import Permissions
from aws_sandbox.regions import Regions
from aws_sandbox.remediation import Remediation
from aws_sandbox.service_settings import ServiceSettings
from aws_sandbox.sessions import Sessions
from aws_sandbox.simulator import Simulator
from aws_sandbox.strict import Strictness
from aws_sandbox.subscriptions import Subscriptions

ADMINISTRATOR = "sandbox-administrator"
_ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


class _Handler(MotoRequestHandler):
    """Reads requests like moto's server, but keeps connections open.

    werkzeug closes every connection after its response; the AWS provider sometimes takes that for a lost response,
    repeats the request, and fails because the resource exists.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request."""
        gateway: Gateway = self.server.app  # type: ignore[assignment]
        reply = gateway.reply(self.make_environ())
        headers = Headers(dict(reply.headers))
        # A client would read an unexpected body as the beginning of the next response on this connection.
        has_body = self.command != "HEAD" and reply.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        if has_body:
            headers["Content-Length"] = str(len(reply.body))
        self.send_response(reply.status)
        for name, value in headers.to_wsgi_list():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(reply.body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the gateway logs the calls."""


def _create_deployment_roles(organization: SandboxOrganization) -> None:
    """Create the deployment role, which the management account assumes, in every account."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{organization.management_account_id}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    path, _, name = organization.deployment_role.rpartition("/")
    for account in organization.accounts:
        backend = iam_backends[account.id]["aws"]
        # In accounts that it creates, Organizations has created OrganizationAccountAccessRole already.
        with suppress(EntityAlreadyExists):
            backend.create_role(
                role_name=name,
                assume_role_policy_document=json.dumps(trust),
                path=f"/{path}/" if path else "/",
                permissions_boundary=None,
                description="",
                tags=[],
                max_session_duration="3600",
            )
        backend.put_role_policy(name, "administrator", _ALLOW_ALL)


def _create_administrator(account_id: str, region: str) -> dict[str, str]:
    """Create an administrator in an account; return the credentials."""
    backend = iam_backends[account_id]["aws"]
    backend.create_user(region, ADMINISTRATOR)
    backend.put_user_policy(ADMINISTRATOR, "administrator", _ALLOW_ALL)
    key = backend.create_access_key(ADMINISTRATOR)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}


def _gateway(
    organization: SandboxOrganization,
    limits: SandboxLimits,
    delays: Delays,
    processes: FunctionProcesses,
    endpoint_url: str,
    control_token: str,
    folder: Path,
    *,
    enforced: bool,
) -> Gateway:
    """Connect the parts of the emulator."""
    lock, background, faults = CallLock(), Background(), Faults()
    aws_policies.install()
    documents.install()
    key_arns.install()
    log_groups.install()
    queues.install()
    resource_policies.install()
    messages.release_while_waiting(lock)
    organizations, regions = Organizations(organization), Regions(organization)
    identity = Identity(organizations, organization.id, delays)
    permissions = Permissions(identity, organizations, delays, enforced=enforced)
    functions = Functions(identity, permissions, processes, lock, background, endpoint_url, folder)
    event_bus = EventBus(identity, functions, background, lock)
    automations = Automations(identity, processes, background, endpoint_url, folder)
    rules = ConfigRules()
    recorder = Recorder(background, lock)
    service_settings, subscriptions = ServiceSettings(), Subscriptions(identity)
    sessions = Sessions(identity)
    nodes, simulator = ManagedNodes(identity, service_settings), Simulator(identity, organizations)
    remediation = Remediation(rules, automations, background, lock, recorder)
    compliance = Compliance(background, lock, recorder, remediation.flagged)
    return Gateway(
        DomainDispatcherApplication(create_backend_app),
        lock=lock,
        authority=endpoint_url.removeprefix("http://"),
        control_token=control_token,
        account_of=identity.account_of,
        secret_of=identity.secret_of,
        checks=(
            faults.check,
            identity.check_expiry,
            regions.check,
            organizations.check,
            permissions.check,
            resource_policies.check_owner,
            identity.check,
            Strictness(limits, identity).check,
            rules.check,
            delays.check,
        ),
        operations={
            ("account", "ListRegions"): regions.list_regions,
            ("ec2", "DescribeRegions"): regions.describe_regions,
            ("iam", "ListEntitiesForPolicy"): policy_entities.list_entities_for_policy,
            ("lambda", "GetAccountSettings"): function_concurrency.get_account_settings,
            ("lambda", "Invoke"): functions.invoke,
            ("logs", "AssociateKmsKey"): log_groups.associate_kms_key,
            ("logs", "CreateLogGroup"): log_groups.create_log_group,
            ("logs", "DeleteDataProtectionPolicy"): log_groups.delete_data_protection_policy,
            ("logs", "DescribeSubscriptionFilters"): subscriptions.describe,
            ("logs", "DisassociateKmsKey"): log_groups.disassociate_kms_key,
            ("logs", "GetDataProtectionPolicy"): log_groups.get_data_protection_policy,
            ("logs", "PutDataProtectionPolicy"): log_groups.put_data_protection_policy,
            ("logs", "PutLogGroupDeletionProtection"): log_groups.put_deletion_protection,
            ("logs", "PutSubscriptionFilter"): subscriptions.put,
            ("organizations", "ListAccounts"): organizations.list_accounts,
            ("organizations", "ListChildren"): organizations.list_children,
            ("ssm", "GetDocument"): documents.get_document,
            ("ssm", "ListDocumentVersions"): documents.list_document_versions,
            ("ssm", "ListDocuments"): documents.list_documents,
            **automations.operations(),
            **rules.operations(),
            **recorder.operations(),
            **compliance.operations(),
            **ComplianceAnswers(compliance).operations(),
            **remediation.operations(),
            **service_settings.operations(),
            **sessions.operations(),
            **nodes.operations(),
            **simulator.operations(),
        },
        observers=(sessions.observe, event_bus.observe, recorder.observe, compliance.observe, remediation.observe),
        controls={
            ("POST", "faults"): lambda fault: faults.add(Fault(**fault)),
            ("DELETE", "faults"): lambda _: faults.clear(),
            ("POST", "expire"): lambda body: identity.expire(body["access_key_id"]),
            ("POST", "idle"): lambda body: background.wait_until_idle(body["seconds"]),
            ("POST", "instance"): lambda body: identity.instance_credentials(body["role_arn"], body["region"]),
            ("POST", "node"): nodes.credentials,
            ("POST", "register"): nodes.register,
            ("POST", "agent"): nodes.set_version,
            ("POST", "schedule"): lambda body: event_bus.fire_schedules(body["account"], body["region"]),
        },
    )


def serve(settings: dict[str, Any]) -> None:
    """Emulate the organization until stdin ends."""
    folder = Path(settings.pop("folder"))
    enforced = bool(settings.pop("enforce_iam"))
    limits = SandboxLimits(**settings.pop("limits"))
    delays = Delays(SandboxDelays(**settings.pop("delays")))
    organization = SandboxOrganization.from_dict(settings)
    # Bind first: functions need the URL, which no client knows before it is reported.
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    processes = FunctionProcesses(port)
    endpoint_url = f"http://127.0.0.1:{port}"

    control_token = secrets.token_urlsafe(32)

    gateway = _gateway(organization, limits, delays, processes, endpoint_url, control_token, folder, enforced=enforced)
    _create_deployment_roles(organization)
    credentials = {
        name: _create_administrator(account_id, organization.home_region)
        for name, account_id in (
            ("administrator", organization.management_account_id),
            ("outsider", OUTSIDER_ACCOUNT_ID),
        )
    }
    server = make_server(
        "127.0.0.1",
        port,
        gateway,  # type: ignore[arg-type] # called by _Handler only
        threaded=True,
        request_handler=_Handler,
        fd=listener.fileno(),
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"endpoint_url": endpoint_url, "control_token": control_token, **credentials}) + "\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    processes.stop()


def main() -> None:
    """Run the server."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    # moto warns about every error code that a service's model lacks, such as AccessDenied.
    warnings.simplefilter("ignore")
    os.umask(0o077)
    serve(json.loads(sys.stdin.buffer.readline()))
    # Do not wait for threads that still answer a client.
    os._exit(0)


if __name__ == "__main__":
    main()
