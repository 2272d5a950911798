"""The root module on disk: the files that terraform reads, their digest, the locked provider."""

import base64
import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from session_manager_fleet.files import sha256_of

_MODULES = "modules"
# https://developer.hashicorp.com/terraform/language/files and …/language/values/variables (definition files).
_READ_UNASKED = re.compile(r".*\.(tf\.json|tofu|tofu\.json|auto\.tfvars|auto\.tfvars\.json)|terraform\.tfvars(\.json)?")
_LOCKED_PROVIDER = re.compile(
    r'^provider "[^"]*/hashicorp/aws" \{\s*version\s*=\s*"(?P<version>[^"]+)"(?P<rest>.*?)^\}', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class RootModule:
    """A folder in which terraform is run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def lock_file(self) -> Path:
        """Terraform's dependency lock file, which need not exist."""
        return self.path / ".terraform.lock.hcl"

    @property
    def modules(self) -> Path:
        """Folder of the modules that the root module calls."""
        return self.path / _MODULES

    @property
    def function_digest(self) -> str:
        """SHA-256 digest of the preferences function's package, in base64, as Lambda tells it."""
        return base64.b64encode(bytes.fromhex(sha256_of(self.modules / "preferences" / "lambda.zip"))).decode()

    @property
    def files(self) -> list[Path]:
        """The files that terraform reads in the folder itself, in order; those of the modules are not among them."""
        return sorted(path for path in self.path.iterdir() if path.suffix == ".tf" or path == self.lock_file)

    def sources(self, folder: str) -> list[Path]:
        """Return the configuration files of a folder below, in order: those that terraform keeps in a saved plan."""
        # Terraform ignores hidden files and those that editors leave.
        return sorted(path for path in (self.path / folder).glob("*.tf") if not path.name.startswith((".", "#")))

    @property
    def unreviewed_files(self) -> list[Path]:
        """Other files in the folder that terraform reads for every target, in order; none belongs to the project."""
        return sorted(path for path in self.path.iterdir() if _READ_UNASKED.fullmatch(path.name))

    @property
    def provider_version(self) -> str:
        """Version of hashicorp/aws in the lock file; empty without a lock file."""
        locked = self._locked_provider
        return locked["version"] if locked else ""

    @property
    def provider_hashes(self) -> frozenset[str]:
        """Hashes of hashicorp/aws in the lock file, as `h1:…` (of an unpacked package) and `zh:…` (of an archive)."""
        locked = self._locked_provider
        return frozenset(re.findall(r'"((?:h1|zh):[^"]+)"', locked["rest"]) if locked else ())

    @property
    def _locked_provider(self) -> re.Match[str] | None:
        text = self.lock_file.read_text(encoding="utf-8") if self.lock_file.is_file() else ""
        return _LOCKED_PROVIDER.search(text)

    def digest(self) -> str:
        """Return the SHA-256 digest of everything that terraform reads: files, lock file and modules."""
        modules = [path for path in self.modules.rglob("*") if path.is_file() and self._is_read(path)]
        digest = hashlib.sha256()
        for path in sorted([*self.files, *modules]):
            digest.update(f"{path.relative_to(self.path).as_posix()}\0{sha256_of(path)}\n".encode())
        return digest.hexdigest()

    def _is_read(self, path: Path) -> bool:
        """Return whether terraform reads a file of the modules: an installed package holds only these."""
        folders = path.relative_to(self.path).parts[:-1]
        return path.suffix != ".md" and not {".terraform", "tests", "__pycache__"}.intersection(folders)

    def pack(self) -> bytes:
        """Return everything that terraform reads as a compressed tar archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path in self.files:
                archive.add(path, path.name)
            archive.add(self.modules, _MODULES, filter=_without_data_folders)
        return buffer.getvalue()


def _without_data_folders(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if {".terraform", "__pycache__"}.intersection(Path(entry.name).parts) else entry


def _root_module() -> RootModule:
    """Return the root module that setup.py put into the installed package, or that of the checkout."""
    packaged = Path(__file__).resolve().parents[1] / "root"
    return RootModule(packaged if packaged.is_dir() else Path(__file__).resolve().parents[3])


ROOT_MODULE = _root_module()
