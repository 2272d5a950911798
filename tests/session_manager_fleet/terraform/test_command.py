"""The adapter over python-terraform: exact argument lists, a clean environment, and every way in which a run ends."""

import importlib.metadata
import json
import math
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from session_manager_fleet.changes.change_set import PlanOutcome
from session_manager_fleet.errors import TerraformError
from session_manager_fleet.terraform import command as terraform, processes, running_command
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.output import StalePlanError, StateLockedError, redactor
from session_manager_fleet.terraform.root_module import RootModule
from session_manager_fleet.terraform.working_folder import unsaved_state
from tests.waiting import wait_for

StandIn = Callable[[str], Path]
Make = Callable[..., Terraform]

DIAGNOSTIC = {
    "@level": "error",
    "@message": "Error: creating SSM Document",
    "@timestamp": "2027-01-01T00:00:00Z",
    "type": "diagnostic",
    "diagnostic": {
        "severity": "error",
        "summary": "creating SSM Document",
        "detail": "AccessDeniedException:\n  not authorized",
        "address": "module.preferences[0].aws_ssm_document.this",
        "range": {"filename": "modules/preferences/main.tf", "start": {"line": 12, "column": 1}},
    },
}
REPORTED = (
    "creating SSM Document (module.preferences[0].aws_ssm_document.this, modules/preferences/main.tf:12): "
    "AccessDeniedException: not authorized"
)


def says(*messages: Mapping[str, object] | str) -> str:
    """Return shell commands that print messages as terraform does with -json."""
    lines = (message if isinstance(message, str) else json.dumps(message) for message in messages)
    return "".join(f"cat <<'END'\n{line}\nEND\n" for line in lines)


def summary(**changes: int) -> dict[str, object]:
    counts = {"add": 0, "change": 0, "import": 0, "remove": 0, "operation": "plan", **changes}
    return {"@level": "info", "@message": "Plan", "type": "change_summary", "changes": counts}


@pytest.fixture
def make(stand_in: StandIn, tmp_path: Path) -> Make:
    """Return a Terraform that runs a stand-in; the root and data folders exist."""
    root = tmp_path / "root"
    root.mkdir()

    def make(body: str, timeout_seconds: float = 30.0) -> Terraform:
        return Terraform(
            binary=str(stand_in(body)),
            root=RootModule(root),
            data_folder=tmp_path / "data",
            environment={"PATH": os.environ["PATH"], "TRACE": str(tmp_path / "trace")},
            timeout_seconds=timeout_seconds,
        )

    return make


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "terraform.log"


def run(verb: str, adapter: Terraform, folder: Path) -> object:
    """Run a verb with files in a folder."""
    variables, plan, log = folder / "terraform.tfvars", folder / "tfplan", folder / "terraform.log"
    verbs: dict[str, Callable[[], object]] = {
        "init": lambda: adapter.init({}, log),
        "validate": lambda: adapter.validate(log),
        "plan": lambda: adapter.plan("111122223333", variables, plan, log),
        "show": lambda: adapter.show(plan, log),
        "apply": lambda: adapter.apply("111122223333", plan, log),
    }
    return verbs[verb]()


# --- Argument lists ----------------------------------------------------------------------------------------------

# Prints its arguments, one a line, and what its place in the world is.
RECORD = """
    { for argument; do echo "$argument"; done; echo "in $PWD"; } >>"$TRACE"
    echo "{}"
    """


def test_python_terraform_is_the_version_whose_argument_lists_are_pinned_here() -> None:
    assert importlib.metadata.version("python-terraform") == "0.10.1"


