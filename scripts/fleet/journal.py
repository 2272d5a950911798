"""A run on disk: an append-only journal, the folder of every target, and the summary at the end."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.errors import InputError
from fleet.organization import Account
from fleet.plans import ChangeGroup, group_equal
from fleet.targets import SkippedAccount, Target
from fleet.tfvars import write_private

if TYPE_CHECKING:
    from fleet.plans import ChangeSet
    from fleet.terraform import PlanOutcome

SCHEMA_VERSION = 1
JOURNAL = "journal.jsonl"
SUMMARY = "summary.json"


class Status(StrEnum):
    """Where a target stands."""

    NO_CHANGES = "no_changes"
    CHANGES = "changes"
    APPLIED = "applied"
    FAILED = "failed"
    NOT_STARTED = "not_started"


class Step(StrEnum):
    """What is done with a target, in this order."""

    PLAN = "plan"
    APPLY = "apply"


@dataclass(frozen=True)
class Failure:
    """Why a target failed.

    Attributes:
        kind: `access` (the account could not be entered), `terraform` or `input`.
        message: What happened, in one sentence.
        diagnostics: Terraform's own errors.
    """

    kind: str
    message: str
    diagnostics: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetResult:
    """What became of a target in a step.

    Attributes:
        target: The target.
        status: Where it stands now.
        step: The last step that was begun.
        outcome: Counts of the plan, once there is one.
        change_set: Normalized changes, where the plan has any.
        failure: Why it failed.
        reason: Why it was not started.
        seconds: Wall time of the step.
        plan_sha256: Digest of the saved plan.
    """

    target: Target
    status: Status
    step: Step
    outcome: PlanOutcome | None = None
    change_set: ChangeSet | None = None
    failure: Failure | None = None
    reason: str = ""
    seconds: float = 0.0
    plan_sha256: str = ""


@dataclass(frozen=True)
class SavedTarget:
    """A target of an earlier run whose plan may be applied."""

    target: Target
    status: Status
    plan_sha256: str
    fingerprint: str


@dataclass
class RunFolder:
    """The folder of a run, `runs/<run id>`, readable by its owner only.

    Attributes:
        path: The folder.
        started_at: When the run began.
    """

    path: Path
    started_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    @classmethod
    def create(cls, parent: Path) -> RunFolder:
        """Make a folder with a name of its own, which sorts by time."""
        now = datetime.datetime.now(datetime.UTC)
        path = parent / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        path.mkdir(parents=True, mode=0o700)
        return cls(path, now)

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.path.name

    def target_folder(self, target: Target) -> Path:
        """Return the private folder of a target, which exists afterwards."""
        folder = self.path / target.key
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def variables(self, target: Target) -> Path:
        """Return where a target's rendered variables are."""
        return self.target_folder(target) / "terraform.tfvars"

    def plan(self, target: Target) -> Path:
        """Return where a target's saved plan is."""
        return self.target_folder(target) / "tfplan"

    def plan_json(self, target: Target) -> Path:
        """Return where a target's plan in terraform's JSON format is, if it has changes."""
        return self.target_folder(target) / "plan.json"

    def log(self, target: Target) -> Path:
        """Return where terraform's output for a target is."""
        return self.target_folder(target) / "terraform.log"

    def record(self, event: str, **details: Any) -> None:  # noqa: ANN401 - an event holds any JSON
        """Append an event to the journal; it is on the disk when this returns."""
        entry = {
            "schema_version": SCHEMA_VERSION,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **details,
        }
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        handle = os.open(self.path / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def write_summary(
        self,
        *,
        command: str,
        exit_code: int,
        results: Sequence[TargetResult],
        skipped: Sequence[SkippedAccount],
    ) -> Path:
        """Write summary.json and return its path."""
        groups = group_equal((result.target, result.change_set) for result in results if result.change_set)
        summary = {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "command": command,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "finished_at": _now(),
            "exit_code": int(exit_code),
            "totals": totals(results),
            "targets": [self.describe(result) for result in results],
            "skipped": [
                {"account_id": entry.account.id, "account_name": entry.account.name, "reason": entry.reason}
                for entry in skipped
            ],
            "change_sets": [_describe_group(group) for group in groups],
        }
        return self._write(summary)

    def amend_summary(self, *, command: str, exit_code: int, results: Sequence[TargetResult]) -> Path:
        """Bring summary.json up to date after plans of this run were applied; what the plans found stays in it.

        Raises:
            InputError: The summary cannot be read.
        """
        summary = self._read()
        applied = {result.target.key: self.describe(result) for result in results}
        kept = ("changes", "fingerprint", "plan_sha256")
        for number, entry in enumerate(summary["targets"]):
            if now := applied.get(f"{entry['account_id']}/{entry['region']}"):
                summary["targets"][number] = {**now, **{key: entry[key] for key in kept}}
        summary |= {
            "command": command,
            "finished_at": _now(),
            "exit_code": int(exit_code),
            "totals": _totals([entry["status"] for entry in summary["targets"]]),
        }
        return self._write(summary)

    def _write(self, summary: Mapping[str, Any]) -> Path:
        path = self.path / SUMMARY
        write_private(path, json.dumps(summary, indent=2) + "\n")
        return path

    def describe(self, result: TargetResult) -> dict[str, Any]:
        """Return a result as it stands in the summary and in the journal."""
        target = result.target
        return {
            "account_id": target.account.id,
            "account_name": target.account.name,
            "ou": target.account.ou,
            "account_role": target.account.role,
            "region": target.region,
            "home_region": target.home_region,
            "wave": target.wave,
            "workspace": target.workspace,
            "status": result.status.value,
            "step": result.step.value,
            "changes": asdict(result.outcome) if result.outcome else None,
            "fingerprint": result.change_set.fingerprint if result.change_set else None,
            "failure": asdict(result.failure) if result.failure else None,
            "reason": result.reason or None,
            "seconds": round(result.seconds, 2),
            "plan_sha256": result.plan_sha256 or None,
            "log": f"{target.key}/terraform.log" if (self.path / target.key / "terraform.log").exists() else None,
        }

    def saved_targets(self) -> list[SavedTarget]:
        """Read the summary of a finished run.

        Raises:
            InputError: There is no such run, it has not been finished, or its summary has another schema version.
        """
        summary = self._read()
        try:
            return [_saved_target(entry) for entry in summary["targets"]]
        except (KeyError, TypeError, ValueError) as error:
            location = str(self.path / SUMMARY)
            raise InputError(f"The summary is damaged ({error!r}); plan again.", location) from error

    def _read(self) -> dict[str, Any]:
        path = self.path / SUMMARY
        try:
            summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError("This run has no summary: it does not exist, or it was not finished.", str(path)) from None
        except (OSError, ValueError) as error:
            raise InputError(f"The summary cannot be read: {error}.", str(path)) from error
        version = summary.get("schema_version") if isinstance(summary, dict) else None
        if version != SCHEMA_VERSION:
            message = f"The summary has schema version {version}; {SCHEMA_VERSION} is understood."
            raise InputError(message, str(path))
        return summary


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _saved_target(entry: Mapping[str, Any]) -> SavedTarget:
    account = Account(id=entry["account_id"], name=entry["account_name"], ou=entry["ou"], role=entry["account_role"])
    target = Target(account, entry["region"], entry["home_region"], entry["wave"])
    return SavedTarget(target, Status(entry["status"]), entry["plan_sha256"] or "", entry["fingerprint"] or "")


def totals(results: Sequence[TargetResult]) -> dict[str, int]:
    """Count targets by status."""
    return _totals([result.status.value for result in results])


def _totals(statuses: Sequence[str]) -> dict[str, int]:
    counts = Counter(statuses)
    return {"targets": len(statuses), **{status.value: counts[status.value] for status in Status}}


def _describe_group(group: ChangeGroup) -> dict[str, Any]:
    return {
        "fingerprint": group.change_set.fingerprint,
        "targets": [target.key for target in group.targets],
        "changes": [{"action": change.action, "address": change.address} for change in group.change_set.changes],
        "outputs": list(group.change_set.outputs),
    }


def sha256_of(path: Path) -> str:
    """Return the SHA-256 digest of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
