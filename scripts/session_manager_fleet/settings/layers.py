"""Merge the layers of organization.yaml into the settings of a target; every value remembers the line that set it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from pydantic import ValidationError

from session_manager_fleet.accounts import ACTIVE, LOG_ARCHIVE, Account, Matcher, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.settings.findings import Finding, finding_of, findings
from session_manager_fleet.settings.foundation_targets import GUARDRAILS_SECTION, LOG_ARCHIVE_SECTION, FoundationTargets
from session_manager_fleet.settings.parsed import Layer, ParsedSettings
from session_manager_fleet.settings.schema import Component, Wave
from session_manager_fleet.settings.target import NOT_RENDERED, TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.yaml_source import KeyPath, format_key_path

_SESSION_KEY: KeyPath = ("preferences", "session_key", "kms_key_arn")

# Settings that the instance policy depends on; it exists once per account, with the values of the home region.
_IN_INSTANCE_POLICY: Sequence[KeyPath] = (
    ("names", "log_group"),
    ("names", "data_key_alias"),
    ("preferences", "cloudwatch", "log_group_name"),
    ("preferences", "s3", "enabled"),
    ("preferences", "s3", "bucket_name"),
    ("preferences", "s3", "bucket_account_id"),
    ("preferences", "s3", "key_prefix"),
    ("preferences", "s3", "kms_key_arn"),
    ("preferences", "s3", "kms_key_account_id"),
    _SESSION_KEY,
)

# Without waves in the file, no number of failures stops the rollout.
_ALL_AT_ONCE = Wave(name="all", max_failures=Tolerance(100, percent=True))


@dataclass(frozen=True)
class Origin:
    """The line that set an effective value.

    Attributes:
        line: Line of organization.yaml.
        layer: Name of the layer, as `overrides[0]`.
        owner: Owner of the exception, if the layer is one.
        unset: Whether the line removed the value of lower layers, so that the built-in default applies.
    """

    line: int
    layer: str
    owner: str = ""
    unset: bool = False


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings of one target.

    Attributes:
        values: All values, defaults included; skipped components are not enabled.
        origins: Origins of values that the file sets, by key path.
        skipped: Components that an exception leaves out.
        foundation: Root variables of the log archive and the guardrails, if this target hosts them.
    """

    values: TargetSettings
    origins: Mapping[KeyPath, Origin]
    skipped: frozenset[Component]
    foundation: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """The values as plain data by root variable, without nulls."""
        variables = self.values.model_dump(exclude=NOT_RENDERED, exclude_none=True)
        return {**variables, **self.foundation, "tags": dict(sorted(variables["tags"].items()))}

    @cached_property
    def without_rule(self) -> EffectiveSettings | None:
        """The settings without the Config rule, for a home region without recorder; None if that is not to be."""
        rule = self.values.config_rule
        if not rule.enabled or rule.without_recorder == "refuse":
            return None
        left_out = rule.model_copy(update={"enabled": False})
        return replace(self, values=self.values.model_copy(update={"config_rule": left_out}))

    def origin(self, key_path: KeyPath) -> Origin | None:
        """Return the origin of a value, or None for a built-in default."""
        return next(
            (self.origins[key_path[:end]] for end in range(len(key_path), 0, -1) if key_path[:end] in self.origins),
            None,
        )