def test_the_argument_list_of_every_verb(make: Make, tmp_path: Path, log: Path) -> None:
    trace, root, plan = tmp_path / "trace", tmp_path / "root", tmp_path / "tfplan"

    def recorded(call: Callable[[Terraform], object]) -> list[str]:
        trace.unlink(missing_ok=True)
        call(make(RECORD))
        *arguments, place = trace.read_text().splitlines()
        # An apply has a working folder of its own beside its plan.
        assert re.fullmatch(f"in ({root}|{tmp_path}/apply-.*)" if "apply" in arguments else f"in {root}", place)
        return [argument for argument in arguments if argument != place]

    backend = {"bucket": "states", "region": "eu-west-1", "use_lockfile": "true"}
    assert recorded(lambda adapter: adapter.init(backend, log)) == [
        "init",
        "-backend-config=bucket=states",
        "-backend-config=region=eu-west-1",
        "-backend-config=use_lockfile=true",
        "-backend-config=skip_credentials_validation=true",
        "-backend-config=skip_requesting_account_id=true",
        "-input=false",
        "-no-color",
        "-lockfile=readonly",
    ]
    variables = tmp_path / "with blank" / "terraform.tfvars"
    assert recorded(lambda adapter: adapter.plan("111122223333", variables, plan, log)) == [
        "plan",
        "-json",
        "-detailed-exitcode",
        "-input=false",
        "-lock-timeout=300s",
        f"-var-file={variables}",
        f"-out={plan}",
    ]
    assert recorded(lambda adapter: adapter.plan("111122223333", variables, plan, log, destroy=True)) == [
        "plan",
        "-json",
        "-detailed-exitcode",
        "-destroy",
        "-input=false",
        "-lock-timeout=300s",
        f"-var-file={variables}",
        f"-out={plan}",
    ]
    assert recorded(lambda adapter: adapter.show(plan, log)) == ["show", "-json", str(plan)]
    assert recorded(lambda adapter: adapter.apply("111122223333", plan, log)) == [
        "apply",
        "-json",
        "-input=false",
        "-lock-timeout=300s",
        str(plan),
    ]
    assert recorded(lambda adapter: adapter.validate(log)) == [
        "init",
        "-backend=false",
        "-input=false",
        "-no-color",
        "validate",
        "-no-color",
    ]


def test_no_shell_reads_an_argument(make: Make, tmp_path: Path, log: Path) -> None:
    hostile = "a; touch $HOME `id` $(id) 'quote\""

    make(RECORD).init({"bucket": hostile}, log)

    assert f"-backend-config=bucket={hostile}" in (tmp_path / "trace").read_text().splitlines()


@pytest.mark.parametrize("name", ["paln", "destroy_cmd", "list_workspace", "tfstate", "state", "__deepcopy__"])
def test_a_misspelled_attribute_is_an_error_and_no_terraform_command(name: str) -> None:
    command_line = terraform._CommandLine("terraform")

    assert not hasattr(command_line, name)
    with pytest.raises(AttributeError):
        getattr(command_line, name)


@pytest.mark.parametrize("verb", ["plan", "apply", "destroy", "init", "output", "cmd", "read_state_file"])
def test_the_verbs_of_python_terraform_are_out_of_reach(verb: str) -> None:
    arguments = ["version"] if verb == "cmd" else []

    with pytest.raises((AttributeError, NotImplementedError, TypeError)):
        getattr(terraform._CommandLine("/bin/false"), verb)(*arguments)


# --- How a run ends ----------------------------------------------------------------------------------------------


@contextmanager
def failure(command: str, log: Path) -> Iterator[pytest.ExceptionInfo[TerraformError]]:
    with pytest.raises(TerraformError) as caught:
        yield caught
    assert str(caught.value) == f"terraform {command} failed. Log: {log}."


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (says(summary()) + "exit 0\n", PlanOutcome(changed=False)),
        (says(summary(add=3, change=2, remove=1)) + "exit 2\n", PlanOutcome(changed=True, add=3, change=2, destroy=1)),
        ("exit 2\n", PlanOutcome(changed=True)),
        (
            says("not JSON", "5", "null", "[]", '"text"', "{}", summary(add=1)) + "exit 2\n",
            PlanOutcome(changed=True, add=1),
        ),
    ],
    ids=["no changes", "changes", "changes without counts", "noise between the messages"],
)
def test_a_plan_that_worked(make: Make, tmp_path: Path, log: Path, body: str, outcome: PlanOutcome) -> None:
    assert make(body).plan("111122223333", tmp_path / "v", tmp_path / "tfplan", log) == outcome


@pytest.mark.parametrize(("verb", "code"), [("apply", 1), *(("plan", code) for code in (1, 3, 126, 127))])
def test_a_failure_reports_terraforms_own_errors(make: Make, tmp_path: Path, log: Path, verb: str, code: int) -> None:
    warning = {**DIAGNOSTIC, "diagnostic": {"severity": "warning", "summary": "Deprecated"}}
    bare = {**DIAGNOSTIC, "diagnostic": {"severity": "error", "summary": "Something else"}}
    adapter = make(says(warning, DIAGNOSTIC, bare) + f"exit {code}\n")

    with failure(verb, log) as caught:
        run(verb, adapter, tmp_path)

    assert caught.value.diagnostics == (REPORTED, "Something else")


