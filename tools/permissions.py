"""Generate docs/permissions.md, the policies beside it, those of modules/deployment_roles, and a row of module READMEs.

Usage:
    permissions.py            write the files
    permissions.py --check    fail if they are stale
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "scripts")]

from session_manager_fleet.terraform.caller_policies import States, caller_policies  # noqa: E402
from session_manager_fleet.terraform.permissions import CHANGE, DEPLOY  # noqa: E402
from session_manager_fleet.terraform.policies import Names, Permission, policy  # noqa: E402
from session_manager_fleet.verify import READ  # noqa: E402
from tools.module_permissions import readmes  # noqa: E402

BEGIN, END = "<!-- BEGIN_PERMISSIONS -->", "<!-- END_PERMISSIONS -->"

# The same fields as variables of Terraform's templatefile.
_TEMPLATE = Names(**{name: f"${{{name}}}" for name in Names.__dataclass_fields__})

_CALLERS = States(
    "arn:${partition}:s3:::${state_bucket}",
    "${key_prefix}",
    "${organization_id}",
    "arn:${partition}:iam::*:role/${read_role}",
    "arn:${partition}:iam::*:role/${deployment_role}",
)


def table(permissions: Iterable[Permission]) -> str:
    """Return the statements as a table."""
    rows = [
        f"| `{one.sid}` | {one.why} | {', '.join(f'`{action}`' for action in sorted(one.actions))} |"
        for one in permissions
    ]
    return "\n".join(["| statement | for | actions |", "| --- | --- | --- |", *rows])


def files() -> Mapping[Path, str]:
    """Return the content of every generated file."""
    page = REPOSITORY / "docs" / "permissions.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    tables = f"### The read role\n\n{table(READ)}\n\n### The deployment role, in addition\n\n{table(CHANGE)}"
    module = REPOSITORY / "modules" / "deployment_roles" / "policies"
    return {
        page: f"{before}{BEGIN}\n{tables}\n{END}{after}",
        REPOSITORY / "docs" / "read-policy.json": _text(READ, Names()),
        REPOSITORY / "docs" / "deployment-policy.json": _text(DEPLOY, Names()),
        module / "read.json.tftpl": _text(READ, _TEMPLATE),
        module / "change.json.tftpl": _text(CHANGE, _TEMPLATE),
        **{
            module / f"ci_{name}.json.tftpl": json.dumps(caller_policies(_CALLERS)[name], indent=2) + "\n"
            for name in ("plan", "apply")
        },
        **readmes(),
    }


def _text(permissions: Iterable[Permission], names: Names) -> str:
    return json.dumps(policy(permissions, names), indent=2) + "\n"


def main() -> int:
    """Write or check the files; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate the documentation of the roles and their policies.")
    parser.add_argument("--check", action="store_true", help="fail if a file is stale")
    check = parser.parse_args().check
    stale = []
    for path, text in files().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(REPOSITORY))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"Stale, run `make docs`: {', '.join(map(str, stale))}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
