"""One caller and one environment: discover, plan and apply of one target, whatever the credentials and tools are."""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aws_sandbox import Sandbox
from session_manager_fleet.cli.app import run
from session_manager_fleet.terraform import provider_source
from session_manager_fleet.terraform.processes import MARKER
from session_manager_fleet.terraform.provider_search import PLATFORM
from tests.e2e.clone import PROJECT, copy_project
from tests.e2e.sts_front import CREDENTIALS_PATH, sts_front

pytestmark = pytest.mark.terraform

HOME = "eu-west-1"
REGIONS = (HOME, "us-east-1", "eu-central-1", "eu-north-1")
TOKEN = "header.of.the-workflow"
STATES = "states-of-another-account"
SETTINGS = """\
schema_version: 1
organization:
  id: {organization}
  home_region: eu-west-1
  regions: [{regions}]
  deployment_role: {{name: AWSControlTowerExecution}}
  state: {{{state}}}
defaults:
  preferences: {{enabled: false}}
  config_rule: {{enabled: false}}
  names: {{policy: {policy}}}
  tags: {{row: {row}}}
"""


@dataclass
class Scene:
    """A folder in which a command is started, with an environment without credentials."""

    sandbox: Sandbox
    folder: Path
    environment: dict[str, str]
    account: str
    state: str = "key_prefix: callers"
    keys: dict[str, str] = field(init=False)
    user: str = field(init=False)
    role: str = field(init=False)
    front: str = ""
    policy: str = "Callers"

    def __post_init__(self) -> None:
        given = self.sandbox.environment()
        self.keys = {name: given[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        management = self.sandbox.organization.management_account_id
        self.user = f"arn:aws:iam::{management}:user/"
        self.role = f"arn:aws:iam::{management}:role/Rollout"

    def file(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def profile(self, text: str) -> None:
        """Write a profile and the keys that it uses, named by paths from the folder of the command."""
        # A process has one folder, and keeps what it found with these variables; these tests share a process.
        folder = self.folder.name
        self.file(f"{folder}/config", f"[profile rollout]\nregion = {HOME}\n{text}\n")
        keys = "".join(f"{name.lower()} = {value}\n" for name, value in self.keys.items())
        self.file(f"{folder}/credentials", f"[keys]\n{keys}" + ("" if text else f"[rollout]\n{keys}"))
        self.environment |= {
            "AWS_CONFIG_FILE": f"{folder}/config",
            "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials",
        }

    @property
    def assumed(self) -> str:
        return self.role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Private CA")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def scene(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A folder of its own, and the environment of a shell that knows no credentials."""
    names = ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", "NO_PROXY", "no_proxy")
    given = sandbox.environment()
    environment = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
    environment |= {name: given[name] for name in names}
    environment |= {"AWS_CONFIG_FILE": "no-config", "AWS_SHARED_CREDENTIALS_FILE": "no-credentials"}
    account = sandbox.organization.members[2].id
    monkeypatch.chdir(tmp_path)
    return Scene(sandbox, tmp_path, environment, account)


@pytest.fixture(scope="module", autouse=True)
def _roles(sandbox: Sandbox) -> None:
    """A role for callers in the management account, and one for states in another account, with its bucket."""
    organization = sandbox.organization
    management, owner = organization.management_account_id, organization.members[1].id
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{management}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for account, name in ((management, "Rollout"), (owner, "States")):
        sandbox.session(account, HOME).client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    location: Any = {"LocationConstraint": HOME}
    sandbox.session(owner, HOME).client("s3").create_bucket(Bucket=STATES, CreateBucketConfiguration=location)


def static_keys(scene: Scene) -> str:
    scene.environment |= scene.keys
    return scene.user


def credential_process(scene: Scene) -> str:
    """A helper that needs a variable, named by a path from the folder of the command, in AWS_DEFAULT_PROFILE."""
    answer = {"Version": 1, "AccessKeyId": scene.keys["AWS_ACCESS_KEY_ID"]}
    answer["SecretAccessKey"] = scene.keys["AWS_SECRET_ACCESS_KEY"]
    scene.file("helper", f"#!/bin/sh\n[ \"$VAULT_ADDR\" = https://vault ] && echo '{json.dumps(answer)}'\n", 0o700)
    scene.profile("credential_process = ./helper")
    scene.environment |= {"AWS_DEFAULT_PROFILE": "rollout", "VAULT_ADDR": "https://vault"}
    return scene.user


def web_identity(scene: Scene) -> str:
    scene.file("token", TOKEN)
    scene.environment |= {
        "AWS_ENDPOINT_URL_STS": scene.front,
        "AWS_WEB_IDENTITY_TOKEN_FILE": "token",
        "AWS_ROLE_ARN": scene.role,
        "AWS_REGION": HOME,
    }
    return scene.assumed


def container(scene: Scene) -> str:
    scene.environment |= {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": scene.front + CREDENTIALS_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
    }
    return scene.assumed


def private_authority(scene: Scene) -> str:
    """STS behind a certificate that only the bundle in the folder of the command knows."""
    scene.environment |= {**scene.keys, "AWS_ENDPOINT_URL_STS": scene.front}
    scene.environment["AWS_CA_BUNDLE"] = "aws/ca.pem"
    return scene.user


def version_manager(scene: Scene) -> str:
    """A shim that chooses by a file in the folder, or by its variable, as tfenv does; keys of AWS_PROFILE."""
    scene.profile("")
    binary = shutil.which("terraform")
    found = json.loads(subprocess.run([str(binary), "version", "-json"], capture_output=True, check=True).stdout)
    version = found["terraform_version"]
    scene.file(".terraform-version", "1.11.99\n")
    scene.file(
        "shims/terraform",
        f"""#!/bin/sh
chosen=$TFENV_TERRAFORM_VERSION
[ -n "$chosen" ] || chosen=$(cat .terraform-version 2>/dev/null)
[ "$chosen" = {version} ] || {{ echo "Version could not be resolved ($chosen)" >&2; exit 1; }}
exec {binary} "$@"
""",
        0o700,
    )
    path = f"shims{os.pathsep}{scene.environment['PATH']}"
    scene.environment |= {"AWS_PROFILE": "rollout", "PATH": path, "TFENV_TERRAFORM_VERSION": version}
    return scene.user


def state_role(scene: Scene) -> str:
    owner = scene.sandbox.organization.members[1].id
    scene.policy = "CallersElsewhere"
    scene.state = f'bucket: {STATES}, role: {{arn: "arn:aws:iam::{owner}:role/States", external_id: an-id}}'
    scene.environment |= scene.keys
    return scene.user


ROWS: tuple[Callable[[Scene], str], ...] = (
    static_keys,
    credential_process,
    web_identity,
    container,
    private_authority,
    version_manager,
    state_role,
)


# Ways that the others' steps lead through, too.
SLOW = {credential_process, container, version_manager, state_role, private_authority}
# The plan is saved, and applied by another command; for the others, one command does both.
SAVED = {web_identity}


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.slow if row in SLOW else (), id=row.__name__) for row in ROWS]
)
def test_discover_plan_and_apply(
    row: Callable[[Scene], str],
    scene: Scene,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene.file("aws/ca.pem", certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    keys = scene.keys["AWS_ACCESS_KEY_ID"], scene.keys["AWS_SECRET_ACCESS_KEY"]
    tls = certificate if row is private_authority else None
    with sts_front(scene.sandbox.endpoint_url, *keys, token=TOKEN, certificate=tls) as (address, server):
        scene.front, server.container_role = address, scene.role
        caller = row(scene)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in scene.environment.items():
            monkeypatch.setenv(name, value)
        write_settings(scene, row.__name__)

        def call(*arguments: str, expect: int = 0) -> str:
            capsys.readouterr()
            code = run([*arguments])
            printed = capsys.readouterr()
            assert code == expect, printed.out + printed.err
            return printed.out + printed.err

        if tls:
            with pytest.raises(requests.exceptions.SSLError):
                requests.post(address, timeout=30)
        call("discover", "--output", "accounts.json")
        if row in SAVED:
            call("plan", "--account", scene.account, expect=2)
            (made,) = (scene.folder / "runs").glob("2*")
            call("apply", made.name)
        else:
            call("apply", "--account", scene.account, "--yes")
        assert_applied(scene, row.__name__, caller)
        if row is state_role:
            owner = scene.sandbox.session(scene.sandbox.organization.members[1].id, HOME).client("s3")
            there = [each["Key"] for each in owner.list_objects_v2(Bucket=STATES)["Contents"]]
            assert f"session-manager/{HOME}/{scene.account}/terraform.tfstate" in there
        if tls or row is web_identity:
            asked = set() if tls else {"AssumeRoleWithWebIdentity"}
            assert {"GetCallerIdentity", "AssumeRole"} | asked <= set(server.calls)


def write_settings(scene: Scene, row: str, regions: tuple[str, ...] = (HOME,)) -> None:
    organization = scene.sandbox.organization.id
    listed = ", ".join(regions)
    text = SETTINGS.format(organization=organization, regions=listed, state=scene.state, policy=scene.policy, row=row)
    scene.file("organization.yaml", text)


def assert_applied(scene: Scene, row: str, caller: str) -> None:
    """The policy has the tag of the row, and the run names the caller."""
    iam = scene.sandbox.session(scene.account, HOME).client("iam")
    tags = iam.list_policy_tags(PolicyArn=f"arn:aws:iam::{scene.account}:policy/{scene.policy}")["Tags"]
    assert {"Key": "row", "Value": row} in tags
    summary = max((scene.folder / "runs").glob("2*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    assert json.loads(summary.read_text())["caller"].startswith(caller)


def test_a_profile_with_a_role_and_mfa_asks_for_one_code(scene: Scene) -> None:
    """On a terminal, a plan and its apply ask once; a program without one is told what to do."""
    scene.profile(f"role_arn = {scene.role}\nsource_profile = keys\nmfa_serial = arn:aws:iam::1:mfa/me")
    scene.environment["AWS_PROFILE"] = "rollout"
    write_settings(scene, "mfa")
    program = [sys.executable, str(PROJECT / "scripts" / "rollout.py"), "apply", "--account", scene.account, "--yes"]
    refused = subprocess.run(
        program, env=scene.environment, cwd=scene.folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert refused.returncode == 1
    assert b"aws configure export-credentials --format env" in refused.stderr

    master, slave = pty.openpty()
    with subprocess.Popen(
        program,
        env=scene.environment,
        cwd=scene.folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread holds a lock it needs
    ) as process:
        os.close(slave)
        printed = ""
        with suppress(OSError):  # the terminal ends with the process
            while chunk := os.read(master, 4096):
                printed += chunk.decode("utf-8", "replace")
                if printed.rstrip().endswith("mfa/me:"):
                    os.write(master, b"123456\n")
    os.close(master)
    assert (process.returncode, printed.count("mfa/me:")) == (0, 1), printed
    assert_applied(scene, "mfa", scene.assumed)


def test_a_clone_that_cannot_be_written_under_a_path_with_blanks_and_umlauts(scene: Scene) -> None:
    clone = copy_project(scene.folder / "Meine Projekte" / "Größe §1")
    write_settings(scene, "clone")
    for path in (*clone.rglob("*"), clone):
        path.chmod(path.stat().st_mode & ~0o222)
    before = {path: path.stat().st_mtime_ns for path in clone.rglob("*")}  # permissions do not bind root
    environment = {**scene.environment, **scene.keys, "PYTHONDONTWRITEBYTECODE": "1"}
    for arguments in (["discover", "--output", "a.json"], ["apply", "--account", scene.account, "--yes"]):
        program = [sys.executable, str(clone / "scripts" / "rollout.py"), *arguments]
        finished = subprocess.run(
            program, cwd=scene.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert finished.returncode == 0, finished.stdout.decode() + finished.stderr.decode()
    assert {path: path.stat().st_mtime_ns for path in clone.rglob("*")} == before
    for path in (clone, *clone.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    assert_applied(scene, "clone", scene.user)


@pytest.mark.slow
def test_a_packed_provider_lies_beside_the_runs_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packed as the registry gives it, over four regions, with a cache of the caller's and without one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**scene.environment, **scene.keys}.items():
        monkeypatch.setenv(name, value)
    package = next(Path(str(provider_source(os.environ).mirror)).glob(f"**/hashicorp/aws/*/{PLATFORM}"))
    version = package.parent.name
    packed = scene.folder / "mirror" / "registry.terraform.io" / "hashicorp" / "aws"
    packed.mkdir(parents=True)
    with zipfile.ZipFile(packed / f"terraform-provider-aws_{version}_{PLATFORM}.zip", "w") as archive:
        for path in package.iterdir():
            archive.write(path, path.name)
    write_settings(scene, "packed", REGIONS)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "packed.tfrc")
    scene.file("packed.tfrc", f'provider_installation {{ filesystem_mirror {{ path = "{scene.folder}/mirror" }} }}\n')
    whole = sum(path.stat().st_size for path in package.iterdir())
    runs = scene.folder / "runs"

    assert run(["plan", "--account", scene.account]) == 2, capsys.readouterr()
    (made,) = runs.glob("2*")
    assert len(list(made.glob(".terraform/*/providers"))) == len(REGIONS)
    assert size_of(made) < 0.1 * whole
    assert whole <= size_of(runs) < 1.1 * whole

    # The same package in a cache of the caller's; a second one would appear beside the runs.
    (runs / ".providers").rename(scene.folder / "cache")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", "cache")
    write_settings(scene, "packed")
    assert run(["apply", "--account", scene.account, "--yes"]) == 0, capsys.readouterr()
    assert size_of(runs) < 0.1 * whole
    assert_applied(scene, "packed", scene.user)


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink())
