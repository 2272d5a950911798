"""One identity: Python and the children of terraform act with the same credentials, wherever these come from."""

import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from session_manager_fleet import credentials as shared
from session_manager_fleet.aws import as_caller, new_session, validity
from session_manager_fleet.cli.app import run as command
from session_manager_fleet.errors import AccessError, InputError
from session_manager_fleet.terraform import RootModule, StateBackend, Terraform

KEYS = "aws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n"
ROLE = "arn:aws:iam::123456789012:role/ci"
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
CODE = "123456"


@pytest.fixture(autouse=True)
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine's credentials, in a folder of the caller's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.chdir(tmp_path)
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield


Write = Callable[[str], None]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the caller's AWS configuration, which is named from the caller's folder."""

    def write(text: str) -> None:
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", "config")

    return write


def child(tmp_path: Path, stand_in: Callable[[str], Path]) -> dict[str, str]:
    """Return the environment that terraform gets."""
    binary = str(stand_in(f"env >'{tmp_path}/seen'\n"))
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    terraform = Terraform(
        binary=binary,
        root=RootModule(root),
        data_folder=tmp_path / "data",
        environment=dict(os.environ),
        as_caller=as_caller,
    )
    terraform.init({}, tmp_path / "log")
    pairs = (line.partition("=") for line in (tmp_path / "seen").read_text().splitlines())
    return {name: value for name, _, value in pairs}


def same_as_here(environment: dict[str, str]) -> tuple[str | None, ...]:
    """Return the keys of a child, which are those of this process, and nothing that names others."""
    credentials = new_session().get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    here = (frozen.access_key, frozen.secret_key, frozen.token)
    assert tuple(environment.get(name) for name in NAMES) == here
    assert not shared._REPLACED.difference(NAMES).intersection(environment)
    return here


StandIn = Callable[[str], Path]


@pytest.mark.parametrize("token", ["", "token"])
def test_keys_in_variables(tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    for name, value in zip(NAMES, ("AKIAEXAMPLE", "secret", token), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2100-01-01T00:00:00Z")

    assert same_as_here(child(tmp_path, stand_in)) == ("AKIAEXAMPLE", "secret", token or None)


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_keys_of_a_profile(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, config: Write, variable: str
) -> None:
    config(f"[profile ci]\n{KEYS}")
    monkeypatch.setenv(variable, "ci")

    assert same_as_here(child(tmp_path, stand_in)) == ("AKIAFILE", "file-secret", None)


def test_a_profile_with_a_role(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, config: Write
) -> None:
    config(f"[profile ci]\nrole_arn = {ROLE}\nsource_profile = keys\n[profile keys]\n{KEYS}")
    monkeypatch.setenv("AWS_PROFILE", "ci")

    assert same_as_here(child(tmp_path, stand_in))[2]
    assert validity().renewed


def test_a_credential_process_that_needs_a_variable(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, config: Write
) -> None:
    made = {"Version": 1, "AccessKeyId": "AKIAVAULT", "SecretAccessKey": "vault-secret", "SessionToken": "vault-token"}
    (tmp_path / "made.json").write_text(json.dumps({**made, "Expiration": "2100-01-01T00:00:00Z"}))
    (tmp_path / "helper.sh").write_text('[ "$VAULT_ADDR" ] && echo >>calls && cat made.json\n')
    config("[profile ci]\ncredential_process = /bin/sh helper.sh\n")
    monkeypatch.setenv("AWS_PROFILE", "ci")
    monkeypatch.setenv("VAULT_ADDR", "https://vault")

    environment = child(tmp_path, stand_in)

    assert same_as_here(environment) == ("AKIAVAULT", "vault-secret", "vault-token")
    assert environment["VAULT_ADDR"] == "https://vault"
    assert (tmp_path / "calls").read_text() == "\n"


def test_a_web_identity_token_in_the_callers_folder(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("header.payload.signature")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)

    assert same_as_here(child(tmp_path, stand_in))[2]


def test_credentials_of_a_container(tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"AccessKeyId": "AKIATASK", "SecretAccessKey": "task-secret", "Token": "task-token"}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({**made, "Expiration": "2100-01-01T00:00:00Z"}).encode())

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as the base class has it
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/task")
        environment = child(tmp_path, stand_in)
        server.shutdown()

    assert same_as_here(environment) == ("AKIATASK", "task-secret", "task-token")


@pytest.mark.parametrize(("default", "named", "refused"), [("a", "b", True), ("a", "a", False), ("a", "", False)])
def test_two_variables_for_the_profile(
    monkeypatch: pytest.MonkeyPatch, config: Write, default: str, named: str, refused: bool
) -> None:
    config(f"[profile a]\n{KEYS}[profile b]\n{KEYS}")
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", default)
    monkeypatch.setenv("AWS_PROFILE", named)

    if not refused:
        assert new_session().get_credentials()
        return
    with pytest.raises(InputError, match=r'^AWS_DEFAULT_PROFILE is "a" and AWS_PROFILE is "b".*unset one of them'):
        new_session()


@pytest.fixture
def mfa(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile whose role asks for the code of an MFA device."""
    device = "mfa_serial = arn:aws:iam::123456789012:mfa/me"
    config(f"[profile mfa]\nrole_arn = {ROLE}\nsource_profile = keys\n{device}\n[profile keys]\n{KEYS}")
    monkeypatch.setenv("AWS_PROFILE", "mfa")