def test_exit_code_2_of_an_apply_is_a_failure(make: Make, tmp_path: Path, log: Path) -> None:
    with failure("apply", log):
        make("exit 2\n").apply("111122223333", tmp_path / "tfplan", log)


@pytest.mark.parametrize("body", ["kill -9 $$\n", "exit 137\n"], ids=["-9", "137"])
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_killed_terraform_is_a_failure(make: Make, tmp_path: Path, log: Path, body: str, verb: str) -> None:
    adapter = make(says(summary(add=1)) + body)

    with failure(verb, log) as caught:
        run(verb, adapter, tmp_path)

    assert caught.value.diagnostics == ("terraform was ended by signal 9; the kernel does so when memory runs out.",)


def test_an_init_that_failed_reports_the_errors_without_their_frame(make: Make, log: Path) -> None:
    body = (
        says("╷\n│ Error: Failed to get existing workspaces\n│ \n│ operation error S3: ListObjectsV2\n╵") + "exit 1\n"
    )

    with failure("init", log) as caught:
        make(body).init({}, log)

    assert caught.value.diagnostics == ("Failed to get existing workspaces operation error S3: ListObjectsV2",)


def test_an_init_that_failed_without_terraforms_errors_shows_what_was_said(make: Make, log: Path) -> None:
    with failure("init", log) as caught:
        make("echo 'Version could not be resolved (set by  /version)' >&2\nexit 1\n").init({}, log)

    assert caught.value.diagnostics == ("Version could not be resolved (set by /version)",)


def test_a_provider_that_cannot_be_had_is_reported_with_what_to_do(make: Make, log: Path) -> None:
    body = says("Error: Failed to query available provider packages") + "exit 1\n"

    with pytest.raises(TerraformError, match="set TF_PLUGIN_MIRROR to a plugin directory"):
        make(body).init({}, log)


def test_a_plan_is_shown_though_a_warning_stands_before_it(make: Make, tmp_path: Path, log: Path) -> None:
    adapter = make(says("There are some problems with the CLI configuration:", '{"format_version": "1.2"}'))

    assert adapter.show(tmp_path / "tfplan", log) == {"format_version": "1.2"}
    assert not log.exists()


@pytest.mark.parametrize("body", ["exit 0\n", "echo '{'\n", "echo '[]'\n", "echo '{}'\nexit 1\n"])
def test_a_plan_that_cannot_be_shown_is_a_failure(make: Make, tmp_path: Path, log: Path, body: str) -> None:
    with failure("show", log):
        make(body).show(tmp_path / "tfplan", log)


@pytest.mark.parametrize("existed", [True, False])
def test_validation_leaves_the_lock_file_as_it_was(make: Make, tmp_path: Path, log: Path, existed: bool) -> None:
    lock = tmp_path / "root" / ".terraform.lock.hcl"
    if existed:
        lock.write_text("locked\n")
    adapter = make('echo "$*" >>"$TRACE"\n[ -e .terraform.lock.hcl ] || echo new >.terraform.lock.hcl\n')

    adapter.validate(log)

    assert (lock.read_text() if lock.exists() else None) == ("locked\n" if existed else None)
    assert ("-lockfile=readonly" in (tmp_path / "trace").read_text()) is existed


def test_a_folder_without_a_lock_file_is_validated_with_the_provider_of_another(
    make: Make, tmp_path: Path, log: Path
) -> None:
    other = tmp_path / "locked.hcl"
    other.write_text("locked\n")
    adapter = make('echo "$*" >>"$TRACE"\ncat .terraform.lock.hcl >>"$TRACE"\n')

    adapter.validate(log, other)

    trace = (tmp_path / "trace").read_text()
    assert "-lockfile=readonly" in trace
    assert "locked" in trace
    assert not (tmp_path / "root" / ".terraform.lock.hcl").exists()


def test_an_invalid_configuration_is_reported(make: Make, tmp_path: Path, log: Path) -> None:
    body = 'if [ "$1" = validate ]; then\n' + says("│ Error: Unsupported argument\n│ \n│ on main.tf") + "exit 1\nfi\n"

    with failure("validate", log) as caught:
        make(body).validate(log)

    assert caught.value.diagnostics == ("Unsupported argument on main.tf",)
    assert not (tmp_path / "root" / ".terraform.lock.hcl").exists()


