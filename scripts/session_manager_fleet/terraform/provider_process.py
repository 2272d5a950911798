"""A process of the provider for one terraform command, started here instead of by terraform.

By itself, terraform hashes the 700 MB of hashicorp/aws for every command and starts the provider again for every step
of it: more than a third of the processor time of a plan. A process is never given to two commands, since commands that
use one process read with each other's credentials, without any error.
"""

from __future__ import annotations

import base64
import hashlib
import os
import queue
import re
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

from session_manager_fleet.errors import TerraformError
from session_manager_fleet.files import sha256_of
from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.provider_search import PROVIDER_SOURCE
from session_manager_fleet.terraform.root_module import RootModule

REATTACH = "TF_REATTACH_PROVIDERS"
_STARTED = re.compile(rf"\s*{REATTACH}='(.*)'")
_START_SECONDS = 60.0
_CRASH_LINES = 500

_PROVIDER_BLOCK = re.compile(r'^provider\s+"aws"', re.MULTILINE)

# One check at a time: others that need the same package wait for its result.
_check_lock = threading.Lock()


class NotAttachableError(Exception):
    """Terraform has to start the provider itself; the text is the reason, as a clause."""


@dataclass
class AttachedProvider:
    """A running provider.

    Attributes:
        process: The process.
        started: Receives the text that attaches terraform, or None if the provider ended before.
        output: Last lines of its output, without its log messages.
        attachment: Environment that attaches one terraform command.
    """

    process: Popen[bytes]
    started: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    output: deque[str] = field(default_factory=lambda: deque(maxlen=_CRASH_LINES))
    attachment: Mapping[str, str] = field(default_factory=dict)

    def crash(self) -> str:
        """Return how the provider ended before the command did; empty while it is running."""
        code = self.process.poll()
        if code is None:
            return ""
        panic = next((f" {line}" for line in list(self.output) if line.startswith(("panic:", "fatal error:"))), "")
        return f"The provider {_ending(code)} before terraform was done.{panic}"

    def read(self) -> None:
        """Read all output, so that the provider never waits for its reader."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if match := _STARTED.fullmatch(line):
                self.output.clear()
                self.started.put(match[1])
            # Its log messages are JSON objects, and may hold secrets.
            elif line and not line.startswith("{"):
                self.output.append(line)
        self.started.put(None)

    def wait(self, seconds: float) -> str:
        """Wait until the provider serves, and return the text that attaches terraform.

        Raises:
            NotAttachableError: It does not serve in time, or not at all, as providers without `-debug`.
        """
        try:
            attachment = self.started.get(timeout=seconds)
        except queue.Empty:
            raise NotAttachableError(f"the provider did not start in {seconds:g} seconds") from None
        if attachment is None:
            said = "".join(f": {line}" for line in list(self.output)[:1])
            raise NotAttachableError(f"the provider, started with -debug, {_ending(self.process.wait())}{said}")
        return attachment


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as the kernel does when memory runs out,"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


@contextmanager
def attached_provider(
    root: RootModule, data_folder: Path, environment: Mapping[str, str]
) -> Iterator[AttachedProvider]:
    """Run the provider that `terraform init` installed for the root module, for one terraform command.

    The command must configure the provider once at most: with AWS_CA_BUNDLE, hashicorp/aws fails at a second time.

    Args:
        root: The root module, with its lock file.
        data_folder: Terraform's data folder.
        environment: The whole environment of the command.

    Raises:
        NotAttachableError: Terraform has to start the provider itself.
        TerraformError: The package is not the one in the lock file.
    """
    if sum(len(_PROVIDER_BLOCK.findall(file.read_text(encoding="utf-8"))) for file in root.path.glob("*.tf")) > 1:
        # One process serves one configuration: several would read with each other's credentials.
        raise NotAttachableError("there is more than one provider configuration")
    executable = _installed(root, data_folder)
    _check(executable.parent, root)
    with ExitStack() as stack:
        try:
            # The path of a socket has about a hundred characters at most, so it cannot be in the folder of the run.
            sockets = stack.enter_context(TemporaryDirectory(prefix="provider-", ignore_cleanup_errors=True))
            command, private = [str(executable), "-debug"], {**environment, "TMPDIR": sockets}
            process = processes.start(command, folder=root.path, environment=private, serves=True)
        except OSError as error:
            raise NotAttachableError(f"the provider cannot be started: {error}") from error
        yield stack.enter_context(_serving(process))


def _installed(root: RootModule, data_folder: Path) -> Path:
    """Return the executable of the locked provider that terraform starts for this data folder."""
    packages = data_folder.absolute() / "providers" / PROVIDER_SOURCE / (root.provider_version or "none")
    found = list(packages.glob("*/terraform-provider-aws_*"))
    if len(found) != 1:
        raise NotAttachableError("terraform init has not installed the provider as a folder")
    # What is checked is what is started, whatever the links to the folder become meanwhile.
    return found[0].parent.resolve() / found[0].name


def _check(package: Path, root: RootModule) -> None:
    """Compare a package with the lock file: terraform leaves that out for a provider that it does not start.

    As in terraform, only `h1:` hashes count: `zh:` hashes are those of archives, which terraform has unpacked.
    """
    if not any(known.startswith("h1:") for known in root.provider_hashes):
        raise NotAttachableError(f"{root.lock_file.name} has no h1: hash of the provider")
    paths = sorted(path for path in package.rglob("*") if not path.is_dir())
    files = tuple((path.relative_to(package).as_posix(), *_identity(path)) for path in paths)
    with _check_lock:
        actual = _package_hash(package, files)
    if actual not in root.provider_hashes:
        raise TerraformError(
            f"The provider package {package} is not the one in {root.lock_file}: it has changed since terraform init, "
            f"and its hash is {actual} now. Find out why, and replace it with the package of the registry."
        )


def _identity(path: Path) -> tuple[int, ...]:
    """Return what changes with the content of a file: nothing but the kernel sets the time of its last change."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@cache
def _package_hash(package: Path, files: tuple[tuple[str | int, ...], ...]) -> str:
    """Return the `h1:` hash of a package, which is that of Go's `dirhash.Hash1`.

    It is read once in the life of this process, and again when a file has changed.

    Args:
        package: Folder of the package.
        files: Each file below it: its name, and its identity.
    """
    names = sorted(str(name) for name, *_ in files)
    lines = "".join(f"{sha256_of(package / name)}  {name}\n" for name in names)
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


@contextmanager
def _serving(process: Popen[bytes]) -> Iterator[AttachedProvider]:
    """Wait until terraform can be attached to a provider, and end the provider whatever happens."""
    provider = AttachedProvider(process)
    reader = threading.Thread(target=provider.read, daemon=True)
    reader.start()
    try:
        provider.attachment = {REATTACH: provider.wait(_START_SECONDS)}
        yield provider
    finally:
        # It holds no state: there is nothing that it could save.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        process.stdout.close()
