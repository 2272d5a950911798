"""Verifications to report: hostile ones, and large ones."""

import datetime

from session_manager_fleet.targets.exceptions import PolicyException
from session_manager_fleet.targets.model import SkippedAccount
from session_manager_fleet.verify import (
    CheckDescription,
    Fixed,
    Severity,
    TrendPoint,
    Verdict,
    Verification,
    VerifiedCheck,
    VerifiedTarget,
)

BEGUN = datetime.datetime(2026, 11, 21, 22, 0, tzinfo=datetime.UTC)
HOME = "eu-west-1"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "pipe | and `tick` and ```",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe\u2066",
    "@everyone #1 [x](javascript:alert(1)) https://example.com www.example.com",
    "</script></details></pre>]]>&amp;",
    "nul \x00 \ufffe é 日本 🙂 =1+1 ##[error]",
    "{{ 7 * 7 }} {% raw %}\nnext line\r\n::error::x",
)
CHECKS = (
    CheckDescription(
        id="preferences",
        severity=Severity.CRITICAL,
        what="The document is as configured",
        why="Otherwise sessions are not logged",
        controls=("Security Hub SSM.7",),
    ),
    CheckDescription(
        id="roles", severity=Severity.HIGH, what="Roles have the policy", why="No session starts", controls=()
    ),
    CheckDescription(
        id="log_group", severity=Severity.LOW, what=f"Retention {HOSTILE[0]}", why=HOSTILE[6], controls=(HOSTILE[2],)
    ),
)
OK = VerifiedCheck(
    name="preferences", verdict=Verdict.OK, message="SSM-SessionManagerRunShell matches.", fix=None, command=None
)


def wrong(account: str, text: str = "is not as configured", history: str | None = None) -> VerifiedCheck:
    """A finding that names its account, and a key."""
    return VerifiedCheck.model_validate(
        {
            "name": "preferences",
            "verdict": "finding",
            "severity": "critical",
            "message": f"The document of {account} {text}; key 11111111-2222-3333-4444-{account}.",
            "fix": "Plan and apply this target.",
            "command": f"session-manager-fleet apply --account {account} --region {HOME}",
            "evidence": ["ssm:GetDocument Name=SSM-SessionManagerRunShell (eu-west-1)"],
            "exceptions": [f"Exception of {text} until 2027-01-31."] if text in HOSTILE else [],
            "history": history,
            "first_seen": BEGUN - datetime.timedelta(days=3 if history == "open" else 0),
        }
    )


def verified(
    number: int, name: str, *checks: VerifiedCheck, ou: str = "Workloads", failure: str = ""
) -> VerifiedTarget:
    """A target."""
    return VerifiedTarget(
        account_id=f"{number:012}",
        account_name=name,
        ou=ou,
        region=HOME,
        home_region=HOME,
        wave="rest",
        failure=failure or None,
        checks=checks,
    )


def verification_of(*targets: VerifiedTarget, **details: object) -> Verification:
    """A verification of targets."""
    checks = [check for target in targets for check in target.checks]
    values = {
        "run_id": "20261121T220000Z-abcd",
        "started_at": BEGUN,
        "finished_at": BEGUN + datetime.timedelta(minutes=3),
        "exit_code": 2,
        "organization_id": "o-exampleorgid",
        "caller": "arn:aws:sts::111122223333:assumed-role/Auditor/jane",
        "configuration_sha256": "ab" * 32,
        "selection": ("--ou Workloads/**",),
        "versions": {"session-manager-fleet": "0.1.0", "python": "3.13.0", "boto3": "1.40.0"},
        "totals": {each.value: n for each in Verdict if (n := sum(c.verdict is each for c in checks))},
        "severities": {
            each.value: n
            for each in Severity
            if (n := sum(c.verdict is Verdict.FINDING and c.severity is each for c in checks))
        },
        "checks": CHECKS,
        "targets": targets,
        **details,
    }
    return Verification.model_validate(values)


def hostile() -> Verification:
    """A verification in which everything foreign is hostile."""
    targets = [
        verified(
            number,
            name,
            wrong(f"{number:012}", name, "new" if number % 2 else "open"),
            VerifiedCheck(
                name="log_group",
                verdict=Verdict.NOT_CHECKED,
                severity=Severity.LOW,
                message=name,
                fix=f"Allow the role {name}.",
                command=None,
                evidence=(name,),
            ),
            VerifiedCheck(name="roles", verdict=Verdict.NOT_NEEDED, message=name, fix=None, command=None),
            ou=name,
        )
        for number, name in enumerate(HOSTILE, start=1)
    ]
    exception = PolicyException(
        owner=HOSTILE[0],
        reason=HOSTILE[2],
        expires=datetime.date(2026, 12, 1),
        days_left=10,
        targets=("000000000001/eu-west-1",),
        skip=("preferences",),
        set=("tags.team",),
        where="organization.yaml:40 (exceptions[0])",
    )
    points = [
        TrendPoint(
            run_id=f"2026112{day}T220000Z-abcd",
            at=BEGUN - datetime.timedelta(days=1 - day),
            targets=9,
            findings={"critical": 9 - day},
            not_checked=2,
        )
        for day in (0, 1)
    ]
    return verification_of(
        *targets,
        verified(20, "Closed", failure=f"Access denied: {HOSTILE[1]}"),
        verified(21, "Well", OK),
        skipped=(SkippedAccount(account_id="999999999999", account_name=HOSTILE[0], reason=HOSTILE[5]),),
        exceptions=(exception,),
        warnings=(HOSTILE[3],),
        fixed=(Fixed(account_id="000000000021", region=HOME, check="preferences", first_seen=BEGUN),),
        compared_with="20261120T220000Z-abcd",
        trend=points,
        exit_code=1,
    )


def many(accounts: int) -> Verification:
    """A large organization, in which every seventh account has the same finding and some have one of their own."""
    rest = [
        VerifiedCheck(name=name, verdict=Verdict.OK, message=f"{name} is well.", fix=None, command=None)
        for name in ("roles", "log_group")
    ]
    targets = []
    for number in range(1, accounts + 1):
        found = wrong(f"{number:012}") if number % 7 == 0 else OK
        own = [rest[0].model_copy(update={"message": f"role-{number} is well."}), rest[1]]
        targets.append(verified(number, f"account-{number}", found, *own, ou=f"Workloads/Unit-{number % 40:02}"))
    return verification_of(*targets)
