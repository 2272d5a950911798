"""GetAccountSettings of Lambda, which moto lacks: how many concurrent executions are left unreserved.

See https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html.
"""

from __future__ import annotations

from typing import Any

from moto.awslambda.utils import get_backend

from aws_sandbox.call import Call

CONCURRENT_EXECUTIONS = 1000


def get_account_settings(call: Call) -> dict[str, Any]:
    """Answer GetAccountSettings."""
    functions = get_backend(call.account_id, call.region).list_functions()
    reserved = sum(int(function.reserved_concurrency or 0) for function in functions)
    limit = {
        "TotalCodeSize": 80_530_636_800,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": CONCURRENT_EXECUTIONS,
        "UnreservedConcurrentExecutions": CONCURRENT_EXECUTIONS - reserved,
    }
    return {"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(list(functions))}}
