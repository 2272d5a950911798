"""An emulated AWS organization on this machine: moto's server in a child process, and what moto lacks.

The product runs against it unchanged; only `AWS_ENDPOINT_URL` and the credentials differ.
"""

from aws_sandbox.emulator import Sandbox
from aws_sandbox.model import SandboxAccount, SandboxError, SandboxOrganization, default_organization
from aws_sandbox.seed import SeedData

__all__ = [
    "Sandbox",
    "SandboxAccount",
    "SandboxError",
    "SandboxOrganization",
    "SeedData",
    "default_organization",
]
