import math
from collections.abc import Mapping

import pytest

from providers.messages import JSON
from runners.limits.adaptive.concurrency.concurrency_cap import ConcurrencyCap

LATENCY_S = 2.0


def ignore(event: str, evidence: Mapping[str, JSON]) -> None:
    pass


def cap_of(most: float = math.inf) -> ConcurrencyCap:
    return ConcurrencyCap(most, ignore)


def run_round(
    cap: ConcurrencyCap, latency_s: float, *, bound: bool = True, now: float = 10.0, rate: float = math.inf
) -> None:
    """A full round of answers of 80 tokens, each after `latency_s`."""
    cap.begin_round(0, now)
    while not cap.round_is_over():
        if bound:
            cap.held_up()
        cap.sent()
        cap.answered(0, latency_s, 80)
    cap.judge_round(latency_s, now + latency_s, rate)


def test_the_cap_doubles_while_throughput_follows() -> None:
    cap = cap_of()
    for size in (16, 32, 64):
        run_round(cap, LATENCY_S)
        assert cap.size == size


def test_the_cap_stays_where_it_is_not_used() -> None:
    cap = cap_of()
    run_round(cap, LATENCY_S, bound=False)
    assert cap.size == 8


def test_latency_that_grows_with_the_cap_is_the_knee_and_littles_law_places_it() -> None:
    cap = cap_of()
    for latency_s in (LATENCY_S, LATENCY_S, 2 * LATENCY_S):  # 8, 16, then 32 at twice the latency: the knee is at 16
        run_round(cap, latency_s)
    assert cap.mode == "knee"
    assert cap.size == pytest.approx(1.15 * 16)


def test_a_server_that_slows_down_by_itself_is_no_knee() -> None:
    cap = cap_of()
    for latency_s in (LATENCY_S, LATENCY_S, 1.3 * LATENCY_S):
        run_round(cap, latency_s)
    assert cap.mode == "start"
    assert cap.size == 64


def test_the_worker_bound_holds_in_every_mode() -> None:
    cap = cap_of(most=12)
    for _ in range(4):
        run_round(cap, LATENCY_S)
    assert cap.size == 12
    cap.follow_rate(rate=100.0, latency_s=LATENCY_S, is_window=False)
    assert cap.size == 12


def test_under_a_window_the_cap_is_twice_what_the_rate_keeps_in_flight_and_never_below_four() -> None:
    cap = cap_of()
    cap.follow_rate(rate=25 / 60, latency_s=5.7, is_window=True)
    assert cap.size == 5
    cap = cap_of()
    cap.follow_rate(rate=0.1, latency_s=LATENCY_S, is_window=True)
    assert cap.size == 4


def test_a_server_that_slows_down_under_a_window_gets_more_and_gives_it_back() -> None:
    cap = cap_of()
    cap.follow_rate(rate=5.0, latency_s=LATENCY_S, is_window=True)
    assert cap.size == 20
    run_round(cap, LATENCY_S, rate=5.0)
    assert cap.size == 40
    run_round(cap, LATENCY_S, rate=5.0)
    assert cap.size == 40, "never more than a flow would get"
    run_round(cap, LATENCY_S, rate=5.0, bound=False)
    assert cap.size == 20


def test_the_cap_follows_what_is_asked_for_when_a_window_was_taken_for_too_small() -> None:
    cap = cap_of()
    cap.follow_rate(rate=0.2, latency_s=LATENCY_S, is_window=True)
    for rate, size in [(0.4, 8), (2.0, 16), (10.0, 32), (20.0, 64), (20.0, 128), (20.0, 160)]:
        run_round(cap, LATENCY_S, rate=rate)
        assert cap.size == size


def test_a_window_in_which_nothing_is_known_to_bind_leaves_the_cap_alone() -> None:
    cap = cap_of()
    cap.follow_rate(rate=math.inf, latency_s=LATENCY_S, is_window=True)
    assert cap.size == 8


def test_a_refusal_beside_more_than_were_ever_accepted_is_a_concurrency_limit() -> None:
    cap = cap_of()
    assert cap.looks_like_concurrency(24, 16)
    assert not cap.looks_like_concurrency(16, 16)
    assert not cap.looks_like_concurrency(3, 0)


def test_a_cut_leaves_what_was_in_flight_and_probes_by_one_then_by_two() -> None:
    cap = cap_of()
    cap.cut(24, LATENCY_S, goodput=6.0, now=10.0)
    assert cap.size == 24
    cap.probe_slots(23, LATENCY_S, now=13.0)
    assert cap.size == 24
    cap.probe_slots(23, LATENCY_S, now=14.0)
    assert cap.size == 25
    cap.probe_slots(24, LATENCY_S, now=17.0)
    assert cap.size == 27


def test_a_refused_probe_makes_the_next_one_rarer() -> None:
    cap = cap_of()
    cap.cut(24, LATENCY_S, goodput=6.0, now=10.0)
    cap.probe_slots(23, LATENCY_S, now=14.0)
    cap.cut(24, LATENCY_S, goodput=6.0, now=14.2)
    assert cap.size == 24
    assert cap.probe.every_s == pytest.approx(9.0)


def test_a_probe_waits_for_a_quiet_moment() -> None:
    cap = cap_of()
    cap.cut(1, 8.0, goodput=0.1, now=0.0)
    cap.probe_slots(0, 8.0, now=20.0)
    assert cap.probe.quiet_until(0, 20.0, 8.0) == 0.0
    assert cap.probe.quiet_until(1, 20.0, 8.0) == 24.0


def test_three_refusals_beside_equally_many_are_a_concurrency_limit_even_under_a_rate() -> None:
    cap = cap_of()
    cap.follow_rate(rate=5.0, latency_s=LATENCY_S, is_window=False)
    assert [cap.refused_alike(33, 32) for _ in range(3)] == [False, False, True]
    assert not cap.looks_like_concurrency(33, 32)


def test_refusals_beside_now_more_now_fewer_are_not() -> None:
    cap = cap_of()
    assert not any(cap.refused_alike(beside, 10) for beside in (20, 25, 22, 31))


def test_the_cap_is_never_below_one() -> None:
    cap = cap_of()
    cap.cut(0, LATENCY_S, goodput=1.0, now=1.0)
    assert cap.size == 1
