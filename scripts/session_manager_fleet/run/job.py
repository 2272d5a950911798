"""Job: one step of one target. It depends only on its arguments, so it can run on any machine."""

import datetime
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3

from session_manager_fleet.changes import change_set_of, protected_destructions
from session_manager_fleet.errors import AccessError, FleetError, Problem, TerraformError
from session_manager_fleet.files import open_private, write_private
from session_manager_fleet.preferences import (
    DocumentChange,
    Lockout,
    VerificationError,
    WantedPreferences,
    planned_preferences,
    preview_adoption,
    preview_destruction,
    writes_preferences,
)
from session_manager_fleet.run import refusals, unseen
from session_manager_fleet.run.adopting import (
    adoptions_of,
    as_imported,
    restore_log_groups,
    still_there,
    unusable_keys,
)
from session_manager_fleet.run.attachments import (
    detach,
    find_attachments,
    refuse_unreviewed,
    removes_policy,
)
from session_manager_fleet.run.clean import Comparison, UnlikeError
from session_manager_fleet.run.existing import (
    Existing,
    ExistingError,
    creates_anything,
    find_existing,
    problem_of,
)
from session_manager_fleet.run.failures import UnsavedStateError, failed, notes_of
from session_manager_fleet.run.job_description import Job
from session_manager_fleet.run.lockouts import NOT_CHECKED, planned_lockouts, refuse_lockouts
from session_manager_fleet.run.read_back import managed_settings, read_back
from session_manager_fleet.run.results import Status, Step, TargetResult
from session_manager_fleet.run.reviewed_plan import ReviewedPlan, refuse_other_plan
from session_manager_fleet.run.saved_plan import (
    PLAN,
    PLAN_JSON,
    VARIABLES,
    PlanConstraints,
    SavedPlanError,
    check,
    save_manifest,
)
from session_manager_fleet.run.unsaved_states import PUSH_STATE, push_commands, refuse_unsaved_state
from session_manager_fleet.run.vanished import find_vanished
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import account_session, values_of
from session_manager_fleet.terraform import (
    Adoption,
    StalePlanError,
    StateLockedError,
    StoppedError,
    Terraform,
    commands_by_hand,
    mark_apply,
    shown_without_changes,
    store_adoptions,
    store_retry_token,
    unmark_apply,
    unsaved_state,
)

LOG = "terraform.log"
# Reason of a plan whose tfvars have to be rendered again with what it adopts.
PLANNED_AGAIN = "it is planned again with what exists already"

_INVOCATION = "aws_lambda_invocation."


