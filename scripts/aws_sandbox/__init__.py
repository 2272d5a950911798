"""An emulated AWS organization on this machine: a moto server in a child process, plus APIs that moto lacks.

The product runs against it unchanged; only `AWS_ENDPOINT_URL` and the credentials differ.
"""

from aws_sandbox.emulator import Sandbox
from aws_sandbox.guard import GUARD_MISSING, find_guard_engine
from aws_sandbox.model import SandboxAccount, SandboxError, SandboxOrganization, default_organization
from aws_sandbox.seed import SeedData

__all__ = [
    "GUARD_MISSING",
    "Sandbox",
    "SandboxAccount",
    "SandboxError",
    "SandboxOrganization",
    "SeedData",
    "default_organization",
    "find_guard_engine",
]