LOCKED = {
    "severity": "error",
    "summary": "Error acquiring the state lock",
    "detail": (
        "Error message: operation error S3: PutObject, https response error StatusCode: 412, api error "
        "PreconditionFailed: At least one of the pre-conditions you specified did not hold\nLock Info:\n"
        "  ID:        83c0b8e1-d95e-ac6c-a49a-70ddc3ee8cf1\n"
        "  Path:      states/session-manager/eu-west-1/111122223333/terraform.tfstate\n"
        "  Operation: OperationTypeApply\n  Who:       ci@runner-7\n  Version:   1.11.4\n"
        "  Created:   2026-11-21 20:00:00.123456 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock to ..."
    ),
}


# What the backend says of a workspace that does not exist yet.
LOCKED_AT_ONCE = {"severity": "error", "summary": f"failed to lock s3 state: {LOCKED['detail']}", "detail": ""}


@pytest.mark.parametrize("diagnostic", [LOCKED, LOCKED_AT_ONCE], ids=["existing", "new"])
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_locked_state_reports_who_holds_it_and_since_when(
    make: Make, tmp_path: Path, verb: str, diagnostic: dict[str, str]
) -> None:
    adapter = make(says({**DIAGNOSTIC, "diagnostic": diagnostic}) + "exit 1\n")

    with pytest.raises(StateLockedError) as caught:
        run(verb, adapter, tmp_path)

    error = caught.value
    assert error.lock_id == "83c0b8e1-d95e-ac6c-a49a-70ddc3ee8cf1"
    assert error.path == "states/session-manager/eu-west-1/111122223333/terraform.tfstate"
    assert error.operation == "OperationTypeApply"
    assert (error.who, error.since) == ("ci@runner-7", "2026-11-21 20:00:00.123456 +0000 UTC")
    assert str(error).startswith("The state is locked by ci@runner-7 since 2026-11-21 20:00:00.123456 +0000 UTC")


def test_a_lock_that_says_nothing_is_a_plain_failure(make: Make, tmp_path: Path, log: Path) -> None:
    silent = {**LOCKED, "detail": "Error message: unexpected end of JSON input"}

    with failure("apply", log):
        make(says({**DIAGNOSTIC, "diagnostic": silent}) + "exit 1\n").apply("1", tmp_path / "tfplan", log)


@pytest.mark.parametrize("summary", ["Saved plan is stale", "Saved plan does not match the given state"])
def test_a_plan_for_another_state_is_stale(make: Make, tmp_path: Path, log: Path, summary: str) -> None:
    adapter = make(says({**DIAGNOSTIC, "diagnostic": {"severity": "error", "summary": summary}}) + "exit 1\n")

    with pytest.raises(StalePlanError, match="The state has changed since the plan was made; plan again"):
        adapter.apply("111122223333", tmp_path / "tfplan", log)


def test_what_a_run_adds_to_the_environment(stand_in: StandIn, tmp_path: Path, log: Path) -> None:
    trace = tmp_path / "trace"
    adapter = Terraform(
        binary=str(stand_in(f"env >'{trace}'\n")),
        root=RootModule(tmp_path),
        data_folder=tmp_path / "data",
        environment={"PATH": os.environ["PATH"], "AWS_PROFILE": "rollout", "TF_INPUT": "0"},
    )

    def seen() -> dict[str, str]:
        pairs = (line.partition("=") for line in trace.read_text().splitlines())
        return {name: value for name, _, value in pairs if re.match("TF_|AWS_|" + processes.MARKER, name)}

    adapter.init({}, log)
    always = {
        "TF_DATA_DIR": str(tmp_path / "data"),
        "TF_INPUT": "0",
        "AWS_PROFILE": "rollout",
        processes.MARKER: os.environ[processes.MARKER],
    }
    assert seen() == always
    adapter.plan("111122223333-us-east-1", tmp_path / "v", tmp_path / "tfplan", log)
    assert seen() == {**always, "TF_WORKSPACE": "111122223333-us-east-1"}


# --- Secrets -----------------------------------------------------------------------------------------------------

SECRETS = {
    "external_id": "external-canary/1",
    "AWS_SECRET_ACCESS_KEY": "secret+canary/2",
    "AWS_SESSION_TOKEN": "token-canary==3",
    "AWS_ACCESS_KEY_ID": "AKIACANARY4",
}


