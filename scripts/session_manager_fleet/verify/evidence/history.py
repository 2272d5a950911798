"""Compare a verification with earlier ones: new, still open since, fixed; and how the number of findings develops.

Each run folder keeps a small `history.json` beside its `verification.json`, so that many earlier runs are read fast.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import pydantic
from pydantic import BaseModel, ConfigDict

from session_manager_fleet.files import read_regular
from session_manager_fleet.verify.evidence.model import Fixed, TrendPoint, Verification, VerifiedCheck, VerifiedTarget
from session_manager_fleet.verify.model import Verdict

HISTORY = "history.json"
_LARGEST_MEGABYTES = 128
# Runs that are compared: a month of nights.
_RUNS = 31


class History(BaseModel):
    """Facts about a run that later runs compare with."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    schema_version: Literal[1] = 1
    organization_id: str
    selection: tuple[str, ...]
    point: TrendPoint
    checked: Mapping[str, tuple[str, ...]]
    """The checks that could run, by target."""
    findings: Mapping[str, Mapping[str, datetime.datetime]]
    """When each finding was first seen, by target and check."""

    @classmethod
    def of(cls, verification: Verification) -> Self:
        """Return what later runs need to know of this one."""
        return cls(
            organization_id=verification.organization_id,
            selection=verification.selection,
            point=verification.point,
            checked={
                target.key: tuple(check.name for check in target.checks if check.verdict is not Verdict.NOT_CHECKED)
                for target in verification.targets
                if target.failure is None
            },
            findings={
                target.key: found
                for target in verification.targets
                if (
                    found := {
                        check.name: check.first_seen or verification.started_at
                        for check in target.checks
                        if check.verdict is Verdict.FINDING
                    }
                )
            },
        )


@dataclass(frozen=True)
class Earlier:
    """Earlier runs of an organization, the latest first."""

    runs: Sequence[History] = ()

    def compare(self, verification: Verification) -> Verification:
        """Return a verification with what has changed since the last run that checked the same.

        A check that could not run, or a target that was not selected, says nothing: the run before it is compared.
        """
        targets = tuple(self._target(target, verification) for target in verification.targets)
        fixed = tuple(one for target in verification.targets for one in self._fixed(target))
        same = [run.point for run in self.runs if run.selection == verification.selection]
        return verification.model_copy(
            update={
                "targets": targets,
                "fixed": fixed,
                "compared_with": self._latest(verification),
                "trend": (*reversed(same[: _RUNS - 1]), verification.point),
            }
        )

    def _latest(self, verification: Verification) -> str:
        keys = {target.key for target in verification.targets}
        return next((run.point.run_id for run in self.runs if not keys.isdisjoint(run.checked)), "")

    def _target(self, target: VerifiedTarget, verification: Verification) -> VerifiedTarget:
        checks = tuple(self._check(target.key, check, verification.started_at) for check in target.checks)
        return target.model_copy(update={"checks": checks})

    def _check(self, key: str, check: VerifiedCheck, started_at: datetime.datetime) -> VerifiedCheck:
        if check.verdict is not Verdict.FINDING:
            return check
        before = self._run_that_checked(key, check.name)
        if before is None:
            return check.model_copy(update={"first_seen": started_at})
        seen = before.findings.get(key, {}).get(check.name)
        return check.model_copy(update={"history": "open" if seen else "new", "first_seen": seen or started_at})

    def _fixed(self, target: VerifiedTarget) -> Iterator[Fixed]:
        well = {check.name for check in target.checks if check.verdict in {Verdict.OK, Verdict.NOT_NEEDED}}
        for name in sorted(well):
            before = self._run_that_checked(target.key, name)
            seen = before.findings.get(target.key, {}).get(name) if before else None
            if seen:
                yield Fixed(account_id=target.account_id, region=target.region, check=name, first_seen=seen)

    def _run_that_checked(self, key: str, check: str) -> History | None:
        return next((run for run in self.runs if check in run.checked.get(key, ())), None)


def _age(path: Path) -> tuple[str, int]:
    """Return a key that sorts runs by time: by the second in their names, then by the time of the file."""
    return path.parent.name.partition("-")[0], path.stat().st_mtime_ns


def earlier_runs(runs: Path, organization_id: str) -> Earlier:
    """Return the earlier verifications of an organization in a folder of runs; damaged ones are left out."""
    found: list[History] = []
    for path in sorted(runs.glob(f"*/{HISTORY}"), key=_age, reverse=True):
        if len(found) == _RUNS:
            break
        try:
            history = History.model_validate_json(read_regular(path, megabytes=_LARGEST_MEGABYTES))
        except (OSError, pydantic.ValidationError):
            continue
        if history.organization_id == organization_id:
            found.append(history)
    return Earlier(tuple(found))
