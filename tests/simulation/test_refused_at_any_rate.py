"""A gateway that refuses a share of all requests, however slowly one sends, on a virtual clock; and a limit that only looks so at first."""

from __future__ import annotations

import random

import pytest

from benchmarks.rate_control_model.admission import Metered, Open, Refusal, Rule
from benchmarks.rate_control_model.loop import Loop
from benchmarks.rate_control_model.requests import Request, even
from benchmarks.rate_control_model.servers import Server, Traits
from providers.simulator.limits.quota import SlidingWindow
from runners.limits.adaptive.state import AdaptiveLimits

SAMPLES = 1_000
LATENCY_S = 0.06


class EveryNth(Open):
    """Refuses every n-th request and never says a wait."""

    def __init__(self, n: int) -> None:
        self._n, self._asked = n, 0

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:
        self._asked += 1
        return None if self._asked % self._n else Refusal()


class AtRandom(Open):
    def __init__(self, share: float) -> None:
        self._share, self._draw = share, random.Random(5)

    def admit(self, request: Request, inside: int, now: float) -> Refusal | None:
        return Refusal() if self._draw.random() < self._share else None


def run_against(rule: Rule) -> tuple[Loop, AdaptiveLimits]:
    loop, limits = Loop(even(SAMPLES, random.Random(1))), AdaptiveLimits(most=20)
    traits = Traits(latency=lambda _: LATENCY_S, refuses_in=(0.03, 0.06))
    loop.add(Server(loop.timeline, random.Random(2), rule, traits), limits)
    loop.run(latest=1e5)
    assert loop.left == 0
    return loop, limits


@pytest.mark.parametrize(
    "rule", [EveryNth(3), EveryNth(5), AtRandom(0.1), AtRandom(0.21)], ids=["third", "fifth", "10 %", "21 %"]
)
def test_refusals_that_no_slower_sending_prevents_do_not_slow_a_run_without_end(rule: Rule) -> None:
    loop, _ = run_against(rule)
    assert loop.timeline.now < SAMPLES  # at a rate that falls with every refusal it takes hours


def test_a_limit_that_is_met_after_refusals_at_any_rate_is_kept_to() -> None:
    """The share of refusals changes, and what was held is given up."""

    class Both(Open):
        def __init__(self) -> None:
            self._erratic, self._metered, self._left = EveryNth(3), Metered(SlidingWindow(60, 10)), 300

        def admit(self, request: Request, inside: int, now: float) -> Refusal | None:
            self._left -= 1
            return (self._erratic if self._left > 0 else self._metered).admit(request, inside, now)

    loop, _ = run_against(Both())
    assert loop.refused < 100 + 0.1 * SAMPLES
