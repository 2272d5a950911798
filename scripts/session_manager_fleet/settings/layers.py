"""organization.yaml, read and checked: layered, and every value remembers which line set it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from session_manager_fleet.accounts import Account, Matcher, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.settings.findings import _Finding, _finding, _findings, _known_path
from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.settings.foundation_targets import LOG_ARCHIVE_SECTION, Placement, place
from session_manager_fleet.settings.schema import Component, ExceptionEntry, Override, SettingsFile, Wave
from session_manager_fleet.settings.target import TargetSettings
from session_manager_fleet.settings.tolerance import Tolerance
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, format_key_path, read_yaml

_SESSION_KEY: KeyPath = ("preferences", "session_key", "kms_key_arn")

# What the instance policy is made of; it exists once per account, with the values of the home region.
_IN_INSTANCE_POLICY: Sequence[KeyPath] = (
    ("names", "log_group"),
    ("names", "data_key_alias"),
    ("preferences", "cloudwatch", "log_group_name"),
    ("preferences", "s3", "enabled"),
    ("preferences", "s3", "bucket_name"),
    ("preferences", "s3", "key_prefix"),
    ("preferences", "s3", "kms_key_arn"),
    ("preferences", "s3", "kms_key_account_id"),
    _SESSION_KEY,
)


@dataclass(frozen=True)
class Origin:
    """Where an effective value comes from.

    Attributes:
        line: Line of organization.yaml.
        layer: `defaults`, `overrides[n]` or `exceptions[n]`.
        owner: Who answers for it, where the layer is an exception.
        unset: The line took away what lower layers had set: the value is the built-in default.
    """

    line: int
    layer: str
    owner: str = ""
    unset: bool = False


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings of one target.

    Attributes:
        values: All values, defaults filled in; skipped components are not enabled.
        origins: Where values come from, by key path.
        skipped: Components that an exception leaves out.
        placed: Variables that only this target has: what exists once in the organization.
    """

    values: TargetSettings
    origins: Mapping[KeyPath, Origin]
    skipped: frozenset[Component]
    placed: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """The values as plain data, by the name of the root module's variable; what is null is left out."""
        variables = self.values.model_dump(exclude_none=True)
        return {**variables, **self.placed, "tags": dict(sorted(variables["tags"].items()))}

    def origin(self, key_path: KeyPath) -> Origin | None:
        """Return where a value comes from, or None for a built-in default that nothing has touched."""
        return next(
            (self.origins[key_path[:end]] for end in range(len(key_path), 0, -1) if key_path[:end] in self.origins),
            None,
        )


@dataclass(frozen=True)
class _Layer:
    """A set of values for the targets that a matcher means; `key_path` is where it stands."""

    name: str
    key_path: KeyPath
    values: Mapping[str, Any]
    matcher: Matcher
    skipped: frozenset[Component] = frozenset()
    owner: str = ""


# Without waves, no number of failures stops the rollout.
_EVERYTHING_AT_ONCE = Wave(name="all", max_failures=Tolerance(100, percent=True))