def perform(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    """Do a job in the private folder of its target, and return its result, also for every expected error."""
    begun = time.monotonic()
    try:
        refuse_unsaved_state(job.target.workspace, folder, terraform)
        result = {Step.PLAN: _plan, Step.DETACH: _detach, Step.APPLY: _apply}[job.step](job, folder, terraform)
    except (FleetError, OSError) as error:
        result = failed(job.target, job.step, error, folder)
    return replace(result, seconds=round(time.monotonic() - begun, 2))


def _plan(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    variables, plan, log = folder / VARIABLES, folder / PLAN, folder / LOG
    place = refusals.Place(job.target.account.id, job.target.region, lambda: _session(job))
    if job.adopted and (there := still_there(place.session, job.adopted)) != job.adopted:
        return _planned_again(job, there)
    text, notes = _variables(job, place)
    write_private(variables, text)
    before = Comparison.begin(job, text, place)
    if job.skips_clean:
        try:
            return _skipped(job, place, before, notes)
        except UnlikeError as error:
            _say(log, f"Terraform plans it, because {error}")
    outcome = terraform.plan(job.target.workspace, variables, plan, log, destroy=job.destroy, components=job.components)
    # The apply of a killed run may have failed while this plan waited for the state lock.
    refuse_unsaved_state(job.target.workspace, folder, terraform)
    shown = terraform.show(plan, log) if outcome.changed else None
    differing, unread = unseen.differences(place, None if shown and writes_preferences(shown) else _unwritten(job))
    if differing:
        return _planned_again(job, job.adopted, job.retry_token + 1)
    notes = (*notes, *unread)
    if shown is None:
        left = _left(terraform, plan, log) if unseen.may_be_left(outcome.drifted) else ()
        notes = (*notes, *left)
        reads = job.verify and job.writes_document
        verified = _verify(job, managed_settings(values_of(text))) if reads else None
        with suppress(AccessError):
            # Only saves time: where it is not allowed, the next plan finds the same again.
            _remember(job, job.adopted)
        if not unread and (reason := before.remember(left)):
            _say(log, f"The clean run is not recorded, because {reason}")
        return TargetResult.build(
            job.target, Status.NO_CHANGES, Step.PLAN, outcome, notes=notes, verified=verified, adopted=job.adopted
        )
    write_private(folder / PLAN_JSON, json.dumps(shown))
    found = find_existing(place.session, shown) if creates_anything(shown) else []
    more = adoptions_of(found, job.adoptable)
    adopted = (*job.adopted, *more) if more else as_imported(job.adopted, shown)
    if adopted != job.adopted:
        return _planned_again(job, adopted)
    refused, unchecked = refusals.examine(shown, place)
    if job.adopted:
        refused += unusable_keys(place.session, job.target.region, job.adopted)
    _refuse(job, found, refused, terraform, variables)
    changes = change_set_of(shown, job.target)
    attachments = find_attachments(place.session, shown) if removes_policy(shown) else ()
    vanished = find_vanished(shown, place)
    lockouts = _lockouts(job, shown, place)
    protected = [change.address for change in protected_destructions(changes)]
    protected += [each.address for each in vanished if each.can_be_rescued and not job.destroy]
    sha256 = save_manifest(folder, terraform.root, job.origin.made_by(shown), protected=protected, created_at=_now())
    return TargetResult.build(
        job.target,
        Status.CHANGES,
        Step.PLAN,
        outcome,
        changes,
        plan_sha256=sha256,
        preview=_preview(job, shown, place),
        attachments=attachments,
        notes=(
            *notes,
            *unchecked,
            *unseen.left_notes(shown),
            *(each.note for each in vanished),
            *([NOT_CHECKED] if lockouts is None else []),
        ),
        adopted=job.adopted,
        lockouts=lockouts or (),
        retry_token=job.retry_token if job.retry_token > job.stored_token else 0,
    )


def _left(terraform: Terraform, plan: Path, log: Path) -> tuple[str, ...]:
    """Return the notes about what was changed outside of Terraform, of a plan without changes."""
    return unseen.left_notes(shown_without_changes(plan) or terraform.show(plan, log))


def _unwritten(job: Job) -> WantedPreferences | None:
    """Return what the function should have written; None if it is not managed, or the retry token says so already."""
    return job.wanted if job.writes_document and job.retry_token == job.stored_token else None


def _skipped(job: Job, place: refusals.Place, before: Comparison, notes: tuple[str, ...]) -> TargetResult:
    """Return the result of a target that is as in its last clean run.

    Raises:
        UnlikeError: It is not, or that cannot be said.
    """
    if job.why_planned:
        raise UnlikeError(job.why_planned)
    mark = before.last_clean_run()
    differing, unread = unseen.differences(place, _unwritten(job))
    if differing or unread:
        raise UnlikeError("; ".join(unread) or f"the live document differs: {', '.join(differing)}")
    return TargetResult.build(
        job.target,
        Status.NO_CHANGES,
        Step.PLAN,
        notes=(*notes, *mark.notes),
        verified=True if job.wanted else None,
        adopted=job.adopted,
        skipped_plan=True,
    )


def _say(log: Path, sentence: str) -> None:
    """Append a sentence to the log of a target; a full disk stops nothing."""
    with suppress(OSError), os.fdopen(open_private(log, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8") as file:
        file.write(f"{sentence}\n")


def _planned_again(job: Job, adopted: tuple[Adoption, ...], retry_token: int = 0) -> TargetResult:
    """Return the result of a plan that has to be made again with other tfvars: with adoptions, or a retry token."""
    return TargetResult.build(
        job.target,
        Status.NOT_STARTED,
        Step.PLAN,
        reason=PLANNED_AGAIN,
        adopted=adopted,
        retry_token=retry_token or (job.retry_token if job.retry_token > job.stored_token else 0),
    )


def _refuse(
    job: Job, found: Sequence[Existing], refused: Sequence[Problem], terraform: Terraform, variables: Path
) -> None:
    """Refuse a plan that creates what exists, or that AWS would not let be applied.

    Raises:
        ExistingError: All of it.
    """
    problems = [*map(problem_of, found), *refused]
    if problems:
        option, commands = f"-var-file={variables}", dict[str, None]()
        for address, import_id in (pair for each in found for pair in each.imports):
            by_hand = commands_by_hand(terraform.backend, job.target.workspace, "import", option, address, import_id)
            commands.update(dict.fromkeys(by_hand))
        raise ExistingError(problems, tuple(commands))


def _remember(job: Job, adopted: Sequence[Adoption]) -> None:
    """Remember what is adopted, for the plans to come, unless it is remembered already.

    Raises:
        AccessError: The state bucket cannot be written to.
    """
    if set(adopted) != set(job.remembered):
        store_adoptions(job.settings.backend, job.target.key, adopted)


def _variables(job: Job, place: refusals.Place) -> tuple[str, tuple[str, ...]]:
    """Return the tfvars to plan with, and a note if they leave the Config rule out."""
    if job.without_rule and not job.destroy and not refusals.find_recorder(place):
        note = (
            f"AWS Config has no recorder in {job.target.region}: the Config rule is left out "
            '(config_rule.without_recorder: "skip"). The first plan after a recorder is set up creates it.'
        )
        return job.without_rule, (note,)
    return job.variables, ()


def _lockouts(job: Job, plan: Mapping[str, Any], place: refusals.Place) -> tuple[Lockout, ...] | None:
    """Return the nodes that a plan locks out; None if they cannot be read."""
    if job.destroy or not writes_preferences(plan):
        return ()
    return planned_lockouts(plan, job.target, job.values, place.session)


def _preview(job: Job, plan: Mapping[str, Any], place: refusals.Place) -> tuple[DocumentChange, ...]:
    """Return what becomes of an existing document: the values that it would lose or change, or its end."""
    if job.destroy or not writes_preferences(plan):
        return preview_destruction(plan)
    wanted = planned_preferences(plan)
    return preview_adoption(place.session, job.target.region, wanted) if wanted else ()


def _check_plan(job: Job, folder: Path) -> None:
    """Refuse a saved plan that does not belong to the job, or does what the run does not allow.

    Raises:
        SavedPlanError: See `check`; or policies would be detached, and this is not confirmed.
    """
    reviewed = job.reviewed or ReviewedPlan("")
    constraints = PlanConstraints(
        sha256=reviewed.sha256,
        origin=job.origin,
        variables=(job.variables, job.without_rule),
        now=_now(),
        max_age=job.settings.options.max_plan_age,
        allow_destroy=job.settings.options.allow_destroy,
    )
    check(folder, constraints)
    if job.attachments and not job.settings.options.allow_destroy:
        names = ", ".join(str(attachment) for attachment in job.attachments)
        policy = job.attachments[0].policy_name
        raise SavedPlanError(
            f"The plan would detach the policy {policy} from {names}, attached outside of Terraform. Pass "
            "--allow-destroy to confirm."
        )


def _apply(job: Job, folder: Path, terraform: Terraform) -> TargetResult:
    _check_plan(job, folder)
    shown = terraform.show(folder / PLAN, folder / LOG)
    # One of those that are rendered now, as `check` has found.
    variables = values_of((folder / VARIABLES).read_text(encoding="utf-8"))
    refuse_other_plan(shown, folder, terraform.root, job.target, variables, job.reviewed or ReviewedPlan(""))
    values = managed_settings(variables) if job.writes_document else None
    if removes_policy(shown):
        refuse_unreviewed(find_attachments(_session(job), shown), job.attachments)
    place = refusals.Place(job.target.account.id, job.target.region, lambda: _session(job))
    refuse_lockouts(_lockouts(job, shown, place), job.values)
    if values is not None:
        mark_apply(job.settings.backend, job.target.key)
    adoptions = (*job.remembered, *job.adopted)
    notes = restore_log_groups(_session(job), shown, adoptions) if adoptions else []
    _remember(job, job.adopted)
    if job.retry_token > job.stored_token:
        # Before the apply: without it, the next plan would render the tfvars without the token, a change for nothing.
        store_retry_token(job.settings.backend, job.target.key, job.retry_token, "the live document differed")
    try:
        terraform.apply(job.target.workspace, folder / PLAN, folder / LOG, destroy=job.destroy)
    except (StateLockedError, StalePlanError):
        raise
    except TerraformError as error:
        # The next plan finds a failed deletion without a retry token.
        if not job.destroy and _may_have_called(error):
            _call_again(job, error)
        if unsaved := unsaved_state(folder):
            message = f"{error} It could not save its state, which is kept in {unsaved}. {PUSH_STATE}"
            diagnostics = (
                *error.diagnostics,
                *notes_of(error),
                *push_commands(job.target.workspace, unsaved, terraform),
            )
            raise UnsavedStateError(message, diagnostics, "terraform") from error
        raise
    if job.destroy and adoptions:
        store_adoptions(job.settings.backend, job.target.key, ())
    verified = _verify(job, values)
    return TargetResult.build(job.target, Status.APPLIED, Step.APPLY, verified=verified, notes=tuple(notes))


def _detach(job: Job, folder: Path, _terraform: Terraform) -> TargetResult:
    """Detach what keeps policies from being deleted; the target is not done before they are."""
    _check_plan(job, folder)
    detach(_session(job), job.attachments)
    return TargetResult.build(job.target, Status.UNFINISHED, Step.DETACH, detached=job.attachments)


def _may_have_called(error: TerraformError) -> bool:
    """Tell whether the call of the preferences function may have failed."""
    return isinstance(error, StoppedError) or any(_INVOCATION in text for text in error.diagnostics)


def _verify(job: Job, values: TargetSettings | None) -> bool | None:
    """Read the preferences back and compare them with the settings; return None if none are managed.

    That they are as set settles an apply.

    Raises:
        VerificationError: They differ from the settings.
        AccessError: They cannot be read.
    """
    if values is None:
        if job.verify:
            unmark_apply(job.settings.backend, job.target.key)
        return None
    try:
        read_back(_session(job), job.target, values)
    except (AccessError, VerificationError) as error:
        _call_again(job, error)
        raise
    unmark_apply(job.settings.backend, job.target.key)
    return True


def _call_again(job: Job, error: FleetError) -> None:
    """Store a retry token, without which the next plan would find no changes although the function has to be called."""
    try:
        store_retry_token(job.settings.backend, job.target.key, job.retry_token + 1, type(error).__name__)
    except AccessError as refused:
        error.add_note(
            "The retry token cannot be stored: allow it. The next plan reads the document, and writes it again where "
            f"it differs. ({refused})"
        )
    else:
        error.add_note("The next plan writes the preferences again.")


def _session(job: Job) -> boto3.Session:
    roles, target = job.settings.roles, job.target
    role = roles.reader if job.step is Step.PLAN else roles.deployment
    return account_session(target.account, target.region, target.home_region, role)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
