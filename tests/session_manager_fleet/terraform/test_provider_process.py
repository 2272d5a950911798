"""A provider process for each plan: checked against the lock file, given to one command, ended with it."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from session_manager_fleet.errors import TerraformError
from session_manager_fleet.terraform import processes, provider_process
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.provider_process import NotAttachableError, attached_provider
from session_manager_fleet.terraform.root_module import RootModule
from tests.waiting import wait_for

SCRIPTS = Path(processes.__file__).parents[2]
SOURCE = "registry.terraform.io/hashicorp/aws"
PROVIDER = "terraform-provider-aws_v5.100.0_x5"

# Says what hashicorp/aws says, with what terraform would connect to.
SERVES = """
test "$1" = -debug || exit 1
echo "Starting github.com/hashicorp/terraform-provider-aws@5.100.0 (go1.23.10)..." >&2
echo '{"@level":"debug","@message":"plugin address","secret":"hunter2hunter2"}' >&2
echo "$$ $TMPDIR $AWS_ACCESS_KEY_ID" >>'%(trace)s'
touch "$TMPDIR/plugin1"
echo "Provider started. To attach Terraform CLI, set the environment variable with the following:"
printf '\\n\\tTF_REATTACH_PROVIDERS='"'"'{"%(source)s":{"Pid":%%s}}'"'"'\\n\\n' $$
"""
WAITS = "while :; do sleep 0.1; done\n"


def hash1(folder: Path) -> str:
    """Return the hash as `sha256sum` and Go's documentation of dirhash have it."""
    listed = subprocess.run(
        ["/bin/sh", "-c", "find -L . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum"],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return "h1:" + base64.b64encode(hashlib.sha256(listed).digest()).decode()


class Place:
    """A root module, and the data folder in which terraform init has installed a provider.

    Attributes:
        root: The root module.
        data: Terraform's data folder.
        package: Folder of the provider.
        trace: Lines that the providers write.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.data = RootModule(folder / "root"), folder / "data"
        self.package = folder / "mirror" / SOURCE / "5.100.0" / "linux_amd64"
        self.trace = folder / "trace"
        self.root.path.mkdir()
        self.package.mkdir(parents=True)
        link = self.data / "providers" / SOURCE / "5.100.0" / "linux_amd64"
        link.parent.mkdir(parents=True)
        # As terraform does with a mirror of unpacked packages.
        link.symlink_to(self.package)

    def install(self, then: str = WAITS) -> None:
        """Install and lock a provider that serves and then does something."""
        (self.package / "LICENSE.txt").write_text("MPL-2.0")
        (self.package / PROVIDER).write_text(
            "#!/bin/sh\n" + SERVES % {"trace": self.trace, "source": SOURCE} + dedent(then)
        )
        (self.package / PROVIDER).chmod(0o755)
        self.lock("zh:" + "0" * 64, hash1(self.package))

    def lock(self, *hashes: str) -> None:
        listed = "".join(f'    "{known}",\n' for known in hashes)
        other = 'provider "example.com/other/aws2" {\n  version = "1.0.0"\n  hashes = [\n    "h1:other=",\n  ]\n}\n'
        self.root.lock_file.write_text(
            f'{other}provider "{SOURCE}" {{\n  version     = "5.100.0"\n  constraints = ">= 5.84.0"\n'
            f"  hashes = [\n{listed}  ]\n}}\n{other}"
        )

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", **more}

    def started(self) -> list[list[str]]:
        """Process id, folder of the socket and access key of each provider that was started."""
        return [line.split() for line in self.trace.read_text().splitlines()] if self.trace.exists() else []

    def terraform(self, stand_in: Callable[[str], Path], body: str, timeout_seconds: float = 30.0) -> Terraform:
        return Terraform(
            binary=str(stand_in(body)),
            root=self.root,
            data_folder=self.data,
            environment=self.environment(TRACE=str(self.trace)),
            timeout_seconds=timeout_seconds,
            secrets=["hunter2hunter2"],
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.install()
    yield place
    assert not [pid for pid, *_ in place.started() if running(pid)]


def start(place: Place) -> None:
    """Start a provider and end it."""
    with attached_provider(place.root, place.data, place.environment()):
        pass


def running(pid: str) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    return False


# --- Start and end -----------------------------------------------------------------------------------------------


def test_a_provider_runs_for_one_command_in_its_environment_and_ends_with_it(place: Place) -> None:
    with attached_provider(place.root, place.data, place.environment()) as provider:
        ((pid, sockets, key),) = place.started()
        assert provider.attachment == {"TF_REATTACH_PROVIDERS": f'{{"{SOURCE}":{{"Pid":{pid}}}}}'}
        assert running(pid)
        assert key == "AKIAEXAMPLE"
        assert stat.S_IMODE(Path(sockets).stat().st_mode) == 0o700
        assert stat.S_IMODE((Path(sockets) / "plugin1").stat().st_mode) == 0o600
        assert provider.crash() == ""
        assert not list(provider.output)

    assert not running(pid)
    assert not Path(sockets).exists()


def test_a_provider_ends_with_an_error_of_its_command(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), attached_provider(place.root, place.data, place.environment()):
        raise ZeroDivisionError

    assert len(place.started()) == 1


def test_commands_at_the_same_time_have_a_provider_each(place: Place) -> None:
    with (
        attached_provider(place.root, place.data, place.environment()) as one,
        attached_provider(place.root, place.data, place.environment()) as other,
    ):
        assert one.attachment != other.attachment
        assert len({sockets for _, sockets, _ in place.started()}) == 2


# --- The package -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [PROVIDER, "LICENSE.txt", "added"])
def test_a_package_that_is_not_the_one_in_the_lock_file_is_refused(place: Place, name: str) -> None:
    with (place.package / name).open("a") as file:
        file.write("# changed\n")

    with pytest.raises(TerraformError, match="is not the one in") as refused:
        start(place)

    assert str(place.package) in str(refused.value)
    assert not place.started()


def test_a_package_that_changes_in_a_run_is_refused_even_if_size_and_time_stay(place: Place) -> None:
    start(place)
    provider = place.package / PROVIDER
    before = provider.stat()
    provider.write_text(provider.read_text().replace("exit 1", "exit 2"))
    os.utime(provider, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (provider.stat().st_size, provider.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    with pytest.raises(TerraformError, match="is not the one in"):
        start(place)

    assert len(place.started()) == 1


def test_a_package_is_read_once_in_a_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(provider_process, "sha256_of", counted)
    barrier = threading.Barrier(4)

    def plan() -> None:
        barrier.wait()
        start(place)

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(read) == ["LICENSE.txt", PROVIDER]
    assert len(place.started()) == 4


def test_the_hash_of_another_provider_does_not_count(place: Place) -> None:
    right = hash1(place.package)
    place.lock("h1:wrong=")
    place.root.lock_file.write_text(place.root.lock_file.read_text().replace("h1:other=", right))

    with pytest.raises(TerraformError, match="is not the one in"):
        start(place)


def test_the_hash_is_that_of_terraform(tmp_path: Path) -> None:
    # `terraform providers lock` and Go's dirhash.HashDir give this one.
    package = tmp_path / "package"
    (package / "b").mkdir(parents=True)
    (package / "b" / "c").write_text("x")
    (package / "b.txt").write_text("y\n")

    files = tuple((name, 0) for name in ("b/c", "b.txt"))

    assert provider_process._package_hash(package, files) == hash1(package)


# --- Where terraform starts the provider -------------------------------------------------------------------------


def reason(place: Place) -> str:
    with pytest.raises(NotAttachableError) as why:
        start(place)
    return str(why.value)


def test_several_configurations_are_left_to_terraform(place: Place) -> None:
    for name in ("a", "b"):
        (place.root.path / f"{name}.tf").write_text(f'provider "aws" {{\n  alias = "{name}"\n}}\n')

    assert reason(place) == "there is more than one provider configuration"


def test_a_provider_that_is_not_unpacked_is_left_to_terraform(place: Place) -> None:
    shutil.rmtree(place.data)

    assert reason(place) == "terraform init has not installed the provider as a folder"


def test_a_lock_file_with_hashes_of_archives_only_is_left_to_terraform(place: Place) -> None:
    place.lock("zh:" + "0" * 64)

    assert reason(place) == ".terraform.lock.hcl has no h1: hash of the provider"


def test_a_provider_without_the_option_is_left_to_terraform(place: Place) -> None:
    (place.package / PROVIDER).write_text("#!/bin/sh\necho 'flag provided but not defined: -debug' >&2\nexit 2\n")
    place.lock(hash1(place.package))

    assert reason(place) == (
        "the provider, started with -debug, ended with exit code 2: flag provided but not defined: -debug"
    )


def test_a_provider_that_cannot_be_run_is_left_to_terraform(place: Place) -> None:
    (place.package / PROVIDER).chmod(0o644)

    assert reason(place).startswith("the provider cannot be started: [Errno 13] Permission denied")


def test_a_package_of_links_is_checked_and_started_as_terraform_does(place: Place, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for name in (PROVIDER, "LICENSE.txt"):
        stored = (place.package / name).rename(tmp_path / "store" / f"0123-{name}")
        (place.package / name).symlink_to(stored)

    start(place)

    assert len(place.started()) == 1


def test_a_provider_that_does_not_serve_in_time_is_left_to_terraform(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_process, "_START_SECONDS", 0.3)
    (place.package / PROVIDER).write_text(f'#!/bin/sh\necho "$$ - -" >>{place.trace}\n{WAITS}')
    place.lock(hash1(place.package))

    assert reason(place) == "the provider did not start in 0.3 seconds"


# --- Commands ----------------------------------------------------------------------------------------------------

# Notes the command and the provider that it is given.
NOTES = 'echo "$1 $TF_REATTACH_PROVIDERS" >>"$TRACE.commands"; echo "{}"\n'


def run_all(terraform: Terraform, folder: Path) -> None:
    """Run every verb once."""
    variables, plan, log = folder / "terraform.tfvars", folder / "tfplan", folder / "terraform.log"
    terraform.init({}, log)
    terraform.plan("111122223333", variables, plan, log)
    terraform.show(plan, log)
    terraform.validate(log)
    (terraform.root.modules).mkdir(exist_ok=True)
    terraform.apply("111122223333", plan, log)


def test_plan_show_and_validate_get_a_provider_each_and_apply_gets_none(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    run_all(place.terraform(stand_in, NOTES), tmp_path)

    given = [line.split(" ", 1) for line in Path(f"{place.trace}.commands").read_text().splitlines()]
    attached = [verb for verb, provider in given if provider]
    assert [verb for verb, _ in given] == ["init", "plan", "show", "init", "validate", "apply"]
    assert attached == ["plan", "show", "validate"]
    assert len({provider for _, provider in given if provider}) == len(place.started()) == 3


def test_a_command_runs_without_where_terraform_starts_the_provider(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    place.lock("zh:" + "0" * 64)
    terraform = place.terraform(stand_in, NOTES)

    assert terraform.try_provider() == ".terraform.lock.hcl has no h1: hash of the provider"
    run_all(terraform, tmp_path)

    assert not place.started()
    assert "TF_REATTACH" not in Path(f"{place.trace}.commands").read_text()


def test_a_tampered_package_fails_the_plan_and_the_trial(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    terraform = place.terraform(stand_in, NOTES)
    assert terraform.try_provider() == ""
    (place.package / "LICENSE.txt").write_text("mine")

    with pytest.raises(TerraformError, match="is not the one in"):
        terraform.try_provider()
    with pytest.raises(TerraformError, match="is not the one in"):
        terraform.plan("1", tmp_path / "vars", tmp_path / "tfplan", tmp_path / "log")

    assert not Path(f"{place.trace}.commands").exists()


@pytest.mark.parametrize(
    ("then", "crash"),
    [
        (
            "sleep 0.2\necho 'panic: runtime error: hunter2hunter2' >&2\necho 'goroutine 1 [running]:' >&2\nexit 2\n",
            "The provider ended with exit code 2 before terraform was done. panic: runtime error: (hidden)",
        ),
        (
            "sleep 0.2\nkill -9 $$\n",
            "The provider was killed, as the kernel does when memory runs out, before terraform was done.",
        ),
    ],
)
def test_a_provider_that_dies_in_the_middle_is_reported(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path, then: str, crash: str
) -> None:
    place.install(then)
    log = tmp_path / "terraform.log"
    terraform = place.terraform(stand_in, "sleep 2\nexit 1")

    with pytest.raises(TerraformError) as failed:
        terraform.plan("1", tmp_path / "vars", tmp_path / "tfplan", log)

    assert failed.value.diagnostics == (crash,)
    assert crash in log.read_text()
    assert ("goroutine 1 [running]:" in log.read_text()) is ("panic" in crash)
    assert "hunter2hunter2" not in log.read_text()


def test_an_interrupt_while_the_provider_starts_reaches_terraform(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    provider = place.package / PROVIDER
    provider.write_text(provider.read_text().replace("test ", 'touch "$TRACE.starting"; sleep 1; test ', 1))
    place.lock(hash1(place.package))
    terraform = place.terraform(stand_in, "exec sleep 30")
    errors: list[TerraformError] = []

    def plan() -> None:
        try:
            terraform.plan("1", tmp_path / "vars", tmp_path / "tfplan", tmp_path / "log")
        except TerraformError as error:
            errors.append(error)

    thread = threading.Thread(target=plan)
    begun = time.monotonic()
    thread.start()
    wait_for(Path(f"{place.trace}.starting").exists)
    terraform.interrupt()
    thread.join(20)

    assert not thread.is_alive()
    assert time.monotonic() - begun < 20
    assert "signal 2" in "".join(errors[0].diagnostics)


# --- Whatever happens --------------------------------------------------------------------------------------------

# A rollout in small: a plan that waits, with its provider.
ROLLOUT = """
import os, sys
from pathlib import Path
from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.root_module import RootModule

folder, root, data, trace, binary = map(Path, sys.argv[1:])
environment = {"PATH": os.environ["PATH"], "TRACE": str(trace)}
terraform = Terraform(binary=str(binary), root=RootModule(root), data_folder=data, environment=environment)
terraform.plan("1", folder / "vars", folder / "tfplan", folder / "log")
"""


def test_no_provider_is_left_when_the_rollout_is_killed_and_terraform_may_finish(
    place: Place, stand_in: Callable[[str], Path], tmp_path: Path
) -> None:
    body = 'touch "$TRACE.planning"; sleep 2; kill -0 "$(cut -d" " -f1 "$TRACE")" && touch "$TRACE.served"\n'
    environment = {name: value for name, value in os.environ.items() if name != processes.MARKER}
    rollout = subprocess.Popen(
        [
            *(sys.executable, "-c", ROLLOUT, str(tmp_path), str(place.root.path), str(place.data), str(place.trace)),
            str(stand_in(body)),
        ],
        env={**environment, "PYTHONPATH": str(SCRIPTS), "TMPDIR": str(tmp_path)},
    )
    wait_for(Path(f"{place.trace}.planning").exists)
    ((pid, *_),) = place.started()

    rollout.send_signal(signal.SIGKILL)
    rollout.wait(10)

    assert running(pid)
    wait_for(lambda: not running(pid))
    assert Path(f"{place.trace}.served").exists(), "the provider ended before its command"
