"""Targets (one account in one region): inventory, selection, tfvars, exceptions."""

from session_manager_fleet.targets import exceptions, explain
from session_manager_fleet.targets.exceptions import WARNING_DAYS, PolicyException, register
from session_manager_fleet.targets.explain import Explanation
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import (
    EVERYTHING,
    Selection,
    Shard,
    SkippedAccount,
    Target,
    TargetList,
    occupied_shards,
    parse_tag,
)
from session_manager_fleet.targets.session import account_session
from session_manager_fleet.targets.tfvars import TfvarsRenderer
from session_manager_fleet.targets.tfvars_files import render, renderer_of, write_rendered

__all__ = [
    "EVERYTHING",
    "WARNING_DAYS",
    "Explanation",
    "Inventory",
    "PolicyException",
    "Selection",
    "Shard",
    "SkippedAccount",
    "Target",
    "TargetList",
    "TfvarsRenderer",
    "account_session",
    "exceptions",
    "explain",
    "occupied_shards",
    "parse_tag",
    "register",
    "render",
    "renderer_of",
    "write_rendered",
]
