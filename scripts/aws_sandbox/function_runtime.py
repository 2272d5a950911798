"""The Python runtime of an emulated Lambda function; a separate process that needs the standard library only.

The first line of stdin is the invocation as JSON; stdin then stays open until the emulator ends. The function's output
goes to stdout. The file descriptor in the first argument receives an empty line right before the handler is called, and
then the outcome as JSON: `{"result": …}` or `{"error": {"errorMessage", "errorType", …}}`.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from typing import Any


@dataclass
class Context:
    """Lambda's context object.

    See https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.
    """

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class RuntimeFailureError(Exception):
    """The handler cannot be called; `args` hold Lambda's error type and message."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def _import_only_from(package: str) -> None:
    """Limit imports to the package, the standard library and installed packages (such as boto3 in Lambda).

    Packages in editable mode are excluded: the project itself is one, and is not part of the upload.
    """
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    sys.path[:] = [package, *(path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix)))]


def _handler(name: str) -> Callable[[Any, Context], Any]:
    module_name, _, function_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise RuntimeFailureError(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from error
    handler = getattr(module, function_name, None)
    if not callable(handler):
        raise RuntimeFailureError(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        )
    return handler  # type: ignore[no-any-return]


class _JsonFormatter(logging.Formatter):
    def __init__(self, request_id: str) -> None:
        super().__init__()
        self._request_id = request_id

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "requestId": self._request_id,
            }
        )


def _log_to_stdout(request_id: str) -> None:
    """Set up the root logger from the function's logging configuration, as Lambda does."""
    formatter: logging.Formatter
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        formatter = _JsonFormatter(request_id)
    else:
        line = f"[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t{request_id}\t%(message)s"
        formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    if level := os.environ.get("AWS_LAMBDA_LOG_LEVEL"):
        # Python has no TRACE level.
        root.setLevel("DEBUG" if level == "TRACE" else "CRITICAL" if level == "FATAL" else level)


def _exit_with_the_emulator() -> None:
    while os.read(0, 1):
        pass
    # The process leads a process group: its children end too.
    os.killpg(0, signal.SIGKILL)


def _run(invocation: dict[str, Any], send: Callable[[str], None]) -> dict[str, Any]:
    """Call the handler and return the outcome in Lambda's format."""
    request_id = invocation["context"]["aws_request_id"]
    try:
        _import_only_from(invocation["code"])
        handler = _handler(invocation["handler"])
        context = Context(**invocation["context"], deadline=time.monotonic() + invocation["timeout"])
        send("\n")
        result = handler(invocation["event"], context)
        try:
            return {"result": json.dumps(result)}
        except (TypeError, ValueError) as error:
            raise RuntimeFailureError("Runtime.MarshalError", f"Unable to marshal response: {error}") from error
    except RuntimeFailureError as error:
        failure = {"errorMessage": str(error), "errorType": error.error_type, "stackTrace": []}
    except Exception as error:  # noqa: BLE001 - any exception of the function is its outcome
        trace = traceback.extract_tb(error.__traceback__)[1:]
        failure = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "stackTrace": [line.replace(invocation["code"], "/var/task") for line in traceback.format_list(trace)],
        }
    failure["requestId"] = request_id
    sys.stdout.write(f"[ERROR] {failure['errorType']}: {failure['errorMessage']}\n")
    sys.stdout.writelines(failure["stackTrace"])
    return {"error": failure}


def main() -> None:
    """Run one invocation."""
    outcome = os.fdopen(int(sys.argv[1]), "w")

    def send(text: str) -> None:
        outcome.write(text)
        outcome.flush()

    invocation = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_the_emulator, daemon=True).start()
    _log_to_stdout(invocation["context"]["aws_request_id"])
    answer = _run(invocation, send)
    sys.stdout.flush()
    send(json.dumps(answer))
    # Lambda freezes the process here, so running threads do not continue.
    os._exit(0)


if __name__ == "__main__":
    main()
