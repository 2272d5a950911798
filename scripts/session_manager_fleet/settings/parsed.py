"""Read organization.yaml: check what can be checked before the accounts are known, and split it into layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from session_manager_fleet.accounts import Matcher, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.files import is_below
from session_manager_fleet.settings.findings import findings, known_path
from session_manager_fleet.settings.foundation import LogArchive
from session_manager_fleet.settings.notifications import Notifications
from session_manager_fleet.settings.schema import (
    Component,
    ExceptionEntry,
    OrganizationSettings,
    Override,
    SettingsFile,
)
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, read_yaml


@dataclass(frozen=True)
class Layer:
    """Values for the targets that match.

    Attributes:
        name: `defaults`, `overrides[n]`, `exceptions[n]`, `log_archive` or `guardrails`.
        key_path: Place of the values in the file.
        values: Values as written; null removes the value of lower layers.
        matcher: Conditions on the target.
        skipped: Components that an exception leaves out.
        owner: Owner of an exception.
        regions: Regions to configure in the accounts that match; empty for all of the organization, None if the layer
            says nothing about them.
    """

    name: str
    key_path: KeyPath
    values: Mapping[str, Any]
    matcher: Matcher = field(default_factory=Matcher)
    skipped: frozenset[Component] = frozenset()
    owner: str = ""
    regions: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ParsedSettings:
    """A valid organization.yaml; `Settings.of` completes it with what depends on the accounts.

    Attributes:
        document: The file with its line numbers.
        file: The file as typed data.
    """

    document: YamlDocument
    file: SettingsFile

    @property
    def organization(self) -> OrganizationSettings:
        """The organization, and how to access its accounts."""
        return self.file.organization

    @property
    def exceptions(self) -> Sequence[ExceptionEntry]:
        """The exception register."""
        return self.file.exceptions

    @property
    def log_archive(self) -> LogArchive | None:
        """The settings of the log archive, or None without one."""
        return self.file.log_archive

    @property
    def notifications(self) -> Notifications | None:
        """Who is told about runs, or None for no one."""
        return self.file.notifications

    @property
    def folder(self) -> Path:
        """The folder of organization.yaml, to which paths in the file are relative."""
        return self.document.path.parent

    @property
    def templates(self) -> Path | None:
        """The folder with the user's templates, or None without one."""
        return self.folder / self.file.rendering.templates if self.file.rendering.templates else None

    @property
    def uses_tags(self) -> bool:
        """Whether any matcher uses account tags, which cost one API call per account."""
        return any(matcher.tags for _, matcher in self.matchers())

    def matchers(self) -> Iterator[tuple[KeyPath, Matcher]]:
        """Yield every matcher of the file with its key path."""
        for kind in ("overrides", "exceptions", "waves"):
            for index, entry in enumerate(getattr(self.file, kind)):
                yield (kind, index, "match"), entry.match.matcher

    def file_layers(self) -> Sequence[Layer]:
        """Return the defaults, the overrides and the exceptions, each with its values as written."""
        layers = [Layer("defaults", ("defaults",), self.document.value(("defaults",)) or {})]
        conditional: Mapping[str, Sequence[Override | ExceptionEntry]] = {
            "overrides": self.file.overrides,
            "exceptions": self.file.exceptions,
        }
        for kind, entries in conditional.items():
            for index, entry in enumerate(entries):
                key_path = (kind, index, "set")
                values = dict(self.document.value(key_path) or {})
                # Which targets there are is no setting of a target.
                regions = tuple(values.pop("regions") or ()) if "regions" in values else None
                layer = Layer(f"{kind}[{index}]", key_path, values, entry.match.matcher, regions=regions)
                if isinstance(entry, ExceptionEntry):
                    layer = replace(layer, skipped=frozenset(entry.skip), owner=entry.owner)
                layers.append(layer)
        return layers

    def check_against(self, organization: Organization, home_region: str, regions: Sequence[str]) -> None:
        """Refuse the credentials of another organization, matchers that match nothing, and regions that cannot be.

        Raises:
            InputError: With every problem and its line.
        """
        problems = []
        for key_path, matcher in self.matchers():
            for attribute, index, message in matcher.dead_ends(organization, regions):
                key = "ou" if attribute == "ous" else attribute
                problems.append(Problem(message, self.document.where((*key_path, key, index))))
        problems += self._regions_problems(home_region, regions)
        if self.organization.id and organization.id and organization.id != self.organization.id:
            message = f"The credentials belong to another organization, {organization.id}."
            problems.append(Problem(message, self.document.where(("organization", "id"))))
        if problems:
            raise InputError(problems)

    def _regions_problems(self, home_region: str, regions: Sequence[str]) -> Iterator[Problem]:
        """Yield the problems of regions that overrides and exceptions set."""
        for layer in self.file_layers():
            if layer.regions is None:
                continue
            where = (*layer.key_path, "regions")
            for index, region in enumerate(layer.regions):
                if region not in regions:
                    message = f'The organization does not use the region "{region}"; it uses {", ".join(regions)}.'
                    yield Problem(message, self.document.where((*where, index)))
            if layer.regions and home_region not in layer.regions:
                message = (
                    f"The home region {home_region} must be one of the regions: it has what exists once per account."
                )
                yield Problem(message, self.document.where(where))
            if layer.matcher.regions:
                message = "Accounts get regions, so the condition cannot name regions; remove match.regions."
                yield Problem(message, self.document.where(where))


def _templates_elsewhere(document: YamlDocument) -> Iterator[Problem]:
    """Yield a problem if the folder of templates is not below that of the file."""
    templates = document.value(("rendering", "templates"))
    if isinstance(templates, str) and "\0" not in templates:
        folder = document.path.parent
        if not is_below(folder / templates, folder):
            message = "The folder of templates must be below that of this file; render --templates takes any other."
            yield Problem(message, document.where(("rendering", "templates")))


def load_settings(path: Path) -> ParsedSettings:
    """Read organization.yaml.

    Raises:
        InputError: With every problem, each with file, line and key path.
    """
    document = read_yaml(path, strict=False)
    problems = [problem for _, problem in document.problems]
    if not isinstance(document.data, dict):
        message = "The file must be a mapping with schema_version and organization."
        raise InputError([*problems, Problem(message, document.where())])
    unread = {key_path for key_path, _ in document.problems if document.value(key_path) is None}
    for section in ("log_archive", "guardrails"):
        if section in document.data and document.data[section] is None and (section,) not in unread:
            message = f'The section is empty: write "{section}: {{}}" for its defaults, or remove it to do without.'
            problems.append(Problem(message, document.where((section,))))
    problems.extend(_templates_elsewhere(document))
    try:
        parsed = SettingsFile.model_validate(document.data, context={"partial": True})
    except ValidationError as error:
        # A value that YAML cannot read is None and already reported.
        for finding in findings(error, SettingsFile):
            key_path = known_path(finding.paths[0], document)
            if key_path not in unread:
                problems.append(Problem(finding.message, document.where(key_path)))
        raise InputError(list(dict.fromkeys(problems))) from error
    if problems:
        raise InputError(problems)
    return ParsedSettings(document, parsed)
