"""Children end with their parent, even when the parent is killed."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from session_manager_fleet.terraform import processes
from tests.waiting import wait_for

SCRIPTS = Path(processes.__file__).parents[2]
# Of a command that no guarded process has started.
UNGUARDED = {name: value for name, value in os.environ.items() if name != processes.MARKER}

# Starts three children: one that follows Ctrl-C and notes it, one that does not follow it, and one with a child of
# its own. Then it says how they can be found, and waits.
PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from session_manager_fleet.terraform import processes

folder = Path(sys.argv[1])
processes.guard_children(interrupt_seconds=0.5)
for name in ("polite", "deaf", "family"):
    processes.start(
        ["/bin/sh", str(folder / name)],
        folder=folder,
        environment={"PATH": os.environ["PATH"]},
    )
print(os.environ[processes.MARKER], flush=True)
time.sleep(300)
"""
CHILDREN = {
    "polite": "trap 'echo saved >saved; exit 0' INT\ntouch polite.ready\nwhile :; do sleep 0.05; done\n",
    "deaf": "trap '' INT\ntouch deaf.ready\nwhile :; do sleep 0.2; done\n",
    "family": "sleep 300 &\ntouch family.ready\nsleep 300\n",
}


# Starts a child that has something to say for a while, and lets it finish.
PATIENT_PARENT = """
import os, sys, time
from pathlib import Path
from session_manager_fleet.terraform import processes

folder = Path(sys.argv[1])
processes.guard_children(interrupt_seconds=0.5, finish_seconds=60)
processes.start(["/bin/sh", str(folder / "talkative")], folder=folder, environment={"PATH": os.environ["PATH"]})
print("started", flush=True)
time.sleep(300)
"""
TALKATIVE = """
trap 'touch interrupted' INT
touch ready
for number in 1 2 3 4 5 6 7 8 9 10; do
  sleep 0.1
  head -c 20000 /dev/zero || exit 1
done
touch done
"""


def test_a_child_finishes_what_it_does_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "talkative").write_text(TALKATIVE)
    parent = subprocess.Popen(
        [sys.executable, "-c", PATIENT_PARENT, str(tmp_path)],
        env={**UNGUARDED, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    wait_for((tmp_path / "ready").exists)

    parent.kill()
    parent.wait()

    wait_for((tmp_path / "done").exists)
    assert not (tmp_path / "interrupted").exists()


def guards(marker: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    for name, body in CHILDREN.items():
        (tmp_path / name).write_text(body)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**UNGUARDED, "PYTHONPATH": str(SCRIPTS)},
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        marker = parent.stdout.readline().strip()
        wait_for(lambda: all((tmp_path / f"{name}.ready").exists() for name in CHILDREN))
        assert len(processes._marked(marker, parent=0)) >= 4
        assert len(guards(marker)) == 1

        parent.send_signal(number)

    wait_for(lambda: not processes._marked(marker, parent=0))
    wait_for(lambda: not guards(marker))
    assert (tmp_path / "saved").read_text() == "saved\n"


def start(tmp_path: Path, body: str, **environment: str) -> subprocess.Popen[bytes]:
    return processes.start(
        ["/bin/sh", "-c", body],
        folder=tmp_path,
        environment=environment,
    )


def test_a_child_gets_exactly_its_environment_and_the_marker(tmp_path: Path) -> None:
    process = start(tmp_path, "/usr/bin/env; pwd", ONLY="this")

    output = process.communicate(timeout=30)[0].decode().splitlines()

    shells_own = ("PWD=", "_=", "SHLVL=", "OLDPWD=")
    assert sorted(line for line in output if not line.startswith(shells_own)) == sorted(
        ["ONLY=this", f"{processes.MARKER}={os.environ[processes.MARKER]}", str(tmp_path)]
    )


def test_a_child_has_no_standard_input_and_a_group_of_its_own(tmp_path: Path) -> None:
    process = start(tmp_path, "cat; echo done; sleep 0.3", PATH=os.environ["PATH"])

    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    assert process.communicate(timeout=30)[0] == b"done\n"


def test_what_a_child_writes_is_private(tmp_path: Path) -> None:
    start(tmp_path, "mkdir -p a/b; echo x >a/b/file", PATH=os.environ["PATH"]).wait(30)

    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")} == {0o700}
    assert stat.S_IMODE((tmp_path / "a" / "b" / "file").stat().st_mode) == 0o600


def test_there_is_one_guard_whatever_is_started(tmp_path: Path) -> None:
    for _ in range(3):
        assert start(tmp_path, "exit 3").wait(30) == 3
    processes.guard_children()

    # Commands that earlier tests have started have guards of their own.
    assert len(guards(os.environ[processes.MARKER].split(":")[-1])) == 1


def test_the_guard_runs_no_code_of_the_folder_in_which_the_command_is_typed(tmp_path: Path) -> None:
    for module in ("psutil", "uuid", "contextlib", "session_manager_fleet/__init__"):
        file = tmp_path / f"{module}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write('{module}')")
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from session_manager_fleet.terraform import processes\n"
    )
    program += "processes.guard_children(); print(processes.os.environ[processes.MARKER], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        # Safe itself (-P): what is tested is the child.
        [sys.executable, "-P", "-c", program, str(SCRIPTS)],
        env={**UNGUARDED, "PYTHONPATH": ""},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        marker = parent.stdout.readline().strip()
        wait_for(lambda: any(guard.cmdline()[1] == "-I" for guard in guards(marker)))
        parent.stdin.close()
        wait_for(lambda: not guards(marker))

    assert not (tmp_path / "executed").exists()


# Guards its children, starts one that does the same and ends, and reports whether its first child still runs.
NESTED_PARENT = """
import os, subprocess, sys, time
from session_manager_fleet.terraform import processes

processes.guard_children(interrupt_seconds=0.1)
sibling = subprocess.Popen(["/bin/sleep", "300"])
inner = "import time; from session_manager_fleet.terraform import processes as p; p.guard_children(0.1)"
inner += "; import subprocess; print(subprocess.Popen(['/bin/sleep', '300']).pid)"
grandchild = int(subprocess.run([sys.executable, "-c", inner], check=True, capture_output=True, text=True).stdout)
print(grandchild, flush=True)
sys.stdin.readline()
print(sibling.poll(), flush=True)
"""


def test_a_command_that_ends_leaves_the_other_children_of_its_parent_alone(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NESTED_PARENT],
        env={**UNGUARDED, "PYTHONPATH": str(SCRIPTS)},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        wait_for(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")
        print("look", file=parent.stdin, flush=True)

        assert parent.stdout.readline() == "None\n", "the sibling was ended, too"
