"""Lambda Invoke.

moto runs functions in Docker containers or returns the event. Here the uploaded zip runs in a child process with this
Python, with temporary credentials of the function's role, against this emulator. Layers and container images are not
supported; an asynchronous invocation is retried without a delay.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from moto.awslambda.utils import get_backend
from moto.logs.models import logs_backends

from aws_sandbox import function_configuration
from aws_sandbox.background import Background
from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.function_configuration import ConfiguredFunction
from aws_sandbox.function_failures import hand_over
from aws_sandbox.function_process import Context, FunctionProcesses, Invocation, Outcome, process_environment
from aws_sandbox.identity import Identity
from aws_sandbox.lock import CallLock
from aws_sandbox.permissions import Permissions

# X-Amz-Log-Result carries the last 4 KB of the log.
_LOG_TAIL_BYTES = 4096


class Functions:
    """The functions of all accounts.

    Args:
        identity: Issues the credentials of the functions' roles.
        permissions: Checks the permissions of those roles.
        processes: Runs the functions.
        lock: Released while a function runs, because it calls this emulator.
        background: Runs asynchronous invocations.
        endpoint_url: Address of this emulator.
        folder: Folder for uploaded packages.
    """

    def __init__(
        self,
        identity: Identity,
        permissions: Permissions,
        processes: FunctionProcesses,
        lock: CallLock,
        background: Background,
        endpoint_url: str,
        folder: Path,
    ) -> None:
        function_configuration.install()
        self._identity = identity
        self._permissions = permissions
        self._processes = processes
        self._lock = lock
        self._background = background
        self._endpoint_url = endpoint_url
        self._folder = folder

    def invoke(self, call: Call) -> Reply:
        """Answer Invoke: return the result, or only start the function (`Event`), or only validate (`DryRun`)."""
        function = find_function(
            call.account_id, call.region, call.parameters["FunctionName"], call.parameters.get("Qualifier")
        )
        kind = call.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
        if kind == "DryRun":
            return Reply(204, {}, b"")
        payload = call.parameters.get("Payload") or "{}"
        if kind == "Event":
            self.invoke_later(function, payload)
            return Reply(202, {}, b"")
        invocation = self._invocation(function, payload)
        with self._background.busy(), self._lock.released():
            outcome = self._processes.run(invocation)
        _write_log(function, invocation, outcome)
        headers = {"X-Amz-Executed-Version": str(function.version), "Content-Type": "application/json"}
        if outcome.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        if call.headers.get("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log.encode()[-_LOG_TAIL_BYTES:]).decode()
        return Reply(200, headers, outcome.payload.encode())

    def invoke_later(self, function: ConfiguredFunction, payload: str | bytes) -> None:
        """Invoke a function asynchronously; retry it when it fails.

        Raises:
            AwsError: The payload is not JSON, or the function's role cannot be assumed.
        """
        invocation = self._invocation(function, payload)
        self._background.start(lambda: self._run_later(function, invocation))

    def _run_later(self, function: ConfiguredFunction, invocation: Invocation) -> None:
        attempts = 1 + function.retries
        for _ in range(attempts):
            outcome = self._processes.run(invocation)
            with self._lock:
                _write_log(function, invocation, outcome)
            if not outcome.failed:
                return
        with self._lock:
            hand_over(function, invocation, outcome, attempts, self._permissions.may_send)

    def _invocation(self, function: ConfiguredFunction, payload: str | bytes) -> Invocation:
        try:
            event = json.loads(payload)
        except ValueError as error:
            raise AwsError(
                "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from error
        now = datetime.now(UTC)
        context = Context(
            function_name=function.function_name,
            function_version=str(function.version),
            invoked_function_arn=function.function_arn,
            memory_limit_in_mb=str(function.memory_size),
            aws_request_id=str(uuid.uuid4()),
            log_group_name=function.logging_config["LogGroup"],
            log_stream_name=f"{now:%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}",
        )
        return Invocation(
            package=self._package(function.code_bytes),
            handler=str(function.handler),
            timeout=int(function.timeout),
            environment=self._environment(function, context),
            context=context,
            event=event,
        )

    def _package(self, code: bytes) -> Path:
        package = self._folder / f"{hashlib.sha256(code).hexdigest()}.zip"
        if not package.exists():
            package.write_bytes(code)
        return package

    def _environment(self, function: ConfiguredFunction, context: Context) -> dict[str, str]:
        """Return the variables that Lambda sets; see "Defined runtime environment variables" in its guide."""
        credentials = self._identity.service_credentials(
            function.role, "lambda.amazonaws.com", function.function_arn, function.function_name
        )
        if credentials is None:
            raise AwsError("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.")
        return {
            **process_environment(self._endpoint_url, function.region, credentials),
            **{str(name): str(value) for name, value in function.environment_vars.items()},
            "_HANDLER": str(function.handler),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": context.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": context.function_version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": context.memory_limit_in_mb,
            "AWS_LAMBDA_LOG_FORMAT": function.logging_config["LogFormat"],
            "AWS_LAMBDA_LOG_LEVEL": function.logging_config.get("ApplicationLogLevel", ""),
            "AWS_LAMBDA_LOG_GROUP_NAME": context.log_group_name,
            "AWS_LAMBDA_LOG_STREAM_NAME": context.log_stream_name,
        }


def find_function(account_id: str, region: str, name: str, qualifier: str | None = None) -> ConfiguredFunction:
    """Return a function by its name or ARN.

    Raises:
        ServiceException: ResourceNotFoundException.
    """
    return cast("ConfiguredFunction", get_backend(account_id, region).get_function(name, qualifier))


def _write_log(function: ConfiguredFunction, invocation: Invocation, outcome: Outcome) -> None:
    """Write the lines to the function's log group; drop them if it does not exist, as AWS does without permission."""
    backend = logs_backends[function.account_id][function.region]
    group, stream = invocation.context.log_group_name, invocation.context.log_stream_name
    if group not in backend.groups:
        return
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    now = int(time.time() * 1000)
    lines = [line for line in outcome.log.splitlines() if line]
    backend.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in lines])
