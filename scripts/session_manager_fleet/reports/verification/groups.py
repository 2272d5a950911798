"""Group equal results of checks, so that the same finding in many accounts is read once."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from session_manager_fleet.errors import ExitCode
from session_manager_fleet.verify import Severity, Verdict, Verification, VerifiedCheck, VerifiedTarget, exit_code_of

ACCOUNT, REGION, HOME_REGION, GENERATED = "<account>", "<region>", "<home region>", "<id>"
# Ids of KMS keys and of EC2 instances.
ID = re.compile(r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|i-[0-9a-f]{8,17})\b")


@dataclass(frozen=True)
class FindingGroup:
    """Equal results of a check.

    Attributes:
        check: The result; if several targets have it, account and region are placeholders.
        targets: The targets that have it, in the order of work.
    """

    check: VerifiedCheck
    targets: tuple[VerifiedTarget, ...]

    @property
    def new(self) -> int:
        """Number of targets in which it is new."""
        return sum(
            each.history == "new" for target in self.targets for each in target.checks if each.name == self.check.name
        )


def groups(targets: Iterable[VerifiedTarget], verdicts: Collection[Verdict]) -> list[FindingGroup]:
    """Return the results with one of the verdicts once each: the worst first, then those of the most targets."""
    found: dict[tuple[object, ...], list[tuple[VerifiedCheck, VerifiedTarget]]] = {}
    for target in targets:
        for check in target.checks:
            if check.verdict in verdicts:
                found.setdefault(_key(common(check, target)), []).append((check, target))
    made = []
    for members in found.values():
        first, target = members[0]
        check = first if len(members) == 1 else common(first, target)
        made.append(FindingGroup(check, tuple(target for _, target in members)))
    return sorted(made, key=_order)


def common(check: VerifiedCheck, target: VerifiedTarget) -> VerifiedCheck:
    """Return a result in which account, regions and generated ids are placeholders."""
    return check.model_copy(
        update={
            "message": with_placeholders(check.message, target),
            "fix": with_placeholders(check.fix, target) if check.fix else check.fix,
            "command": with_placeholders(check.command, target) if check.command else check.command,
            "evidence": tuple(with_placeholders(each, target) for each in check.evidence),
            "newest_log": None,
            "history": None,
            "first_seen": None,
        }
    )


def with_placeholders(text: str, target: VerifiedTarget) -> str:
    """Return a text that reads the same for every target with the same result."""
    text = text.replace(target.account_id, ACCOUNT).replace(target.region, REGION)
    return ID.sub(GENERATED, text.replace(target.home_region, HOME_REGION))


def filtered(
    verification: Verification,
    *,
    severity: Severity | None = None,
    names: Collection[str] = (),
    only_wrong: bool = False,
) -> Verification:
    """Return a verification with fewer checks; the counts stay, and the exit code is that of what is left.

    Args:
        verification: The whole.
        severity: Leave out findings that are less severe.
        names: Leave out other checks; empty for none.
        only_wrong: Leave out what is as configured.
    """

    def shown(check: VerifiedCheck) -> bool:
        if names and check.name not in names:
            return False
        if only_wrong and not check.is_wrong:
            return False
        return severity is None or check.severity is None or check.severity.rank <= severity.rank

    narrowed = names or severity is not None
    targets = (
        target.model_copy(update={"checks": tuple(filter(shown, target.checks))}) for target in verification.targets
    )
    kept = tuple(target for target in targets if target.checks or target.failure or not only_wrong)
    described = tuple(each for each in verification.checks if not names or each.id in names)
    code = _exit_code(kept, severity) if narrowed else verification.exit_code
    return verification.model_copy(update={"targets": kept, "checks": described, "exit_code": int(code)})


def _exit_code(targets: Sequence[VerifiedTarget], asked: Severity | None) -> ExitCode:
    """Return the exit code of what is shown, in which also findings of low severity count if they are asked for."""
    results = ((check.verdict, check.severity) for target in targets for check in target.checks)
    failed = any(target.failure for target in targets)
    return exit_code_of(results, failed=failed, least=asked or Severity.MEDIUM)


def _key(check: VerifiedCheck) -> tuple[object, ...]:
    return check.name, check.verdict, check.severity, check.message, check.fix, check.command, check.exceptions


def _order(group: FindingGroup) -> tuple[int, int, int, str]:
    check = group.check
    rank = check.severity.rank if check.severity else len(Severity)
    return rank, list(Verdict).index(check.verdict), -len(group.targets), check.name


def by_unit(targets: Sequence[VerifiedTarget]) -> dict[str, list[VerifiedTarget]]:
    """Return targets by their organizational unit, in the order of the units' paths."""
    found: dict[str, list[VerifiedTarget]] = {}
    for target in targets:
        found.setdefault(target.ou, []).append(target)
    return dict(sorted(found.items()))
