"""An emulated AWS organization on this machine: a moto server in a child process, plus APIs that moto lacks.

The product runs against it unchanged; only `AWS_ENDPOINT_URL` and the credentials differ.
"""

from aws_sandbox.emulator import Sandbox as Sandbox
from aws_sandbox.guard import GUARD_MISSING as GUARD_MISSING, find_guard_engine as find_guard_engine
from aws_sandbox.model import (
    SandboxAccount as SandboxAccount,
    SandboxDelays as SandboxDelays,
    SandboxError as SandboxError,
    SandboxLimits as SandboxLimits,
    SandboxOrganization as SandboxOrganization,
    default_organization as default_organization,
)
from aws_sandbox.seed import SeedData as SeedData
