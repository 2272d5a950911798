"""Read what AWS answers about the resources of a state, as digests that can be compared with those of another time."""

import re
from collections.abc import Mapping
from typing import Any

import botocore.exceptions

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.run.clean.reads import CHANGING, HARMLESS_DATA, Read, reads_of
from session_manager_fleet.run.refusals import Place
from session_manager_fleet.terraform import StoredState, UnreadableStateError, digest_of

# Codes of answers which say that there is nothing. A refusal, or a fault of a service, is no answer.
_ABSENT = re.compile(r".*(NotFound|NoSuch|NonExistent|DoesNotExist).*|404|InvalidDocument|MethodNotAllowed")


def digests_of(place: Place, state: StoredState) -> dict[str, str]:
    """Return the digest of what AWS answers about each resource, by Terraform's address.

    Args:
        place: Account and region of the resources.
        state: The state that holds them.

    Raises:
        UnreadableStateError: The state holds something whose live state cannot be read here.
        AccessError: A call is refused.
    """
    if unknown := sorted(state.data_types - HARMLESS_DATA):
        raise UnreadableStateError(f"its state holds the data source {unknown[0]}, which only Terraform reads")
    answers, found = _Answers(place), {}
    for resource in state.resources:
        try:
            reads = reads_of(resource.type, resource.attributes)
        except (LookupError, AttributeError, TypeError):
            raise UnreadableStateError(f"the state of {resource.address} has another form") from None
        if reads is None:
            raise UnreadableStateError(f"only Terraform reads {resource.type} ({resource.address})")
        found[resource.address] = digest_of([answers.of(read) for read in reads])
    return found


class _Answers:
    """Asks the APIs of an account; what several resources need is asked once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._answers: dict[str, Any] = {}

    def of(self, read: Read) -> object:
        """Return what an answer says of a resource, without what changes by itself."""
        call = f"{read.service}.{read.method}({read.parameters})"
        if call not in self._answers:
            self._answers[call] = _lasting(self._ask(read), CHANGING.get(read.method, frozenset()))
        answer = self._answers[call]
        if read.only is None or not isinstance(answer, Mapping):
            return answer
        entries, member, value = read.only
        return [entry for entry in answer.get(entries, []) if entry.get(member) == value]

    def _ask(self, read: Read) -> object:
        """Return the whole answer to a call, all pages of it; the code of an error which says that there is nothing."""
        client = self._place.client(read.service)
        with translated_errors(f"read {read.service}:{read.method}"):
            try:
                if client.can_paginate(read.method):
                    return client.get_paginator(read.method).paginate(**read.parameters).build_full_result()
                return getattr(client, read.method)(**read.parameters)
            except botocore.exceptions.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if not _ABSENT.fullmatch(code):
                    raise
                return code


def _lasting(answer: Any, changing: frozenset[str]) -> Any:  # noqa: ANN401 - answers are any JSON, with times
    """Return an answer without what changes by itself, such as the id of the request."""
    if isinstance(answer, Mapping):
        left_out = changing | {"ResponseMetadata"}
        return {name: _lasting(value, changing) for name, value in answer.items() if name not in left_out}
    return [_lasting(item, changing) for item in answer] if isinstance(answer, list) else answer
