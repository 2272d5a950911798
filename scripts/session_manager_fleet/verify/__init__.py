"""Check the live state of targets through the AWS APIs, without Terraform."""

from session_manager_fleet.verify.account_prerequisites import (
    AccountCheck as AccountCheck,
    check_accounts as check_accounts,
)
from session_manager_fleet.verify.catalog import (
    CHECKS as CHECKS,
    PROMISES as PROMISES,
    READ as READ,
    VERIFY as VERIFY,
    Promise as Promise,
)
from session_manager_fleet.verify.evidence import (
    VERIFICATION as VERIFICATION,
    CheckDescription as CheckDescription,
    Earlier as Earlier,
    Fixed as Fixed,
    TrendPoint as TrendPoint,
    Verification as Verification,
    VerifiedCheck as VerifiedCheck,
    VerifiedTarget as VerifiedTarget,
    earlier_runs as earlier_runs,
    read_verification as read_verification,
    record as record,
    verification_schema as verification_schema,
)
from session_manager_fleet.verify.logs import age_text as age_text
from session_manager_fleet.verify.model import (
    Check as Check,
    CheckInfo as CheckInfo,
    Severity as Severity,
    TargetVerification as TargetVerification,
    Verdict as Verdict,
    exit_code as exit_code,
    exit_code_of as exit_code_of,
)
from session_manager_fleet.verify.sessions import (
    SESSIONS as SESSIONS,
    Cause as Cause,
    Kind as Kind,
    LogState as LogState,
    Session as Session,
    SessionAudit as SessionAudit,
    SessionReport as SessionReport,
    TargetSessions as TargetSessions,
    report_schema as report_schema,
)
from session_manager_fleet.verify.unseen import UNSEEN as UNSEEN
from session_manager_fleet.verify.verifier import Verifier as Verifier
from session_manager_fleet.verify.watch import (
    MIN_WATCH_SECONDS as MIN_WATCH_SECONDS,
    watch_logs as watch_logs,
    watchable as watchable,
    with_arrivals as with_arrivals,
)
