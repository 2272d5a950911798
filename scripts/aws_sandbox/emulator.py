"""Start and stop the emulator process, and create sessions in its accounts."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import boto3
import botocore.loaders
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from aws_sandbox.model import (
    CONTROL_PATH,
    CONTROL_TOKEN_HEADER,
    SandboxDelays,
    SandboxError,
    SandboxLimits,
    SandboxOrganization,
)
from aws_sandbox.seed import SeedData, seed

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_CONTROL_SECONDS = 10.0
_LOG_TAIL_LINES = 15

_LIMITS, _DELAYS = SandboxLimits(), SandboxDelays()

# One loader for all sessions: parsing the service models again takes most of a second a session.
_LOADER = botocore.loaders.create_loader()


class Sandbox:
    """A running emulated organization; stops at the end of the `with` block, or with the process that started it.

    Attributes:
        organization: The emulated organization.
        seed_data: Which account holds which seed data.
        folder: Private folder with `server.log` and uploaded packages.
        endpoint_url: URL of the emulator.
    """

    def __init__(
        self,
        organization: SandboxOrganization,
        folder: Path,
        process: subprocess.Popen[bytes],
        ready: dict[str, Any],
    ) -> None:
        self.organization = organization
        self.seed_data = SeedData.of(organization)
        self.folder = folder
        self.endpoint_url = ready["endpoint_url"]
        self._control_token = ready["control_token"]
        self._access_key_id = ready["administrator"]["access_key_id"]
        self._secret_access_key = ready["administrator"]["secret_access_key"]
        self._outsider = ready["outsider"]
        self._process = process

    @classmethod
    def start(
        cls,
        organization: SandboxOrganization,
        folder: Path,
        *,
        enforce_iam: bool = False,
        limits: SandboxLimits = _LIMITS,
        delays: SandboxDelays = _DELAYS,
    ) -> Sandbox:
        """Start the emulator and create the seed data.

        Args:
            organization: The organization to emulate.
            folder: Folder for this emulator alone; created if missing.
            enforce_iam: Whether to enforce the policies of users and roles.
            limits: Quotas that differ from organization to organization.
            delays: Seconds after which changes are followed; none by default.

        Raises:
            SandboxError: The emulator does not start; the message holds the end of its log.
        """
        if importlib.util.find_spec("moto") is None:
            raise SandboxError("The sandbox needs moto: pip install 'session-manager-fleet[sandbox]'.")
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = folder / "server.log"
        process = _spawn(folder, log)
        try:
            settings = {
                **asdict(organization),
                "folder": str(folder),
                "enforce_iam": enforce_iam,
                "limits": asdict(limits),
                "delays": asdict(delays),
            }
            sandbox = cls(organization, folder, process, _handshake(process, settings))
            sandbox._write_aws_files()
            seed(sandbox.seed_data, organization, sandbox.session)
        except (OSError, ValueError, BotoCoreError, ClientError) as error:
            _end(process)
            raise SandboxError(f"The sandbox did not start: {error}\n{_tail(log)}".rstrip()) from error
        except BaseException:
            _end(process)
            raise
        return sandbox

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def state_bucket(self) -> str:
        """Name of the bucket for Terraform state in the management account."""
        return self.seed_data.state_bucket

    @property
    def pid(self) -> int:
        """Process id of the emulator."""
        return self._process.pid

    def stop(self) -> None:
        """Stop the emulator and its child processes; idempotent."""
        _end(self._process)

    def environment(self) -> dict[str, str]:
        """Return environment variables for boto3, terraform and the AWS CLI: administrator of the management account.

        They override variables of the same names; the config files that they name belong to the emulator, so that the
        user's own configuration has no effect.
        """
        own = {"127.0.0.1", "localhost"}
        no_proxy = ",".join(sorted(own.union(filter(None, os.environ.get("NO_PROXY", "").split(",")))))
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self._access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._secret_access_key,
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": self.organization.home_region,
            "AWS_DEFAULT_REGION": self.organization.home_region,
            "AWS_PROFILE": "default",
            "AWS_CONFIG_FILE": str(self._config_file),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._credentials_file),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }

    def session(self, account_id: str, region: str) -> boto3.Session:
        """Return a session in an account with its deployment role.

        Raises:
            botocore.exceptions.ClientError: AccessDenied: the account lacks the role or is suspended.
        """
        management = self._session(self._access_key_id, self._secret_access_key, None, region)
        credentials = management.client("sts").assume_role(
            RoleArn=self.organization.role_arn(account_id), RoleSessionName="sandbox"
        )["Credentials"]
        return self._session(
            credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], region
        )

    def outsider_session(self, region: str) -> boto3.Session:
        """Return an administrator's session in an account outside the organization."""
        return self._session(self._outsider["access_key_id"], self._outsider["secret_access_key"], None, region)

    def instance_session(self, account_id: str, role: str, region: str) -> boto3.Session:
        """Return a session with the credentials of an EC2 instance that has a role.

        Raises:
            SandboxError: The role does not exist, or EC2 may not assume it.
        """
        role_arn = f"arn:aws:iam::{account_id}:role/{role}"
        credentials = self._control("POST", "instance", {"role_arn": role_arn, "region": region})
        if credentials is None:
            raise SandboxError(f"No instance can use the role {role_arn}: it must exist and trust ec2.amazonaws.com.")
        access_key_id, secret_access_key, session_token = credentials
        return self._session(access_key_id, secret_access_key, session_token, region)

    def node_session(self, account_id: str, region: str, node: str) -> boto3.Session:
        """Return a session with the credentials of a managed node.

        Raises:
            SandboxError: There is no such node, or its role does not exist or cannot be assumed.
        """
        credentials = self._control("POST", "node", {"account": account_id, "region": region, "node": node})
        if credentials is None:
            raise SandboxError(f"The node {node} of {account_id} in {region} has no role that it can use.")
        access_key_id, secret_access_key, session_token = credentials
        return self._session(access_key_id, secret_access_key, session_token, region)

    def register_node(self, account_id: str, region: str, activation: Mapping[str, str]) -> str:
        """Register a node outside EC2 with an activation, as CreateActivation returns it; return the node's id.

        Raises:
            SandboxError: The activation registers no more nodes.
        """
        question = {
            "account": account_id,
            "region": region,
            "activation_id": activation["ActivationId"],
            "activation_code": activation["ActivationCode"],
        }
        node: str = self._control("POST", "register", question)
        return node

    def set_agent_version(self, node: str, version: str) -> None:
        """Give the agent of a node another version."""
        self._control("POST", "agent", {"node": node, "version": version})

    def inject_fault(
        self,
        service: str,
        action: str,
        *,
        code: str,
        message: str = "Injected by the sandbox.",
        account: str = "*",
        times: int = 1,
    ) -> None:
        """Make the next matching calls fail with an AWS error.

        Args:
            service: Service name in boto3, `ssm`.
            action: Operation, `GetDocument`; `*` = every operation of the service.
            code: AWS error code, `ThrottlingException`.
            message: AWS error message.
            account: Account whose credentials make the call; `*` = any.
            times: Number of calls that fail; -1 = all until `clear_faults`.
        """
        fault = {
            "service": service,
            "action": action,
            "account": account,
            "code": code,
            "message": message,
            "times": times,
        }
        self._control("POST", "faults", fault)

    def expire_credentials(self, access_key_id: str) -> None:
        """End the session that an access key belongs to, as if its time were over.

        Raises:
            SandboxError: There is no such session.
        """
        self._control("POST", "expire", {"access_key_id": access_key_id})

    def clear_faults(self) -> None:
        """Remove all injected faults."""
        self._control("DELETE", "faults")

    def fire_schedules(self, account: str, region: str) -> int:
        """Fire every enabled scheduled EventBridge rule once, now; return their number.

        Args:
            account: Account id.
            region: Region of the rules.
        """
        fired: int = self._control("POST", "schedule", {"account": account, "region": region})
        return fired

    def wait_until_idle(self, seconds: float = 60.0) -> None:
        """Wait until no event, function, evaluation or automation is running.

        Raises:
            SandboxError: Work is still running after `seconds`.
        """
        if not self._control("POST", "idle", {"seconds": seconds}, timeout=seconds + _CONTROL_SECONDS):
            raise SandboxError(f"The sandbox is still busy after {seconds:.0f} s; see {self.folder / 'server.log'}.")

    def _control(
        self, method: str, name: str, question: Mapping[str, object] | None = None, timeout: float = _CONTROL_SECONDS
    ) -> Any:  # noqa: ANN401 - the type of the answer depends on the control
        # http.client ignores proxies; the emulator is on this machine.
        connection = http.client.HTTPConnection(self.endpoint_url.removeprefix("http://"), timeout=timeout)
        with contextlib.closing(connection):
            headers = {CONTROL_TOKEN_HEADER: self._control_token}
            connection.request(method, f"{CONTROL_PATH}{name}", json.dumps(question or {}), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise SandboxError(answer["message"])
        return answer

    def _session(self, key: str, secret: str, token: str | None, region: str) -> boto3.Session:
        core = botocore.session.Session()
        core.register_component("data_loader", _LOADER)
        core.set_config_variable("config_file", str(self._config_file))
        core.set_config_variable("credentials_file", str(self._credentials_file))
        core.set_config_variable("profile", "default")
        core.set_config_variable("region", region)
        core.set_credentials(key, secret, token)
        return _EmulatedSession(self.endpoint_url, core)

    @property
    def _config_file(self) -> Path:
        return self.folder / "aws-config"

    @property
    def _credentials_file(self) -> Path:
        return self.folder / "aws-credentials"

    def _write_aws_files(self) -> None:
        _write_private(self._config_file, f"[default]\nregion = {self.organization.home_region}\n")
        _write_private(
            self._credentials_file,
            f"[default]\naws_access_key_id = {self._access_key_id}\n"
            f"aws_secret_access_key = {self._secret_access_key}\n",
        )


class _EmulatedSession(boto3.Session):
    """A session whose clients call the emulator regardless of the environment."""

    def __init__(self, endpoint_url: str, core: botocore.session.Session) -> None:
        super().__init__(botocore_session=core)
        self._endpoint_url = endpoint_url

    def client(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - boto3's own signature is per service
        """Return a client of the emulator."""
        kwargs["endpoint_url"] = kwargs.get("endpoint_url") or self._endpoint_url
        return super().client(*args, **kwargs)


def _spawn(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    library = str(Path(__file__).parents[1])
    environment = {
        name: value
        for name, value in os.environ.items()
        # Pass on neither the user's credentials, profiles and endpoints nor moto's switches.
        if not name.startswith(("AWS_", "MOTO_", "PYTHON"))
    }
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH", "")]))
    environment["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    # Five thousand images, made again in each account and region; instances are launched from any.
    environment["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "aws_sandbox.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _handshake(process: subprocess.Popen[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    """Send the settings; wait for the line that reports the emulator's address."""
    stdin, stdout = _pipes(process)
    # A process that has ended is reported below.
    with contextlib.suppress(BrokenPipeError):
        stdin.write(json.dumps(settings).encode() + b"\n")
        stdin.flush()
    received = b""
    deadline = time.monotonic() + _START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"no answer within {_START_SECONDS:.0f} s")
            chunk = os.read(stdout.fileno(), 4096)
            if not chunk:
                raise ConnectionError(f"its process ended with code {process.wait()}")
            received += chunk
    ready: dict[str, Any] = json.loads(received)
    return ready


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server by closing its stdin; it ends its own children first."""
    stdin, stdout = _pipes(process)
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    stdout.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the server is started with pipes")
    return process.stdin, process.stdout


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"The end of {log}:", *lines]) if lines else ""


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
