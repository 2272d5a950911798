"""Description of a job: one step of one target, its settings, and what comes back from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from session_manager_fleet.preferences import WantedPreferences
from session_manager_fleet.run.attachments import Attachment
from session_manager_fleet.run.options import RunOptions
from session_manager_fleet.run.results import Step, TargetResult
from session_manager_fleet.run.reviewed_plan import ReviewedPlan
from session_manager_fleet.run.saved_plan import Origin, Toolchain
from session_manager_fleet.settings import Component, Roles, TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import Adoption, Kind, StateBackend


@dataclass(frozen=True)
class JobSettings:
    """Settings that all jobs of a run share.

    Attributes:
        tools: Versions that plans are made with.
        roles: The roles to assume in the accounts.
        backend: Backend of the states.
        options: Options of the run.
    """

    tools: Toolchain
    roles: Roles
    backend: StateBackend
    options: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True)
class Job:
    """One step of one target. It can be pickled and holds no credentials.

    Attributes:
        step: The step.
        target: The target.
        variables: The rendered tfvars.
        values: Settings that the tfvars are rendered from.
        components: Components that a plan is limited to; empty for all.
        without_rule: The same without the Config rule, for a plan in an account without a recorder; empty if such a
            plan is refused, or the target has no rule.
        settings: Settings that all jobs of the run share.
        reviewed: For an apply, the saved plan to apply.
        destroy: For a plan, whether to destroy everything.
        attachments: For an apply and a detachment, what the plan found its deleted policies attached to.
        adopted: What is used as it exists; the tfvars are rendered with it.
        adoptable: Kinds of what may be adopted.
        remembered: The adopted as the last apply remembered them.
        retry_token: The target's retry token, which is part of the tfvars; 0 for none.
        stored_token: The retry token that is stored; less than that of a plan whose live document differs.
        wanted: What the function should have written; None if preferences are not managed, or all is destroyed.
        verify: For a plan, whether to verify the preferences even without changes, as the last apply may be partial.
        skips_clean: For a plan, whether terraform is not run where the target is as in its last clean run.
        why_planned: Why it is run nevertheless, such as a finding of `verify`; empty if nothing is known yet.
    """

    step: Step
    target: Target
    variables: str
    settings: JobSettings
    reviewed: ReviewedPlan | None = None
    destroy: bool = False
    attachments: tuple[Attachment, ...] = ()
    adopted: tuple[Adoption, ...] = ()
    adoptable: tuple[Kind, ...] = ()
    remembered: tuple[Adoption, ...] = ()
    retry_token: int = 0
    stored_token: int = 0
    wanted: WantedPreferences | None = None
    verify: bool = False
    skips_clean: bool = False
    why_planned: str = ""
    without_rule: str = ""
    values: TargetSettings = field(default_factory=TargetSettings)
    components: tuple[Component, ...] = ()

    @property
    def writes_document(self) -> bool:
        """Whether the preferences are among what is planned and applied."""
        return not self.destroy and (not self.components or "preferences" in self.components)

    @property
    def origin(self) -> Origin:
        """Origin of a plan of this job."""
        target = self.target
        return Origin(
            target.account.id, target.region, target.workspace, self.settings.backend.address, self.settings.tools
        )


@dataclass(frozen=True)
class Performed:
    """Result of a job, with the files that it made on another machine.

    Attributes:
        result: Result of the target.
        artifacts: Content of the files by name; None if they are in the folder of the run.
    """

    result: TargetResult
    artifacts: Mapping[str, bytes] | None = None