@pytest.mark.parametrize("verb", ["init", "validate", "plan", "show", "apply"])
def test_secrets_are_in_no_log_and_in_no_error(stand_in: StandIn, tmp_path: Path, log: Path, verb: str) -> None:
    text = " ".join(SECRETS.values())
    diagnostic = {"severity": "error", "summary": f"Cannot assume {text}", "detail": f'with "{text}"', "address": text}
    body = says({**DIAGNOSTIC, "diagnostic": diagnostic}, {"type": "log", "@message": text}, f"│ Error: {text}")
    if verb == "validate":
        body = f'[ "$1" = init ] && exit 0\n{body}'
    environment = {name: value for name, value in SECRETS.items() if name.isupper()}
    adapter = Terraform(
        binary=str(stand_in(body + "exit 1\n")),
        root=RootModule(tmp_path),
        data_folder=tmp_path / "data",
        environment={"PATH": os.environ["PATH"], **environment},
        secrets=[SECRETS["external_id"]],
    )

    with pytest.raises(TerraformError) as caught:
        run(verb, adapter, tmp_path)

    shown = "\n".join([str(caught.value), *caught.value.diagnostics, log.read_text() if log.exists() else ""])
    assert "(hidden)" in shown
    assert "canary" not in shown.casefold()


def test_a_secret_is_hidden_where_json_has_escaped_it() -> None:
    hide = redactor({"AWS_SESSION_TOKEN": 'a"b\\c', "AWS_SECRET_ACCESS_KEY": ""}, ["abcdefgh", "abcdefghij"])

    assert hide(json.dumps(['a"b\\c'])) == '["(hidden)"]'
    assert hide("abcdefghij and abcdefgh") == "(hidden) and (hidden)"
    assert redactor({})("nothing") == "nothing"


@pytest.mark.parametrize(
    ("name", "value", "line", "shown"),
    [
        # Output is read line by line.
        (
            "DEPLOY_PRIVATE_KEY",
            "-----BEGIN-----\nMIIEvQIBADANBgkq\n-----END-----\n",
            "x MIIEvQIBADANBgkq",
            "x (hidden)",
        ),
        (
            "TF_ENCRYPTION",
            'key_provider "pbkdf2" "k" {\n  passphrase = "correct-horse"\n}',
            "a correct-horse",
            "a (hidden)",
        ),
        (
            "TF_ENCRYPTION",
            '{"key_provider":{"pbkdf2":{"k":{"passphrase":"correct-horse"}}}}',
            "correct-horse",
            "(hidden)",
        ),
        (
            "TF_ENCRYPTION",
            'key_provider "aws_kms" "k" {\n  secret_key = "wJalrXUtnFEMI"\n}',
            "wJalrXUtnFEMI",
            "(hidden)",
        ),
        ("TF_ENCRYPTION", 'key_provider "aws_kms" "k" {\n  region = "eu-west-1"\n}', "in eu-west-1", "in eu-west-1"),
        ("TF_ENCRYPTION", "}\n}\n", "}", "}"),
    ],
)
def test_each_line_of_a_secret_and_each_secret_in_a_configuration_is_hidden(
    name: str, value: str, line: str, shown: str
) -> None:
    assert redactor({name: value})(line) == shown


def test_a_session_token_that_aws_repeats_is_hidden() -> None:
    answer = (
        "The Canonical String for this request should have been\n'POST\n/\n\nhost:sts.eu-west-1.amazonaws.com\n"
        "x-amz-date:20261121T200000Z\n{token}\n\nhost;x-amz-date;x-amz-security-token\ne3b0c44298fc1c14'"
    )
    assumed = answer.format(token="x-amz-security-token:IQoJb3JpZ2luX2VjEJr//+abc==")

    assert redactor({})(assumed) == answer.format(token="x-amz-security-token:(hidden)")
    assert "IQoJ" not in redactor({})(json.dumps(assumed))


# --- Logs and files ----------------------------------------------------------------------------------------------


