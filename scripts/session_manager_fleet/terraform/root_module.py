"""The root module on disk: its files, its digest, its provider."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

from session_manager_fleet.files import sha256_of

ROOT_LOCK_FILE = ".terraform.lock.hcl"


MODULES = "modules"


def root_files(root: Path) -> list[Path]:
    """Return the files that terraform reads in the folder of a root module itself; its modules come beside them."""
    return [path for path in root.iterdir() if path.suffix == ".tf" or path.name == ROOT_LOCK_FILE]


_LOCKED_PROVIDER = re.compile(r'provider "[^"]*/hashicorp/aws" \{\s*version\s*=\s*"([^"]+)"')


def module_digest(root: Path) -> str:
    """Return the digest of what terraform reads of a root module: its own files, its lock file and its modules."""
    modules = [path for path in (root / MODULES).rglob("*") if ".terraform" not in path.parts and _is_source(path)]
    digest = hashlib.sha256()
    for path in sorted([*root_files(root), *modules]):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".md"


def provider_version(root: Path) -> str:
    """Return the version of hashicorp/aws that the lock file of a root module demands; empty without one."""
    lock_file = root / ROOT_LOCK_FILE
    found = _LOCKED_PROVIDER.search(lock_file.read_text(encoding="utf-8")) if lock_file.is_file() else None
    return found[1] if found else ""


def pack_root(root: Path) -> bytes:
    """Return an archive of what terraform reads of a root module."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(root_files(root)):
            archive.add(path, path.name)
        archive.add(root / MODULES, MODULES, filter=_without_data_folders)
    return buffer.getvalue()


def _without_data_folders(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if ".terraform" in Path(entry.name).parts else entry


ROOT_MODULE = Path(__file__).resolve().parents[3]