@pytest.mark.usefixtures("mfa")
def test_a_code_is_asked_once_and_its_credentials_serve_everything(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return CODE

    monkeypatch.setattr("getpass.getpass", ask)

    first = same_as_here(child(tmp_path, stand_in))

    assert same_as_here(child(tmp_path, stand_in)) == first
    assert prompts == ["Enter MFA code for arn:aws:iam::123456789012:mfa/me: "]
    assert not validity().renewed
    assert validity().ends is not None


@pytest.mark.usefixtures("mfa")
def test_a_code_that_nobody_can_type_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, settings_file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(AccessError, match=r"asks .Enter MFA code for .*/me., and standard input is not a terminal"):
        as_caller({})
    path = settings_file("")
    path.write_text(
        path.read_text().replace("source: file", "source: organizations").replace("path: accounts.yaml", "")
    )

    assert command(["--config", str(path), "targets"]) == 1
    assert "standard input is not a terminal" in capsys.readouterr().err


@pytest.mark.usefixtures("mfa")
def test_an_end_of_input_instead_of_a_code_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", end)

    with pytest.raises(AccessError, match=r'^No code was given to "Enter MFA code for'):
        as_caller({})


def test_each_command_gets_the_credentials_of_its_start_and_hides_all(tmp_path: Path, stand_in: StandIn) -> None:
    given = [{"AWS_SESSION_TOKEN": "first-token"}, {"AWS_SESSION_TOKEN": "second-token"}]
    terraform = Terraform(
        binary=str(stand_in('echo "$AWS_SESSION_TOKEN" >>"$TRACE"; echo "first-token second-token"\n')),
        root=RootModule(tmp_path),
        data_folder=tmp_path / "data",
        environment={"PATH": os.environ["PATH"], "TRACE": str(tmp_path / "trace")},
        as_caller=lambda environment: {**environment, **given.pop(0)},
    )
    for _ in range(2):
        terraform.init({}, tmp_path / "log")

    assert (tmp_path / "trace").read_text().split() == ["first-token", "second-token"]
    assert (tmp_path / "log").read_text().split()[2:] == ["(hidden)", "(hidden)"]


def test_keys_that_are_replaced_in_a_file_serve_the_next_command(config: Write) -> None:
    config(f"[default]\n{KEYS}")
    assert as_caller({})["AWS_ACCESS_KEY_ID"] == "AKIAFILE"

    config(f"[default]\n{KEYS.replace('AKIAFILE', 'AKIANEXT')}")

    assert as_caller({})["AWS_ACCESS_KEY_ID"] == "AKIANEXT"


def test_keys_that_are_replaced_in_a_file_serve_the_next_call_to_the_state_bucket(config: Write) -> None:
    backend = StateBackend("states", "eu-west-1", "session-manager")

    def key() -> str:
        return str(backend.client()._request_signer._credentials.access_key)  # type: ignore[attr-defined]

    config(f"[default]\n{KEYS}")
    assert key() == "AKIAFILE"

    config(f"[default]\n{KEYS.replace('AKIAFILE', 'AKIANEXT')}")

    assert key() == "AKIANEXT"


def test_a_client_of_the_state_bucket_is_kept_as_long_as_its_credentials_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = StateBackend("states", "eu-west-1", "session-manager")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFIRST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    kept = backend.client()
    assert backend.client() is kept

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASECOND")

    assert backend.client() is not kept


def test_where_a_profile_sends_calls_is_where_a_child_sends_them(
    monkeypatch: pytest.MonkeyPatch, config: Write, tmp_path: Path
) -> None:
    config(
        f"[profile ci]\n{KEYS}ca_bundle = ca.pem\nendpoint_url = http://all\nuse_fips_endpoint = true\nservices = own\n"
        "[services own]\ns3 =\n  endpoint_url = http://s3\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "ci")

    child = as_caller({})

    assert child["AWS_CA_BUNDLE"] == str(tmp_path / "ca.pem")
    assert child["AWS_ENDPOINT_URL"] == "http://all"
    assert child["AWS_ENDPOINT_URL_S3"] == "http://s3"
    assert child["AWS_USE_FIPS_ENDPOINT"] == "true"
    assert as_caller({"AWS_ENDPOINT_URL": "http://mine"})["AWS_ENDPOINT_URL"] == "http://mine"
    assert "AWS_ENDPOINT_URL_S3" not in as_caller({"AWS_ENDPOINT_URL": "http://mine"})


def test_no_credentials_are_told() -> None:
    with pytest.raises(AccessError, match="There are no AWS credentials"):
        as_caller({})
