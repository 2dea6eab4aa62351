"""When it is the request, and when it is not."""

from __future__ import annotations

import pytest

from providers.errors import ProviderError, Unreachable
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.poison import PoisonDetector
from runners.limits.permit import Settled
from tests.unit.runners.doubles import (
    FreeLimiter,
    ScriptedSender,
    an_instance,
    empty,
    evidence,
    malformed,
    server_fault,
    timed_out,
)


class Scene:
    """Two instances and the failures of one request on them; `answers` and `failures` are others'."""

    def __init__(self, answers: int = 1000, failures: int = 0) -> None:
        self.instance_states = {
            name: InstanceState(an_instance(name), ScriptedSender(), FreeLimiter()) for name in "ab"
        }
        self.poison_detector = PoisonDetector()
        for name in "ab":
            self.answer(name, at=-1.0, times=answers)
            self.instance_states[name].counters.failed += failures

    def answer(self, name: str, at: float, times: int = 1) -> None:
        for _ in range(times):
            self.instance_states[name].counters.settle(Settled("succeeded", 1.0), at)

    def fail(self, error: ProviderError, at: float = 0.0) -> bool:
        self.instance_states[error.evidence.instance].counters.settle(Settled("failed", 1.0), at)
        return self.poison_detector.note(error, at)

    def is_poison(self) -> bool:
        return self.poison_detector.is_poison(self.instance_states)

    def meanwhile_both_answer(self) -> None:
        for name in "ab":
            self.answer(name, at=5.0)


@pytest.mark.parametrize("make", [server_fault, timed_out, malformed])
def test_the_same_failure_on_two_instances_that_answer_others_is_the_requests(make: type) -> None:
    scene = Scene()
    assert not scene.fail(make("a"))
    assert scene.fail(make("a")), "from here on elsewhere"
    assert not scene.is_poison()
    scene.meanwhile_both_answer()
    scene.fail(make("b"), at=6.0)
    assert scene.is_poison()


def test_one_instance_alone_proves_nothing() -> None:
    scene = Scene()
    for _ in range(6):
        scene.fail(server_fault("a"))
    scene.meanwhile_both_answer()
    assert not scene.is_poison()


def test_an_outage_proves_nothing() -> None:
    scene = Scene()
    for name in "aabbab":
        scene.fail(server_fault(name))
    assert not scene.is_poison()
    scene.answer("a", at=3.0)
    assert not scene.is_poison(), "b has not answered anybody since"


def test_two_different_failures_prove_nothing() -> None:
    scene = Scene()
    scene.meanwhile_both_answer()
    scene.fail(server_fault("a"))
    scene.fail(timed_out("a"))
    scene.fail(timed_out("b", stage="attempt"))
    assert not scene.is_poison()


@pytest.mark.parametrize("error", [Unreachable("refused", evidence()), timed_out(stage="connect"), empty()])
def test_what_was_never_sent_or_was_answered_is_not_suspected(error: ProviderError) -> None:
    scene = Scene()
    assert not any(scene.fail(error) for _ in range(5))
    assert not scene.poison_detector.times


@pytest.mark.parametrize(
    ("answers", "failures", "needed"),
    [(1000, 0, 2), (100, 0, 3), (1000, 50, 4), (1000, 100, 5), (1000, 300, 8), (3, 0, 6)],
)
def test_where_instances_fail_for_others_too_it_takes_more(answers: int, failures: int, needed: int) -> None:
    scene = Scene(answers, failures)
    times = 0
    while not scene.is_poison():
        scene.fail(server_fault("ab"[times % 2]))
        times += 1
        scene.meanwhile_both_answer()
    assert times == needed
