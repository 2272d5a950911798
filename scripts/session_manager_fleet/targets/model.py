"""Targets: which (account, region) pairs to work on, in which waves and in which order."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ConfigDict

from session_manager_fleet.accounts import Matcher, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.settings import REST, Wave
from session_manager_fleet.yaml_source import nearest

if TYPE_CHECKING:
    from session_manager_fleet.accounts import Account, Organization
    from session_manager_fleet.settings import Wave


@dataclass(frozen=True)
class Target:
    """One account in one region: the unit that has its own Terraform state.

    Attributes:
        account: The account.
        region: The region to configure.
        home_region: The account's region for what exists once per account.
        wave: Name of the wave that the target belongs to.
    """

    account: Account
    region: str
    home_region: str
    wave: str = REST

    @property
    def is_home(self) -> bool:
        """Whether this is the account's home region."""
        return self.region == self.home_region

    @property
    def workspace(self) -> str:
        """Terraform workspace: the account id in the home region, account id and region elsewhere."""
        return self.account.id if self.is_home else f"{self.account.id}-{self.region}"

    @property
    def key(self) -> str:
        """Unique and readable, also a relative path: `111122223333/eu-west-1`."""
        return f"{self.account.id}/{self.region}"


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count`; all regions of an account are in the same part."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`.

        Raises:
            InputError: The text has another form, or I is not in 1..N.
        """
        match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
        if match is None or int(match[1]) > int(match[2]):
            raise InputError(f'"{text}" is not a shard; write I/N with 1 <= I <= N, as 2/5.', "--shard")
        return cls(int(match[1]), int(match[2]))

    def holds(self, account_id: str) -> bool:
        """Tell whether an account belongs here; this depends on nothing but its id, so new accounts move no other."""
        return shard_index(account_id, self.count) == self.index


def shard_index(account_id: str, count: int) -> int:
    """Return in which of `count` parts (from 1) an account is."""
    digest = hashlib.sha256(account_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


@dataclass(frozen=True)
class Selection:
    """What the command line asks for.

    Attributes:
        include: Conditions on the targets.
        exclude: Account ids, name globs, or `ou=GLOB`, `tag=KEY=VALUE`, `region=NAME`, `role=ROLE`; exclusion wins.
        wave: Only this wave.
        shard: Only this part of the accounts.
        everything: All targets were asked for explicitly.
    """

    include: Matcher = field(default_factory=Matcher)
    exclude: Sequence[str] = ()
    wave: str | None = None
    shard: Shard | None = None
    everything: bool = False

    @property
    def given(self) -> bool:
        """Whether the user said which targets are meant; a shard alone says only how to share them out."""
        return self.everything or self.wave is not None or not self.include.empty

    @property
    def whole(self) -> bool:
        """Whether nothing narrows the selection: what is not selected does not exist."""
        return self.everything and self.include.empty and not (self.exclude or self.wave or self.shard)


@dataclass(frozen=True)
class SkippedAccount:
    """A selected account of which no target may be made."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    account_id: str
    """Twelve digits."""
    account_name: str
    """As in AWS Organizations."""
    reason: str
    """Reason why it is skipped."""


@dataclass(frozen=True)
class TargetList:
    """The selected targets in the order of work, and the accounts that were left out with the reason."""

    targets: tuple[Target, ...]
    skipped: tuple[SkippedAccount, ...]


def select_targets(
    organization: Organization,
    *,
    home_region: str,
    regions: Sequence[str],
    waves: Sequence[Wave],
    selection: Selection,
) -> TargetList:
    """Select targets and put them in order: waves, then accounts, then the home region before the others.

    Raises:
        InputError: A pattern matches nothing at all, or an exclusion or wave cannot be understood.
    """
    exclusions = [_exclusion(text, organization, regions) for text in selection.exclude]
    problems = [
        Problem(message, {"ous": "--ou", "accounts": "--account", "regions": "--region"}[attribute])
        for attribute, _, message in selection.include.dead_ends(organization, regions)
    ]
    names = [wave.name for wave in waves]
    if selection.wave is not None and selection.wave not in {*names, REST}:
        known = ", ".join(names)
        problems.append(
            Problem(
                f'There is no wave "{selection.wave}"{nearest(selection.wave, names)}; waves: {known}.',
                "--wave",
            )
        )
    if problems:
        raise InputError(problems)

    targets: list[Target] = []
    skipped: list[SkippedAccount] = []
    for account in organization.accounts:
        if selection.shard is not None and not selection.shard.holds(account.id):
            continue
        meant = [
            target
            for target in targets_of(account, home_region=home_region, regions=regions, waves=waves)
            if selection.include.matches(account, target.region)
            and not any(exclusion.matches(account, target.region) for exclusion in exclusions)
            and selection.wave in {None, target.wave}
        ]
        if meant and account.skip_reason:
            skipped.append(SkippedAccount(account.id, account.name, account.skip_reason))
        else:
            targets.extend(meant)
    rank = {name: number for number, name in enumerate(names)}
    targets.sort(key=lambda target: rank.get(target.wave, len(rank)))
    return TargetList(tuple(targets), tuple(skipped))


def targets_of(
    account: Account, *, home_region: str, regions: Sequence[str], waves: Sequence[Wave]
) -> Iterator[Target]:
    """Yield the target of each region, the home region first, with its wave: the first one that matches.

    No target comes before the home region of its account: if an earlier wave matches, it waits for that one's wave.
    """
    names = [*(wave.name for wave in waves), REST]
    earliest = 0
    for region in sorted(regions, key=lambda region: region != home_region):
        matching = (number for number, wave in enumerate(waves) if wave.match.matcher.matches(account, region))
        number = max(next(matching, len(waves)), earliest)
        if region == home_region:
            earliest = number
        yield Target(account, region, home_region, names[number])


def occupied_shards(targets: Iterable[Target], count: int) -> dict[Shard, int]:
    """Return every part of `count` that holds any of the targets, in order, with how many it holds."""
    ids = Counter(target.account.id for target in targets)
    sizes: Counter[int] = Counter()
    for account_id, held in ids.items():
        sizes[shard_index(account_id, count)] += held
    return {Shard(index, count): sizes[index] for index in sorted(sizes)}


def _exclusion(text: str, organization: Organization, regions: Sequence[str]) -> Matcher:
    kind, _, value = text.partition("=")
    matcher = {
        "ou": lambda: Matcher(ous=[value]),
        "region": lambda: Matcher(regions=[value]),
        "role": lambda: Matcher(roles=[value]),
        "tag": lambda: Matcher(tags=dict([parse_tag(value, "--exclude")])),
    }.get(kind, lambda: Matcher(accounts=[text]))()
    for _, _, message in matcher.dead_ends(organization, regions):
        raise InputError(message, "--exclude")
    for key, wanted in matcher.tags.items():
        if not any(account.tags.get(key) == wanted for account in organization.accounts):
            raise InputError(f'No account has the tag "{key}" with the value "{wanted}".', "--exclude")
    return matcher


def parse_tag(text: str, option: str = "--tag") -> tuple[str, str]:
    """Read `KEY=VALUE`.

    Raises:
        InputError: There is no `=` or no key.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f'"{text}" is not a tag; write KEY=VALUE.', option)
    return key, value


EVERYTHING = Selection(everything=True)