def test_the_log_is_readable_for_people_and_private(make: Make, tmp_path: Path, log: Path) -> None:
    before = os.umask(0)
    try:
        plan = tmp_path / "tfplan"
        adapter = make(
            says(summary(add=1), DIAGNOSTIC) + 'echo "to stderr" >&2\nprintf "\\377 broken\\n"\nrm -f "$PLAN"\nexit 1\n'
        )
        for _ in range(2):
            with pytest.raises(TerraformError):
                adapter.plan("111122223333", tmp_path / "v", plan, log)
    finally:
        os.umask(before)

    text = log.read_text(encoding="utf-8")
    assert text.count(f"2027-01-01T00:00:00Z error: {REPORTED}\n") == 2
    assert "to stderr\n\ufffd broken\n" in text
    assert '"type"' not in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_log_grows_while_terraform_runs(make: Make, tmp_path: Path, log: Path) -> None:
    adapter = make("echo first\nwhile [ ! -e ../go ]; do sleep 0.02; done\n")
    thread = threading.Thread(target=adapter.apply, args=("111122223333", tmp_path / "tfplan", log))

    thread.start()
    wait_for(lambda: log.exists() and "first" in log.read_text())
    (tmp_path / "go").touch()
    thread.join(10)

    assert not thread.is_alive()


def test_a_saved_plan_is_private_even_if_terraform_writes_it_again(make: Make, tmp_path: Path, log: Path) -> None:
    plan = tmp_path / "tfplan"

    make(f"rm -f '{plan}'\numask 0\necho secret >'{plan}'\nexit 2\n").plan("1", tmp_path / "v", plan, log)

    assert stat.S_IMODE(plan.stat().st_mode) == 0o600


def test_an_apply_sees_the_root_module_in_a_working_folder_of_its_own(make: Make, tmp_path: Path, log: Path) -> None:
    root, plan = tmp_path / "root", tmp_path / "target" / "tfplan"
    plan.parent.mkdir()
    (root / "modules" / "one").mkdir(parents=True)
    for name in ("main.tf", ".terraform.lock.hcl", "modules/one/lambda.zip", "README.md", "organization.yaml"):
        (root / name).write_text(f"content of {name}\n")

    make('ls -A; cat main.tf modules/one/lambda.zip .terraform.lock.hcl; stat -c %a "$PWD"').apply("1", plan, log)

    assert log.read_text().splitlines() == [
        *(".terraform.lock.hcl", "main.tf", "modules"),
        *("content of main.tf", "content of modules/one/lambda.zip", "content of .terraform.lock.hcl"),
        "700",
    ]
    assert list(plan.parent.iterdir()) == []
    assert (root / "modules" / "one" / "lambda.zip").exists()


def test_states_that_cannot_be_saved_at_the_same_time_are_kept_apart(make: Make, tmp_path: Path) -> None:
    adapter = make('umask 0; echo "state of $TF_WORKSPACE" >errored.tfstate; sleep 0.3; exit 1\n')
    folders = {name: tmp_path / name for name in ("111122223333", "222233334444")}
    threads = []
    for name, folder in folders.items():
        folder.mkdir()
        run = partial(adapter.apply, name, folder / "tfplan", folder / "terraform.log")
        threads.append(in_background(run)[0])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    for name, folder in folders.items():
        kept = unsaved_state(folder)
        assert kept == folder / "errored.tfstate"
        assert kept.read_text() == f"state of {name}\n"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert {path.name for path in folder.iterdir()} == {"errored.tfstate", "terraform.log"}
    assert list((tmp_path / "root").iterdir()) == []


def test_a_state_that_was_left_after_the_rollout_was_killed_is_found(tmp_path: Path) -> None:
    assert unsaved_state(tmp_path) is None
    left = tmp_path / "apply-x" / "errored.tfstate"
    left.parent.mkdir()
    assert unsaved_state(tmp_path) is None
    left.write_text("left\n")

    assert unsaved_state(tmp_path) == tmp_path / "errored.tfstate"
    assert (tmp_path / "errored.tfstate").read_text() == "left\n"

    # What is kept already is not overwritten: its turn comes when the other is gone.
    left.write_text("another\n")
    unsaved_state(tmp_path)
    assert (tmp_path / "errored.tfstate").read_text() == "left\n"
    assert left.exists()


# --- Time and interruption ---------------------------------------------------------------------------------------

# Notes signals; `while` and not one long sleep, since a shell handles signals between commands only.
STUBBORN = """
    trap 'echo INT >>"$TRACE"; {on_interrupt}' INT
    trap 'echo TERM >>"$TRACE"' TERM
    echo ready
    while :; do sleep 0.05; done
    """


