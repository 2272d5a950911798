"""The configuration in a saved plan: terraform applies this copy, not the files of the root module."""

import json
import os
import posixpath
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from session_manager_fleet.errors import InputError
from session_manager_fleet.files import MEGABYTE, open_regular
from session_manager_fleet.terraform.root_module import RootModule

_FOLDER = "tfconfig/"
_MODULES = "modules.json"
_LARGEST = 16 * MEGABYTE
_MOST_FILES = 10_000
_CALL = re.compile(r'^module "(?P<name>[^"]+)" \{\s*source\s*=\s*"(?P<source>\.{1,2}/[^"]+)"', re.MULTILINE)
# The end of the central directory (of which signature, size, offset and length of the comment count), before which the
# locator of a ZIP64 directory may stand.
_END, _END_SIGNATURE = struct.Struct("<4s8xLLH"), b"PK\5\6"
_LOCATOR, _LOCATOR_SIGNATURE = struct.Struct("<4s16x"), b"PK\6\7"

# What zipfile and json raise for contents of any kind; NotImplementedError and RecursionError are RuntimeErrors.
DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError),
    *(zipfile.BadZipFile, zlib.error),
)


def other_configuration(plan: Path, root: RootModule) -> list[str]:
    """Return the files of the configuration in which a saved plan differs from the root module, in order.

    A plan is a zip archive. It holds the files of each module as `tfconfig/m-ADDRESS/NAME`, and the folders of the
    modules in `tfconfig/modules.json`. Terraform executes what stands there, such as provisioners.

    Raises:
        InputError: The file is no such archive.
        OSError: A file cannot be read.
    """
    try:
        with open_regular(plan) as file, zipfile.ZipFile(file) as archive:
            _refuse_second_directory(file, archive)
            planned = _files(archive)
        told = json.loads(planned.pop(_MODULES))
        folders = {entry["Key"]: posixpath.normpath(entry["Dir"].replace("\\", "/")) for entry in told}
    except DAMAGED as error:
        raise InputError("The file is not a saved plan with its configuration. Plan again.", str(plan)) from error
    own = _own_folders(root)
    if folders != own or len(told) != len(folders):
        return [_MODULES]
    wanted = {f"m-{address}/{path.name}": path for address, folder in own.items() for path in root.sources(folder)}
    others = planned.keys() ^ wanted.keys()
    others |= {name for name in planned.keys() & wanted.keys() if planned[name] != wanted[name].read_bytes()}
    return sorted(others)


def _refuse_second_directory(file: BinaryIO, archive: zipfile.ZipFile) -> None:
    """Refuse an archive in which Go, in which terraform is written, may find other files than Python.

    Both look for the directory from the end of the file on. A prefix, a comment and the records of ZIP64 allow several,
    and terraform writes none of them (APPNOTE.TXT, 4.3.15 and 4.3.16).

    Raises:
        ValueError: It has any of them.
    """
    entries = archive.infolist()
    if not entries or min(entry.header_offset for entry in entries):
        raise ValueError("it does not begin with a file")
    file.seek(-_LOCATOR.size - _END.size, os.SEEK_END)
    locator, *_ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    position = file.tell()
    signature, size, start, comment = _END.unpack(file.read(_END.size))
    if (
        locator == _LOCATOR_SIGNATURE
        or signature != _END_SIGNATURE
        or comment
        or start + size != position
        or archive.start_dir != start
    ):
        raise ValueError("more than one directory is possible")


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the files of the configuration in an archive by name.

    Raises:
        ValueError: Two have the same name, or they are too many or too large.
    """
    entries = [entry for entry in archive.infolist() if entry.filename.startswith(_FOLDER)]
    if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _LARGEST:
        raise ValueError("too many or too large files")
    files = {entry.filename.removeprefix(_FOLDER): archive.read(entry) for entry in entries}
    if len(files) < len(entries):
        raise ValueError("two files with the same name")
    return files


def _own_folders(root: RootModule) -> dict[str, str]:
    """Return the folder of the root module and of each module that it calls, by the address as `preferences`."""
    folders = {"": "."}
    waiting = [""]
    while waiting:
        address = waiting.pop()
        for path in root.sources(folders[address]):
            for call in _CALL.finditer(path.read_text(encoding="utf-8")):
                called = f"{address}.{call['name']}".removeprefix(".")
                folders[called] = posixpath.normpath(posixpath.join(folders[address], call["source"]))
                waiting.append(called)
    return folders
