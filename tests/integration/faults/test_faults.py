"""Every fault has its class, its record and its sentence, over both transports; nothing is "other" and no error is an answer."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from providers.errors import (
    ConnectionLost,
    Empty,
    InstanceGone,
    Malformed,
    ProviderError,
    Refused,
    Rejected,
    ServerFault,
    Throttled,
    TimedOut,
)

from .statuses import status_faults
from .table import GROUPS, SECRET, Fault
from .trial import Ended, try_all

FATES: Final[dict[type[ProviderError], tuple[str, int]]] = {
    Throttled: ("ok", 1),  # waited for, then answered: no attempt
    TimedOut: ("infra_failure", 2),
    ConnectionLost: ("infra_failure", 2),
    ServerFault: ("infra_failure", 2),
    Malformed: ("infra_failure", 2),
    Empty: ("model_failure", 2),
    Rejected: ("model_failure", 1),
    Refused: ("infra_failure", 1),
    InstanceGone: ("pending", 0),
}
"""What a branch of the tree means for a sample with one instance and one retry: its outcome and its attempts."""

pytestmark = pytest.mark.timeout(600)  # the first one waits for all: a minute where nothing else runs

ALL = (*GROUPS.values(), *status_faults().values())
EVERY = 8
"""One fault in so many of its group is tried without `-m matrix`."""


@pytest.fixture(scope="module")
def ended(request: pytest.FixtureRequest) -> dict[tuple[str, str], Ended]:
    """Of the faults that are asked for, group by group, so that no giant delays the one who waits for a silence to end."""
    wanted = {
        item.callspec.params["fault"].name
        for item in request.session.items
        if hasattr(item, "callspec") and item.path == request.path
    }
    groups = [[fault for fault in faults if fault.name in wanted] for faults in ALL]
    return {(one.fault.name, one.transport): one for faults in groups for one in asyncio.run(try_all(faults))}


CASES = [
    pytest.param(fault, kind, marks=() if number % EVERY == 0 else pytest.mark.matrix)
    for faults in ALL
    for number, fault in enumerate(faults)
    for kind in fault.over
]


@pytest.mark.parametrize(("fault", "transport"), CASES, ids=lambda part: getattr(part, "name", part))
def test_a_fault_has_its_class_its_record_and_its_sentence(
    ended: dict[tuple[str, str], Ended], fault: Fault, transport: str
) -> None:
    one = ended[fault.name, transport]
    assert type(one.error) is (fault.ends or type(None)), one.sentence
    assert fault.says in one.sentence
    assert len(one.sentence) < 420
    assert SECRET not in one.sentence
    if fault.ends is None:
        require_answer(one)
    else:
        require_failure(one, *next(fate for branch, fate in FATES.items() if issubclass(fault.ends, branch)))


def require_answer(one: Ended) -> None:
    assert one.record is not None
    assert (one.record.outcome, one.record.error_class, one.record.status) == ("ok", None, 200)
    assert (one.record.attempts, one.record.raw_response) == (1, None)


def require_failure(one: Ended, outcome: str, attempts: int) -> None:
    fault = one.fault
    assert one.error is not None
    assert one.outcome == outcome
    evidence = one.error.evidence
    assert evidence.status == fault.status
    assert bool(evidence.body) is fault.raw
    assert len(evidence.body) <= 4096
    assert SECRET not in evidence.body
    if fault.wait_s is not None or fault.ends is Throttled:
        assert one.error.retry_after_s == fault.wait_s
    if one.record is None:
        return
    assert one.record.attempts == attempts
    if outcome != "ok":
        assert (one.record.error_message, one.record.status) == (one.sentence, fault.status)
        assert (one.record.output_text, one.record.passed) == (None, None if outcome == "infra_failure" else False)
        assert bool(one.record.raw_response) is fault.raw
        assert one.error_class.startswith(one.error.error_class)