def in_background(run: Callable[[], object]) -> tuple[threading.Thread, list[TerraformError]]:
    """Return a thread, not yet started, and where the error of the command in it will be."""
    errors: list[TerraformError] = []

    def catch() -> None:
        try:
            run()
        except TerraformError as error:
            errors.append(error)

    return threading.Thread(target=catch), errors


def start_apply(adapter: Terraform, folder: Path, log: Path) -> tuple[threading.Thread, list[TerraformError]]:
    """Start an apply and wait until it runs; return its thread, and where its error will be."""
    thread, errors = in_background(lambda: adapter.apply("1", folder / "tfplan", log))
    thread.start()
    wait_for(lambda: log.exists() and "ready" in log.read_text())
    return thread, errors


def test_a_command_that_takes_too_long_is_interrupted_as_by_ctrl_c(make: Make, tmp_path: Path, log: Path) -> None:
    adapter = make(STUBBORN.format(on_interrupt="exit 1"), timeout_seconds=0.5)

    with pytest.raises(TerraformError) as caught:
        adapter.apply("111122223333", tmp_path / "tfplan", log)

    assert str(caught.value) == f"terraform apply took longer than 0.5 seconds and was stopped. Log: {log}."
    assert (tmp_path / "trace").read_text().split() == ["INT"]


def test_a_command_that_does_not_follow_is_ended_step_by_step(
    make: Make, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_command, "_GRACE_SECONDS", 0.5)
    adapter = make(STUBBORN.format(on_interrupt=":"), timeout_seconds=0.5)

    with pytest.raises(TerraformError, match="took longer than"):
        adapter.apply("111122223333", tmp_path / "tfplan", log)

    assert (tmp_path / "trace").read_text().split() == ["INT", "TERM"]


def test_a_command_in_time_is_left_alone(make: Make, tmp_path: Path, log: Path) -> None:
    make("trap 'echo INT >>\"$TRACE\"' INT\n", timeout_seconds=5).apply("1", tmp_path / "tfplan", log)

    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("seconds", [1e10, math.inf, math.nan])
def test_a_command_without_a_limit_can_be_interrupted(make: Make, tmp_path: Path, log: Path, seconds: float) -> None:
    adapter = make(STUBBORN.format(on_interrupt="exit 1"), timeout_seconds=seconds)
    thread, errors = start_apply(adapter, tmp_path, log)

    adapter.interrupt()
    thread.join(10)

    assert not thread.is_alive()
    assert len(errors) == 1
    assert (tmp_path / "trace").read_text().split() == ["INT"]


def test_an_interruption_reaches_every_running_command(make: Make, tmp_path: Path) -> None:
    adapter = make(STUBBORN.format(on_interrupt="exit 1"))
    logs = [tmp_path / f"{number}.log" for number in range(3)]
    started = [start_apply(adapter, tmp_path, log) for log in logs]

    adapter.interrupt()
    for thread, _ in started:
        thread.join(10)

    assert [str(error) for _, errors in started for error in errors] == [
        f"terraform apply failed. Log: {log}." for log in logs
    ]
    assert (tmp_path / "trace").read_text().split() == ["INT"] * 3
    adapter.interrupt()


def test_an_interruption_that_is_repeated_sends_no_second_signal(make: Make, tmp_path: Path, log: Path) -> None:
    # Terraform takes a second one as the order to drop everything; after the first it needs time to save its state.
    adapter = make(STUBBORN.format(on_interrupt="sleep 0.5; exit 1"))
    thread, errors = start_apply(adapter, tmp_path, log)
    for _ in range(5):
        adapter.interrupt()
        time.sleep(0.05)
    thread.join(10)

    assert not thread.is_alive()
    assert len(errors) == 1
    assert (tmp_path / "trace").read_text().split() == ["INT"]


def test_an_interrupted_command_that_does_not_follow_is_ended_step_by_step(
    make: Make, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_command, "_GRACE_SECONDS", 0.5)
    adapter = make(STUBBORN.format(on_interrupt=":"))
    thread, errors = start_apply(adapter, tmp_path, log)
    adapter.interrupt()
    thread.join(10)

    assert not thread.is_alive()
    assert (tmp_path / "trace").read_text().split() == ["INT", "TERM"]
    # It was not late: it was interrupted.
    assert [str(error) for error in errors] == [f"terraform apply failed. Log: {log}."]
