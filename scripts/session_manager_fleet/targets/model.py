"""Targets: select (account, region) pairs and order them by waves."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import ConfigDict

from session_manager_fleet.accounts import Account, Matcher, Organization
from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.settings import REST, Wave
from session_manager_fleet.yaml_source import nearest

_LONGEST_SHARD = 40


@dataclass(frozen=True)
class Target:
    """One account in one region: the unit that has its own Terraform state.

    Attributes:
        account: The account.
        region: The region to configure.
        home_region: The account's region for global resources.
        wave: Name of the target's wave.
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
    def parse(cls, text: str) -> "Shard":
        """Read `I/N`.

        Raises:
            InputError: The text has another form, or I is not in 1..N.
        """
        match = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text)
        if match is None or int(match[1]) > int(match[2]):
            message = f'"{text[:_LONGEST_SHARD]}" is not a shard; write I/N with 1 <= I <= N, as 2/5.'
            raise InputError(message, "--shard")
        return cls(int(match[1]), int(match[2]))

    def holds(self, account_id: str) -> bool:
        """Return whether an account is in this part; only its id counts, so that new accounts move no others."""
        return shard_index(account_id, self.count) == self.index


def shard_index(account_id: str, count: int) -> int:
    """Return the number (from 1) of the part that an account belongs to, out of `count` parts."""
    digest = hashlib.sha256(account_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


@dataclass(frozen=True)
class Selection:
    """The selection of the command line.

    Attributes:
        include: Conditions on the targets.
        exclude: Account ids, name globs, `ACCOUNT/REGION`, or `ou=GLOB`, `tag=KEY=VALUE`, `region=NAME`, `role=ROLE`;
            exclusion wins.
        wave: Only this wave.
        shard: Only this part of the accounts.
        everything: All targets are selected explicitly (`--all`).
    """

    include: Matcher = field(default_factory=Matcher)
    exclude: Sequence[str] = ()
    wave: str | None = None
    shard: Shard | None = None
    everything: bool = False

    @property
    def given(self) -> bool:
        """Whether the user named targets; a shard alone only divides them."""
        return self.everything or self.wave is not None or not self.include.empty

    @property
    def uses_tags(self) -> bool:
        """Whether the selection depends on account tags."""
        return bool(self.include.tags) or any(text.startswith("tag=") for text in self.exclude)

    @property
    def whole(self) -> bool:
        """Whether the selection covers all targets that exist."""
        return self.everything and self.include.empty and not (self.exclude or self.wave or self.shard)


@dataclass(frozen=True)
class SkippedAccount:
    """A selected account of which no target may be made, or not in the region that the reason names."""

    __pydantic_config__ = ConfigDict(defer_build=True)

    account_id: str
    """Twelve digits."""
    account_name: str
    """As in AWS Organizations."""
    reason: str
    """Reason why it is skipped."""


@dataclass(frozen=True)
class TargetList:
    """The selected targets in the order of work, and the skipped accounts."""

    targets: tuple[Target, ...]
    skipped: tuple[SkippedAccount, ...]


def select_targets(
    organization: Organization,
    *,
    home_region: str,
    regions: Sequence[str],
    waves: Sequence[Wave],
    selection: Selection,
    regions_of: Callable[[Account], Sequence[str]] | None = None,
) -> TargetList:
    """Select targets in order: by wave, then by account, the home region before the others.

    Args:
        organization: All accounts.
        home_region: Region of what exists once per account.
        regions: All regions of the organization.
        waves: The waves in order.
        selection: Targets to select.
        regions_of: Returns the regions of an account; by default all of the organization.

    Raises:
        InputError: A pattern matches nothing, an exclusion is malformed, or there is no such wave.
    """
    exclusions = [_exclusion(text, organization, regions) for text in selection.exclude]
    problems = []
    for attribute, index, message in selection.include.dead_ends(organization, regions):
        option = {"ous": "--ou", "accounts": "--account", "regions": "--region"}[attribute]
        several = "," in getattr(selection.include, attribute)[index]
        advice = f" Repeat {option} to select several." if several else ""
        problems.append(Problem(message + advice, option))
    names = list(dict.fromkeys(wave.name for wave in waves))
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
        matching = [
            target
            for target in targets_of(
                account, home_region=home_region, regions=regions_of(account) if regions_of else regions, waves=waves
            )
            if selection.include.matches(account, target.region)
            and not any(exclusion.matches(account, target.region) for exclusion in exclusions)
            and selection.wave in {None, target.wave}
        ]
        if matching and account.skip_reason:
            skipped.append(SkippedAccount(account.id, account.name, account.skip_reason))
        else:
            targets.extend(matching)
    rank = {name: number for number, name in enumerate(names)}
    targets.sort(key=lambda target: rank.get(target.wave, len(rank)))
    return TargetList(tuple(targets), tuple(skipped))


def targets_of(
    account: Account, *, home_region: str, regions: Sequence[str], waves: Sequence[Wave]
) -> Iterator[Target]:
    """Yield the target of each region, the home region first, in the first wave that matches it.

    No target is in an earlier wave than its account's home region: if one matches, the target gets the wave of the
    home region.
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
    """Return the number of targets in each part of `count` that holds any, in order."""
    sizes = Counter(shard_index(target.account.id, count) for target in targets)
    return {Shard(index, count): sizes[index] for index in sorted(sizes)}


def _exclusion(text: str, organization: Organization, regions: Sequence[str]) -> Matcher:
    kind, _, value = text.partition("=")
    matcher = {
        "ou": lambda: Matcher(ous=[value]),
        "region": lambda: Matcher(regions=[value]),
        "role": lambda: Matcher(roles=[value]),
        "tag": lambda: Matcher(tags=dict([parse_tag(value, "--exclude")])),
    }.get(kind, lambda: _named(text, organization, regions))()
    for _, _, message in matcher.dead_ends(organization, regions):
        raise InputError(message, "--exclude")
    for key, expected in matcher.tags.items():
        if not any(account.tags.get(key) == expected for account in organization.accounts):
            raise InputError(f'No account has the tag "{key}" with the value "{expected}".', "--exclude")
    return matcher


def _named(text: str, organization: Organization, regions: Sequence[str]) -> Matcher:
    """Read an account, or `ACCOUNT/REGION`; names of accounts may hold slashes, too."""
    account, slash, region = text.rpartition("/")
    whole = Matcher(accounts=[text])
    if not slash or (region not in regions and not list(whole.dead_ends(organization, regions))):
        return whole
    return Matcher(accounts=[account], regions=[region])


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