@dataclass(frozen=True)
class Settings(ParsedSettings):
    """Settings that are complete: the log archive and the guardrails are assigned to accounts.

    Attributes:
        foundation: Targets of the log archive and the guardrails, and the settings that follow for all accounts.
    """

    foundation: FoundationTargets
    # Few combinations of layers serve thousands of targets.
    _of_account: dict[Account, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _merged: dict[tuple[int, ...], EffectiveSettings] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, parsed: ParsedSettings, organization: Organization, home_region: str) -> Self:
        """Complete settings with the accounts of the organization.

        Raises:
            InputError: The account of the log archive or of the guardrails is not known.
        """
        foundation = FoundationTargets.find(parsed.file, parsed.document, organization, home_region)
        return cls(parsed.document, parsed.file, foundation)

    @property
    def waves(self) -> Sequence[Wave]:
        """The waves in order, the one of the foundation first."""
        return (*self.foundation.waves, *(self.file.waves or (_ALL_AT_ONCE,)))

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers of the file above those that follow from the foundation."""
        below = [Layer(name, (name,), values) for name, values in self.foundation.layers.items()]
        regional = [
            Layer(LOG_ARCHIVE_SECTION, (LOG_ARCHIVE_SECTION,), values, Matcher(regions=[region]))
            for region, values in self.foundation.regional.items()
        ]
        return [*below, *regional, *self.file_layers()]

    def warnings(self, organization: Organization, home_region: str, regions: Sequence[str]) -> list[Problem]:
        """Return settings that are valid, but probably not intended."""
        problems = [*self._foundation_warnings(), *self._name_warnings(organization), *self._user_warnings()]
        for key_path, matcher in self.matchers():
            for key, value in matcher.tags.items():
                if not any(account.tags.get(key) == value for account in organization.accounts):
                    message = f'No account has the tag "{key}" with the value "{value}"; nothing matches.'
                    problems.append(Problem(message, self.document.where((*key_path, "tags", key))))
            problems += self._inactive_warnings(organization, key_path, matcher)
        policies = [layer.values.get("instance_policy") or {} for layer in self.layers]
        allowed_keys = {arn for policy in policies for arn in policy.get("session_key_arns") or []}
        for layer in self.layers:
            chosen = [region for region in regions if region in layer.matcher.regions]
            if not chosen or len(chosen) == len(regions):
                continue
            for key_path in _IN_INSTANCE_POLICY:
                where = (*layer.key_path, *key_path)
                # The policy allows the session key of the home region, and those in session_key_arns.
                allowed = key_path == _SESSION_KEY and (
                    chosen == [home_region] or self.document.value(where) in allowed_keys
                )
                if where in self.document.lines and not allowed:
                    message = (
                        f"This applies to {', '.join(chosen)} only, but the instance policy exists once per account "
                        f"and takes its values from the home region {home_region}: instances in regions with other "
                        "values lack permissions."
                    )
                    problems.append(Problem(message, self.document.where(where)))
        return problems

    def _foundation_warnings(self) -> Iterator[Problem]:
        """Warn of sections that protect or collect nothing."""
        if self.file.guardrails is not None and not self.file.guardrails.attach_to:
            message = "attach_to is empty: the service control policy is attached to nothing and restricts no account."
            yield Problem(message, self.document.where((GUARDRAILS_SECTION,)))
        named = self.file.organization.log_archive_account is not None
        used = any(LOG_ARCHIVE in matcher.roles for _, matcher in self.matchers())
        if named and not used and self.file.log_archive is None:
            message = (
                f'This only names the account; without a section "{LOG_ARCHIVE_SECTION}", nothing is stored in it.'
            )
            yield Problem(message, self.document.where(("organization", "log_archive_account")))

    def _name_warnings(self, organization: Organization) -> Iterator[Problem]:
        """Warn of names that select several accounts."""
        names: dict[str, list[str]] = {}
        for account in organization.accounts:
            if not account.skip_reason:
                names.setdefault(account.name, []).append(account.id)
        for name, ids in names.items():
            if len(ids) > 1:
                message = f'The accounts {", ".join(ids)} are all called "{name}", which selects all of them; use ids.'
                yield Problem(message, self.document.where(("organization", "accounts")))

    def _inactive_warnings(self, organization: Organization, key_path: KeyPath, matcher: Matcher) -> Iterator[Problem]:
        """Warn of overrides for accounts that are not active only, as closed ones for 90 days; exceptions expire."""
        if key_path[:1] != ("overrides",):
            return
        parts: list[tuple[KeyPath, str, Matcher]] = [
            *((("accounts", index), f'"{name}"', Matcher([name])) for index, name in enumerate(matcher.accounts)),
            *((("ou", index), f'"{glob}"', Matcher(ous=[glob])) for index, glob in enumerate(matcher.ous)),
            ((), "This", matcher),
        ]
        found = False
        for place, what, part in parts:
            matching = [account for account in organization.accounts if part.matches_account(account)]
            if (
                matching
                and not any(account.state == ACTIVE for account in matching)
                and not (found and part is matcher)
            ):
                ids = ", ".join(f"{account.id} ({account.state.lower().replace('_', ' ')})" for account in matching)
                message = f"{what} matches only accounts that are not active: {ids}; nothing is set for them."
                yield Problem(message, self.document.where((*key_path, *place)))
                found = True

    def _user_warnings(self) -> Iterator[Problem]:
        """Warn of ssm-user as the user that sessions run as (amazon-ssm-agent#217, #431)."""
        for layer in self.layers:
            run_as = (layer.values.get("preferences") or {}).get("run_as") or {}
            if run_as.get("default_user") == "ssm-user" and run_as.get("enabled") is not False:
                message = (
                    "With run_as, the agent does not create ssm-user, so sessions fail on every node on which it does "
                    "not exist yet: set run_as.enabled to false to use ssm-user, or name a user that the nodes have."
                )
                yield Problem(message, self.document.where((*layer.key_path, "preferences", "run_as", "default_user")))

    def regions_of(self, account: Account, regions: Sequence[str]) -> tuple[str, ...]:
        """Return the regions to configure in an account, out of those of the organization.

        The last override or exception that sets them wins over the source of the accounts.
        """
        chosen: Sequence[str] = account.regions
        for layer in self.layers:
            if layer.regions is not None and layer.matcher.matches_account(account):
                chosen = layer.regions
        return tuple(region for region in regions if not chosen or region in chosen)

    def effective(self, account: Account, region: str) -> EffectiveSettings:
        """Return the settings of a target: defaults < overrides in order < exceptions.

        Raises:
            InputError: The layers are valid by themselves, but their values conflict for this target.
        """
        if account not in self._of_account:
            matching = [index for index, layer in enumerate(self.layers) if layer.matcher.matches_account(account)]
            self._of_account[account] = matching
        chosen = tuple(
            index for index in self._of_account[account] if self.layers[index].matcher.matches_region(region)
        )
        if chosen not in self._merged:
            self._merged[chosen] = self._merge([self.layers[index] for index in chosen], account, region)
        effective = self._merged[chosen]
        if foreign := [finding_of(conflict) for conflict in effective.values.foreign_resources(account.id, region)]:
            raise InputError([self._problem(finding, effective.origins, account, region) for finding in foreign])
        hosted = self.foundation.variables_of(account, region)
        return replace(effective, foundation=hosted) if hosted else effective

    def _merge(self, layers: Sequence[Layer], account: Account, region: str) -> EffectiveSettings:
        merged: dict[str, Any] = {}
        origins: dict[KeyPath, Origin] = {}
        other_bucket = any(_names_bucket(layer) for layer in layers if layer.name != LOG_ARCHIVE_SECTION)
        for layer in layers:
            if layer.name == LOG_ARCHIVE_SECTION and other_bucket:
                # Another bucket keeps S3 logging enabled, but does not have the key of the log archive.
                layer = replace(layer, values={"preferences": {"s3": {"enabled": True}}})  # noqa: PLW2901
            self._apply(layer, layer.values, (), merged, origins)
        for layer in layers:
            for component in layer.skipped:
                merged.setdefault(component, {})["enabled"] = False
                line = self.document.line((*layer.key_path[:-1], "skip"))
                origins[component, "enabled"] = Origin(line, layer.name, layer.owner)
        try:
            values = TargetSettings.model_validate(merged)
        except ValidationError as error:
            found = findings(error, TargetSettings)
            raise InputError([self._problem(finding, origins, account, region) for finding in found]) from error
        skipped = frozenset(component for layer in layers for component in layer.skipped)
        return EffectiveSettings(values, origins, skipped)

    def _problem(self, finding: Finding, origins: Mapping[KeyPath, Origin], account: Account, region: str) -> Problem:
        """Return a problem of a target, located at the last line that set one of the values involved."""
        near = (finding.paths[0][:end] for end in reversed(range(len(finding.paths[0]))))
        for paths in (finding.paths, *((path,) for path in near)):
            involved = [item for item in origins.items() if any(item[0][: len(path)] == path for path in paths)]
            if involved:
                break
        key_path, origin = max(involved, key=lambda item: item[1].line)
        place = origin.layer
        if origin.layer not in self.foundation.layers:
            place += f".{format_key_path(key_path if origin.layer == 'defaults' else ('set', *key_path))}"
        message = f"For {account.id} ({account.name}) in {region}: {finding.message}"
        return Problem(message, f"{self.document.path}:{origin.line} ({place})")

    def _apply(
        self,
        layer: Layer,
        values: Mapping[str, Any],
        path: KeyPath,
        merged: dict[str, Any],
        origins: dict[KeyPath, Origin],
    ) -> None:
        """Merge a layer: objects recursively, lists as a whole; null removes the values of lower layers."""
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, dict):
                self._apply(layer, value, here, merged.setdefault(key, {}), origins)
                continue
            line = self.document.line((*layer.key_path, *here))
            if value is not None:
                merged[key] = value
                origins[here] = Origin(line, layer.name, layer.owner)
            elif key in merged:
                del merged[key]
                for known in [known for known in origins if known[: len(here)] == here]:
                    del origins[known]
                origins[here] = Origin(line, layer.name, layer.owner, unset=True)


def _names_bucket(layer: Layer) -> bool:
    """Tell whether a layer sets the bucket of session logs."""
    s3 = (layer.values.get("preferences") or {}).get("s3") or {}
    return s3.get("bucket_name") is not None