class Settings:
    """organization.yaml, read and checked."""

    def __init__(self, document: YamlDocument, parsed: SettingsFile, placement: Placement | None = None) -> None:
        self.document = document
        self.organization = parsed.organization
        self._placement = placement or Placement()
        self.waves: Sequence[Wave] = (*self._placement.waves, *(parsed.waves or (_EVERYTHING_AT_ONCE,)))
        self.exceptions = parsed.exceptions
        self._parsed = parsed
        # Few combinations of layers serve thousands of targets.
        self._of_account: dict[Account, list[int]] = {}
        self._effective: dict[tuple[int, ...], EffectiveSettings] = {}

    def placed(self, organization: Organization, home_region: str) -> Settings:
        """Return these settings with what exists once in the organization in its place.

        Raises:
            InputError: The account that something belongs to is not known.
        """
        placement = place(self._parsed, self.document, organization, home_region)
        return Settings(self.document, self._parsed, placement)

    @property
    def folder(self) -> Path:
        """The folder of organization.yaml; paths in the file are relative to it."""
        return self.document.path.parent

    @property
    def templates(self) -> Path | None:
        """The folder with the user's own templates, if there is one."""
        given = self._parsed.rendering.templates
        return self.folder / given if given else None

    @property
    def log_archive(self) -> LogArchive | None:
        """The settings of the log archive, if there is to be one."""
        return self._parsed.log_archive

    @cached_property
    def uses_tags(self) -> bool:
        """Whether any matcher asks for account tags, which cost one API call per account."""
        return any(matcher.tags for _, matcher in self._matchers())

    @cached_property
    def _layers(self) -> tuple[_Layer, ...]:
        data = self.document.data
        unconditional = {**self._placement.layers, "defaults": data.get("defaults") or {}}
        layers = [_Layer(section, (section,), values, Matcher()) for section, values in unconditional.items()]
        conditional: dict[str, Sequence[Override | ExceptionEntry]] = {
            "overrides": self._parsed.overrides,
            "exceptions": self._parsed.exceptions,
        }
        for kind, entries in conditional.items():
            for index, entry in enumerate(entries):
                layer = _Layer(
                    name=f"{kind}[{index}]",
                    key_path=(kind, index),
                    values=data[kind][index].get("set") or {},
                    matcher=entry.match.matcher,
                )
                if isinstance(entry, ExceptionEntry):
                    layer = replace(layer, skipped=frozenset(entry.skip), owner=entry.owner)
                layers.append(layer)
        return tuple(layers)

    def _matchers(self) -> Iterator[tuple[KeyPath, Matcher]]:
        for kind in ("overrides", "exceptions", "waves"):
            for index, entry in enumerate(getattr(self._parsed, kind)):
                yield (kind, index, "match"), entry.match.matcher

    def check_against(self, organization: Organization, regions: Sequence[str]) -> None:
        """Refuse matchers that can match nothing: they are misspelled or out of date.

        Raises:
            InputError: With the line of each.
        """
        problems = []
        for key_path, matcher in self._matchers():
            for attribute, index, message in matcher.dead_ends(organization, regions):
                key = "ou" if attribute == "ous" else attribute
                problems.append(Problem(message, self.document.where((*key_path, key, index))))
        if self.organization.id and organization.id and organization.id != self.organization.id:
            message = f"These credentials belong to the organization {organization.id}."
            problems.append(Problem(message, self.document.where(("organization", "id"))))
        if problems:
            raise InputError(problems)

    def warnings(self, organization: Organization, home_region: str, regions: Sequence[str]) -> list[Problem]:
        """Return what is allowed, but does hardly what was meant."""
        problems = []
        for key_path, matcher in self._matchers():
            for key, value in matcher.tags.items():
                if not any(account.tags.get(key) == value for account in organization.accounts):
                    message = f'No account has the tag "{key}" with the value "{value}"; nothing is matched here.'
                    problems.append(Problem(message, self.document.where((*key_path, "tags", key))))
        policies = [layer.values.get("instance_policy") or {} for layer in self._layers]
        allowed_keys = {arn for policy in policies for arn in policy.get("session_key_arns") or []}
        for layer in self._layers:
            chosen = [region for region in regions if region in layer.matcher.regions]
            if not chosen or len(chosen) == len(regions):
                continue
            for key_path in _IN_INSTANCE_POLICY:
                where = (*layer.key_path, "set", *key_path)
                # The policy allows the key of the home region anyway, and those that it is told.
                known = key_path == _SESSION_KEY and (
                    chosen == [home_region] or self.document.value(where) in allowed_keys
                )
                if where in self.document.lines and not known:
                    message = (
                        f"This is for {', '.join(chosen)} only, but the instance policy exists once per account and "
                        f"takes its values from the home region {home_region}: instances in regions with other values "
                        "are not allowed what those need."
                    )
                    problems.append(Problem(message, self.document.where(where)))
        return problems

    def effective(self, account: Account, region: str) -> EffectiveSettings:
        """Return the settings of a target: defaults < overrides in order < exceptions.

        Raises:
            InputError: The layers are valid each, but do not fit together for this target.
        """
        if account not in self._of_account:
            matching = [index for index, layer in enumerate(self._layers) if layer.matcher.matches_account(account)]
            self._of_account[account] = matching
        chosen = tuple(
            index for index in self._of_account[account] if self._layers[index].matcher.matches_region(region)
        )
        if chosen not in self._effective:
            self._effective[chosen] = self._merge([self._layers[index] for index in chosen], account, region)
        effective = self._effective[chosen]
        if foreign := [_finding(entry) for entry in effective.values.foreign_keys(region)]:
            raise InputError([self._problem(finding, effective.origins, account, region) for finding in foreign])
        return self._with_placed(effective, account, region)

    def _with_placed(self, effective: EffectiveSettings, account: Account, region: str) -> EffectiveSettings:
        """Add what only this target has."""
        placed = self._placement.variables_of(account, region)
        return replace(effective, placed=placed) if placed else effective

    def _merge(self, layers: Sequence[_Layer], account: Account, region: str) -> EffectiveSettings:
        merged: dict[str, Any] = {}
        origins: dict[KeyPath, Origin] = {}
        own_bucket = any(_names_bucket(layer) for layer in layers if layer.name != LOG_ARCHIVE_SECTION)
        for layer in layers:
            # Who names another bucket still wants logs there, but not with the key of the log archive.
            other = own_bucket and layer.name == LOG_ARCHIVE_SECTION
            self._apply(
                layer, {"preferences": {"s3": {"enabled": True}}} if other else layer.values, (), merged, origins
            )
        for layer in layers:
            for component in layer.skipped:
                merged.setdefault(component, {})["enabled"] = False
                line = self.document.line((*layer.key_path, "skip"))
                origins[component, "enabled"] = Origin(line, layer.name, layer.owner)
        try:
            values = TargetSettings.model_validate(merged)
        except ValidationError as error:
            found = _findings(error, TargetSettings)
            raise InputError([self._problem(finding, origins, account, region) for finding in found]) from error
        skipped = frozenset(component for layer in layers for component in layer.skipped)
        return EffectiveSettings(values, origins, skipped)

    def _problem(self, finding: _Finding, origins: Mapping[KeyPath, Origin], account: Account, region: str) -> Problem:
        """Say of a target what is wrong, and which line of the file is the last one to set what is to blame."""
        near = (finding.paths[0][:end] for end in reversed(range(len(finding.paths[0]))))
        for paths in (finding.paths, *((path,) for path in near)):
            blamed = [item for item in origins.items() if any(item[0][: len(path)] == path for path in paths)]
            if blamed:
                break
        key_path, origin = max(blamed, key=lambda item: item[1].line)
        set_by: KeyPath = () if self._is_section(origin.layer) else ("set",)
        place = "" if origin.layer in self._placement.layers else f".{format_key_path((*set_by, *key_path))}"
        message = f"For {account.id} ({account.name}) in {region}: {finding.message}"
        return Problem(message, f"{self.document.path}:{origin.line} ({origin.layer}{place})")

    def _is_section(self, layer: str) -> bool:
        """Tell whether the values of a layer stand below its name, not below `set`."""
        return layer in {"defaults", *self._placement.layers}

    def _apply(
        self,
        layer: _Layer,
        values: Mapping[str, Any],
        path: KeyPath,
        merged: dict[str, Any],
        origins: dict[KeyPath, Origin],
    ) -> None:
        """Merge a layer: objects deeply, lists as a whole; null takes away what lower layers set."""
        section: KeyPath = () if self._is_section(layer.name) else ("set",)
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, dict):
                self._apply(layer, value, here, merged.setdefault(key, {}), origins)
                continue
            line = self.document.line((*layer.key_path, *section, *here))
            if value is not None:
                merged[key] = value
                origins[here] = Origin(line, layer.name, layer.owner)
            elif key in merged:
                del merged[key]
                for known in [known for known in origins if known[: len(here)] == here]:
                    del origins[known]
                origins[here] = Origin(line, layer.name, layer.owner, unset=True)


def _names_bucket(layer: _Layer) -> bool:
    """Tell whether a layer says which bucket session logs go to."""
    s3 = (layer.values.get("preferences") or {}).get("s3") or {}
    return s3.get("bucket_name") is not None


def load_settings(path: Path) -> Settings:
    """Read organization.yaml.

    Raises:
        InputError: With every problem, each with file, line and key path.
    """
    document = read_yaml(path, strict=False)
    problems = [problem for _, problem in document.problems]
    if not isinstance(document.data, dict):
        message = "The file must hold a mapping with schema_version and organization."
        raise InputError([*problems, Problem(message, document.where())])
    try:
        parsed = SettingsFile.model_validate(document.data, context={"partial": True})
    except ValidationError as error:
        # What cannot be read has no value, and has been complained of.
        unread = {key_path for key_path, _ in document.problems if document.value(key_path) is None}
        for finding in _findings(error, SettingsFile):
            key_path = _known_path(finding.paths[0], document)
            if key_path not in unread:
                problems.append(Problem(finding.message, document.where(key_path)))
        raise InputError(list(dict.fromkeys(problems))) from error
    if problems:
        raise InputError(problems)
    return Settings(document, parsed)
