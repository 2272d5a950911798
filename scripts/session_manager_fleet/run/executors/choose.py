"""Choose an executor by its name."""

import functools
import re

from session_manager_fleet.errors import InputError
from session_manager_fleet.run.executors.base import Opener, Site
from session_manager_fleet.run.folder import RunFolder
from session_manager_fleet.run.options import THREADS

# Addresses of Dask schedulers, and what Dask itself calls them.
_DASK = {"dask://": "tcp://", "dask+tls://": "tls://"}


def dask_address(executor: str) -> str | None:
    """Return the address of the Dask scheduler that an executor names, or None for threads.

    Raises:
        InputError: The text names no executor.
    """
    if executor == THREADS:
        return None
    match = re.fullmatch(r"(dask(?:\+tls)?://)((?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})", executor)
    if match is not None:
        return _DASK[match[1]] + match[2]
    message = f'Unknown executor "{executor}"; use threads, dask://HOST:PORT or dask+tls://HOST:PORT.'
    raise InputError(message, "--executor")


def dask_opener(address: str, run: RunFolder, site: Site, archive: bytes, version: str) -> Opener:
    """Return an opener of a Dask cluster, see `session_manager_fleet.run.executors.dask`.

    Raises:
        InputError: Dask is not installed.
    """
    try:
        from session_manager_fleet.run.executors.dask import dask_workers  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        message = "Dask is not installed here: install this project with its extra, session-manager-fleet[dask]."
        raise InputError(message, "--executor") from error
    return functools.partial(dask_workers, address, run, site, archive, version)
