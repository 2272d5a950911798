"""Compare a target with its last clean run: what a plan would be made from, its state, and what AWS answers about it.

A plan is made from three things: the variables with the root module and the versions, the stored state, and the answers
of AWS. Where all three are those of a plan without changes, another plan would find none, either.

The answers are read before terraform plans. What is changed while it plans is then either seen by the plan, and the run
was not clean, or differs from what was read, and the next plan is made.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from session_manager_fleet.errors import AccessError, FleetError
from session_manager_fleet.run.clean.live_state import digests_of
from session_manager_fleet.run.job_description import Job
from session_manager_fleet.run.refusals import Place
from session_manager_fleet.terraform import (
    CleanMark,
    UnreadableStateError,
    digest_of,
    is_locked,
    read_clean_mark,
    read_state,
    state_identity,
    store_clean_mark,
)

_NO_MARK = "no clean run of it is recorded"
_OTHER_INPUTS = "its variables, the root module, a version or the place of its state differ from its last clean run"
_OTHER_STATE = "its state has changed since its last clean run"
# More addresses than these say no more.
_NAMED = 3


class UnlikeError(FleetError):
    """A target is not as in its last clean run; the message is the reason, as it reads after "because"."""


def why_no_candidate(job: Job) -> str:
    """Return why a target cannot be skipped, from its variables and its state alone; empty if it may be.

    The account is not asked: this decides whether `verify` has to look at it.
    """
    if job.verify:
        return "the result of its last apply is not known"
    backend, target = job.settings.backend, job.target
    try:
        mark = read_clean_mark(backend, target)
        if mark is None:
            return _NO_MARK
        if mark.inputs not in [_inputs(job, text) for text in (job.variables, job.without_rule) if text]:
            return _OTHER_INPUTS
        return "" if state_identity(backend, target) == mark.state else _OTHER_STATE
    except (AccessError, UnreadableStateError) as error:
        return str(error)


@dataclass(frozen=True)
class Comparison:
    """A target as it is before its plan.

    Attributes:
        job: The plan.
        now: The mark that a plan without changes leaves; None if it cannot be said.
        unread: Why it cannot be said.
        last: The mark of the last clean run; None without a good one.
        unmarked: Why there is none.
    """

    job: Job
    now: CleanMark | None
    unread: str = ""
    last: CleanMark | None = None
    unmarked: str = _NO_MARK

    @classmethod
    def begin(cls, job: Job, variables: str, place: Place) -> "Comparison":
        """Read the state and the account; what cannot be read is no failure, but makes terraform plan.

        A mark of the same inputs and the same state stays true: with those answers of AWS there is nothing to change,
        whatever AWS answers now. So it is kept, and the account is read only where the target may be skipped.

        Args:
            job: A plan.
            variables: The tfvars that it is made with.
            place: Account and region.
        """
        if job.destroy or job.components:
            return cls(job, None, "only a whole plan says that there is nothing to change")
        backend, target, inputs = job.settings.backend, job.target, _inputs(job, variables)
        try:
            last, unmarked = _last_mark(job)
            if last and not job.skips_clean and last.inputs == inputs and last.state == state_identity(backend, target):
                return cls(job, last, last=last)
            if is_locked(backend, target):
                return cls(job, None, "its state is locked")
            state = read_state(backend, target)
            if state is None or not state.resources:
                return cls(job, None, "it has no state")
            live = digests_of(place, state)
        except (AccessError, UnreadableStateError) as error:
            return cls(job, None, str(error))
        return cls(job, CleanMark(inputs, state.identity, live), last=last, unmarked=unmarked)

    def last_clean_run(self) -> CleanMark:
        """Return the mark of the last clean run, which the target is like.

        Raises:
            UnlikeError: It is not, or that cannot be said.
        """
        if self.now is None:
            raise UnlikeError(self.unread)
        if self.last is None:
            raise UnlikeError(self.unmarked)
        if reason := _unlike(self.last, self.now):
            raise UnlikeError(reason)
        return self.last

    def remember(self, notes: Sequence[str]) -> str:
        """Mark that the plan found no changes; return why that is not possible, empty if it is.

        Args:
            notes: What the plan said of changes that it leaves.
        """
        if self.now is None:
            return self.unread
        mark = replace(self.now, notes=tuple(notes))
        backend, target = self.job.settings.backend, self.job.target
        try:
            if state_identity(backend, target) != self.now.state:
                return "its state has changed while it was planned"
            if mark != self.last:
                store_clean_mark(backend, target, mark)
        except AccessError as error:
            return str(error)
        return ""


def _last_mark(job: Job) -> tuple[CleanMark | None, str]:
    """Return the mark of the last clean run, and why there is none; a good one takes the place of a damaged one."""
    try:
        return read_clean_mark(job.settings.backend, job.target), _NO_MARK
    except UnreadableStateError as error:
        return None, str(error)


def _unlike(mark: CleanMark, now: CleanMark) -> str:
    """Return what has changed since a mark; empty if nothing has."""
    if mark.inputs != now.inputs:
        return _OTHER_INPUTS
    if mark.state != now.state:
        return _OTHER_STATE
    others = sorted(name for name in {*mark.live, *now.live} if mark.live.get(name) != now.live.get(name))
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    names = f"{', '.join(others[:_NAMED])}{more}"
    return f"AWS does not answer as in its last clean run about {names}" if others else ""


def _inputs(job: Job, variables: str) -> str:
    """Return the digest of what a plan is made from, besides the state and the answers of AWS."""
    return digest_of([variables, job.settings.backend.address, asdict(job.settings.tools)])
