"""Read and write files: bounded regular files in, files that only their owner can read out, and digests.

Errors are OSErrors whose `strerror` says what is wrong with the file and whose `filename` is its path.
"""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

MEGABYTE = 1024 * 1024

# What is here is written to; another file in its place would take the device away from the whole machine.
_DEVICES = (Path("/dev"), Path("/proc"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all or nothing; folders that are missing are private, too.

    A device, such as /dev/stdout or what a shell makes of `>(COMMAND)`, gets the text.

    Raises:
        OSError: It cannot be written.
    """
    if any(path.absolute().is_relative_to(folder) for folder in _DEVICES):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8") as file:
            file.write(text)
        return
    make_private_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_private_folder(path: Path) -> None:
    """Create a folder and its missing parents, each private to its owner whatever the umask is.

    Raises:
        OSError: It cannot be created, or something else has its name.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_private_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def open_private(path: Path, flags: int) -> int:
    """Open a file for writing, as one that only its owner can read, and return its descriptor.

    Args:
        path: The file; it is created if it is missing.
        flags: Further flags, as `os.O_APPEND`.

    Raises:
        OSError: It is a link or not a regular file, or cannot be opened.
    """
    return _open(path, flags | os.O_CREAT | os.O_NOFOLLOW)


@contextmanager
def open_regular(path: Path, *, follow_links: bool = False) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a pipe or a device does not block.

    Args:
        path: The file.
        follow_links: Whether its last name may be a link, because the user named the file.

    Raises:
        OSError: It is a link or not a regular file, or cannot be opened.
    """
    flags = 0 if follow_links else os.O_NOFOLLOW
    with os.fdopen(_open(path, os.O_RDONLY | flags), "rb") as file:
        yield file


def read_regular(path: Path, *, megabytes: int, follow_links: bool = False) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file.
        megabytes: Its largest size.
        follow_links: Whether its last name may be a link, because the user named the file.

    Raises:
        OSError: It is a link, not a regular file or larger, or cannot be read.
    """
    with open_regular(path, follow_links=follow_links) as file:
        content = file.read(megabytes * MEGABYTE + 1)
    if len(content) > megabytes * MEGABYTE:
        raise OSError(errno.EFBIG, f"it is larger than {megabytes} MiB", str(path))
    return content


def _open(path: Path, flags: int) -> int:
    """Open a regular file without waiting for the other end of a pipe."""
    try:
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise _link(path) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return handle


def _link(path: Path) -> OSError:
    return OSError(errno.ELOOP, "it is a link, which is not followed", str(path))


def refuse_links(path: Path, below: Path) -> None:
    """Refuse a path on which a folder or the file itself is a link, from the folder `below` on; it may be missing.

    Raises:
        OSError: With the link.
    """
    for place in (below, *(below / part for part in _parts(path, below))):
        if place.is_symlink():
            raise _link(place)


def _parts(path: Path, below: Path) -> Iterator[Path]:
    """Yield the paths below a folder that lead to a path, the path itself last."""
    relative = path.relative_to(below).parts
    for count in range(1, len(relative) + 1):
        yield Path(*relative[:count])


def is_below(path: Path, folder: Path) -> bool:
    """Tell whether a path, with all of its links followed, is in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def sha256_of(path: Path, *, follow_links: bool = True) -> str:
    """Return the SHA-256 digest of a regular file as hexadecimal text."""
    with open_regular(path, follow_links=follow_links) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 digest of a text as hexadecimal text."""
    return hashlib.sha256(text.encode()).hexdigest()
