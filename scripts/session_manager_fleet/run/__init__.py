"""A run: its folder, its scheduler, and the job done for each target."""

from session_manager_fleet.run import beginnings, merge, signals, summary
from session_manager_fleet.run.executors.capacity import measure_capacity
from session_manager_fleet.run.folder import JOURNAL, SUMMARY, RunFolder, find_run
from session_manager_fleet.run.journal import Beginning
from session_manager_fleet.run.operation import DESTROY, Operation
from session_manager_fleet.run.options import THREADS, RunOptions
from session_manager_fleet.run.results import (
    FailureKind,
    Status,
    Step,
    TargetResult,
    exit_code,
    unfinished,
    with_changes,
)
from session_manager_fleet.run.run_lock import RunLock
from session_manager_fleet.run.signals import handled_signals
from session_manager_fleet.run.summary import ChangeSetEntry, Summary

__all__ = [
    "DESTROY",
    "JOURNAL",
    "SUMMARY",
    "THREADS",
    "Beginning",
    "ChangeSetEntry",
    "FailureKind",
    "Operation",
    "RunFolder",
    "RunLock",
    "RunOptions",
    "Status",
    "Step",
    "Summary",
    "TargetResult",
    "beginnings",
    "exit_code",
    "find_run",
    "handled_signals",
    "measure_capacity",
    "merge",
    "signals",
    "summary",
    "unfinished",
    "with_changes",
]
