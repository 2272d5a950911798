"""The result of a verification: what its run folder keeps, and how it compares with earlier ones."""

from session_manager_fleet.verify.evidence.folder import (
    VERIFICATION as VERIFICATION,
    read_verification as read_verification,
    record as record,
)
from session_manager_fleet.verify.evidence.history import (
    Earlier as Earlier,
    History as History,
    earlier_runs as earlier_runs,
)
from session_manager_fleet.verify.evidence.model import (
    CheckDescription as CheckDescription,
    Fixed as Fixed,
    TrendPoint as TrendPoint,
    Verification as Verification,
    VerifiedCheck as VerifiedCheck,
    VerifiedTarget as VerifiedTarget,
    verification_schema as verification_schema,
)
