"""Take from this process what an emulated function does not need, then run a Python file in it.

`python -I function_confinement.py CONFINEMENT FILE [ARGUMENT…]`, with the standard library only. CONFINEMENT is a JSON
object: `folder`, the only one to write in; `port`, the only one to connect to; `seconds` of processor time.

On Linux, the kernel's Landlock (https://docs.kernel.org/userspace-api/landlock.html) leaves the process the files of
Python and of the system's libraries to read; it may neither read nor trace nor signal what else its user owns. Without
Landlock, on other systems or before Linux 5.13, the limits of resources remain.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MEGABYTE = 1024 * 1024
# Lambda's own quotas of files and of its folder for temporary files; memory leaves room for what is only reserved:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_FSIZE: 512 * _MEGABYTE,
    resource.RLIMIT_AS: 4096 * _MEGABYTE,
}

# Of the installed system: no home, no configuration with secrets.
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix/store")
_CONFIGURATION = ("ld.so.cache", "localtime", "hosts", "host.conf", "nsswitch.conf", "resolv.conf", "ssl", "pki")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# linux/prctl.h and linux/capability.h.
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522

# linux/landlock.h: numbers of the system calls, rights, and the first version of the interface that has each.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _NET_PORT = 1, 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1 << 0, 1 << 1
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_NETWORK_VERSION, _SCOPE_VERSION = 4, 6


def main() -> None:
    """Confine this process, and run the file."""
    confinement, file, *arguments = sys.argv[1:]
    settings = json.loads(confinement)
    code = compile(Path(file).read_bytes(), file, "exec")
    os.umask(0o077)
    _limit(settings["seconds"])
    if sys.platform == "linux":
        _drop_capabilities()
        _restrict(Path(settings["folder"]), settings["port"])
    sys.argv = [file, *arguments]
    exec(code, {"__name__": "__main__", "__file__": file})  # noqa: S102 - the runtime beside this file


def _limit(seconds: int) -> None:
    for kind, value in {**_LIMITS, resource.RLIMIT_CPU: seconds}.items():
        _, most = resource.getrlimit(kind)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        # macOS has no limit of the address space.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (least, least))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _drop_capabilities() -> None:
    """Give up the capabilities of root, and those that executable files would give."""
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    capability = 0
    while libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def _restrict(folder: Path, port: int) -> None:
    """Restrict files, connections and signals, as far as this kernel can; nothing where it has no Landlock.

    Raises:
        OSError: The kernel has Landlock, and refuses.
    """
    libc = _libc()
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return
    # All rights of the version: 13 in the first one, a further one in each of the next, ioctl in the fifth.
    rights = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}.get(version, (1 << 16) - 1)
    network = _BIND_TCP | _CONNECT_TCP if version >= _NETWORK_VERSION else 0
    scoped = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL if version >= _SCOPE_VERSION else 0
    attributes = struct.pack("=QQQ", rights, network, scoped)
    size = 24 if scoped else 16 if network else 8
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    for path, allowed in _paths(folder, rights):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]
        possible = allowed if path.is_dir() else allowed & _OF_FILES
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", possible & rights, place), 0))
        os.close(place)
    if network:
        _checked(libc.syscall(_ADD_RULE, ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port), 0))
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _paths(folder: Path, rights: int) -> Iterator[tuple[Path, int]]:
    """Yield what the function may use, with the rights."""
    yield folder, rights
    configuration = (f"/etc/{name}" for name in _CONFIGURATION)
    for name in {sys.prefix, sys.base_prefix, *_SYSTEM, *configuration, *_DEVICES}:
        path = Path(name)
        if path.exists() and path != Path(path.anchor):
            yield path, _READ | (_WRITE_FILE if name in _DEVICES else 0)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    main()
