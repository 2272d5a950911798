"""Targets (one account in one region): inventory, selection, tfvars, exceptions."""

from session_manager_fleet.targets import exceptions as exceptions, explain as explain
from session_manager_fleet.targets.clients import (
    READING_THREADS as READING_THREADS,
    Identity as Identity,
    SharedClients as SharedClients,
)
from session_manager_fleet.targets.exceptions import (
    WARNING_DAYS as WARNING_DAYS,
    PolicyException as PolicyException,
    register as register,
)
from session_manager_fleet.targets.explain import Explanation as Explanation
from session_manager_fleet.targets.inventory import Inventory as Inventory
from session_manager_fleet.targets.model import (
    EVERYTHING as EVERYTHING,
    Selection as Selection,
    Shard as Shard,
    SkippedAccount as SkippedAccount,
    Target as Target,
    TargetList as TargetList,
    occupied_shards as occupied_shards,
    parse_tag as parse_tag,
)
from session_manager_fleet.targets.opt_in import without_disabled_regions as without_disabled_regions
from session_manager_fleet.targets.reading import (
    Reader as Reader,
    error_code as error_code,
    setting_arn as setting_arn,
)
from session_manager_fleet.targets.session import account_session as account_session
from session_manager_fleet.targets.tfvars import TfvarsRenderer as TfvarsRenderer
from session_manager_fleet.targets.tfvars_files import (
    render as render,
    renderer_of as renderer_of,
    write_rendered as write_rendered,
)
from session_manager_fleet.targets.tfvars_values import values_of as values_of
