"""A run: its folder, its scheduler, and the job done for each target."""

from session_manager_fleet.run import (
    beginnings as beginnings,
    merge as merge,
    order as order,
    prerequisites as prerequisites,
    signals as signals,
    summary as summary,
)
from session_manager_fleet.run.beforehand import find_beforehand as find_beforehand
from session_manager_fleet.run.executors.capacity import measure_capacity as measure_capacity
from session_manager_fleet.run.existing import Existing as Existing, ways_out_of as ways_out_of
from session_manager_fleet.run.folder import (
    JOURNAL as JOURNAL,
    SUMMARY as SUMMARY,
    RunFolder as RunFolder,
    find_run as find_run,
)
from session_manager_fleet.run.journal import Beginning as Beginning
from session_manager_fleet.run.kept import KeptTarget as KeptTarget
from session_manager_fleet.run.notifications import Message as Message, send as send
from session_manager_fleet.run.operation import DESTROY as DESTROY, Operation as Operation
from session_manager_fleet.run.options import THREADS as THREADS, RunOptions as RunOptions
from session_manager_fleet.run.refusals import Place as Place
from session_manager_fleet.run.results import (
    AccountId as AccountId,
    CallerArn as CallerArn,
    Failure as Failure,
    FailureKind as FailureKind,
    OrganizationId as OrganizationId,
    Region as Region,
    Sha256 as Sha256,
    Status as Status,
    Step as Step,
    TargetResult as TargetResult,
    exit_code as exit_code,
    unfinished as unfinished,
    with_changes as with_changes,
)
from session_manager_fleet.run.reviewed_plan import refuse_other_digest as refuse_other_digest
from session_manager_fleet.run.run_lock import RunLock as RunLock
from session_manager_fleet.run.signals import handled_signals as handled_signals
from session_manager_fleet.run.summary import ChangeSetEntry as ChangeSetEntry, Summary as Summary
