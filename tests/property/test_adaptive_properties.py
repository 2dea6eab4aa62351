"""Whatever happens, and in whatever order: what must hold of the adaptive limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.messages import JSON, RateLimitHint, Usage
from runners.limits.adaptive.ledger import KEPT_S, SLACK_S, WINDOWS_S, Amounts, LedgerEntry, SendLedger
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.permit import Cost, Go, Settled, WaitForEvent, WaitUntil


@dataclass(frozen=True)
class Event:
    kind: str
    after_s: float
    which: int
    retry_after_s: float | None
    remaining: float | None
    tokens: int


EVENTS = st.builds(
    Event,
    kind=st.sampled_from(["ask", "ask", "ask", "succeeded", "succeeded", "throttled", "failed", "cancelled"]),
    after_s=st.sampled_from([0.0, 0.0, 0.01, 0.1, 0.5, 2.0, 20.0, 90.0]),
    which=st.integers(0, 50),
    retry_after_s=st.sampled_from([None, None, None, 0.0, 0.5, 30.0, 60.0]),
    remaining=st.sampled_from([None, None, -1.0, 0.0, 5.0, 1e6]),
    tokens=st.integers(0, 2000),
)
RESTORED = st.one_of(
    st.none(),
    st.builds(
        lambda level, requests, mode, cap: {
            "version": 1,
            "mode": mode,
            "cap": cap,
            "best_rho": 0.01,
            "level": level,
            "limits": None
            if requests is None
            else {"requests": requests if cap > 10 else None, "tokens": 100.0 * requests},
            "latency_s": 0.5,
            "output_tokens": 50.0,
        },
        level=st.integers(0, 2),
        requests=st.one_of(st.none(), st.floats(0.05, 1000)),
        mode=st.sampled_from(["start", "rate", "knee", "conc"]),
        cap=st.floats(1, 100),
    ),
)


@dataclass
class Script:
    """A caller that keeps to the seam: asks, waits as told, and settles every ticket once."""

    state: AdaptiveLimits
    now: float = 0.0
    first_asked_at: float | None = None
    open: list[tuple[int, float]] = field(default_factory=list)

    def play(self, event: Event) -> None:
        self.now += event.after_s
        if event.kind == "ask":
            self.ask(event)
        elif self.open:
            number, sent_at = self.open.pop(event.which % len(self.open))
            self.state.settle(number, self.settled(event, self.now - sent_at), self.now)

    def ask(self, event: Event) -> None:
        if self.first_asked_at is None:
            self.first_asked_at = self.now
        decision = self.state.acquire(Cost(event.tokens, 512), self.now)
        if isinstance(decision, Go):
            self.open.append((decision.ticket, self.now))
        elif isinstance(decision, WaitForEvent):
            assert self.open, "nothing in flight could ever wake this caller"
        else:
            assert decision.at > self.now

    @staticmethod
    def settled(event: Event, latency_s: float) -> Settled:
        hint = RateLimitHint(event.retry_after_s, None, None, event.remaining, event.remaining)
        usage = Usage(event.tokens, event.tokens // 2) if event.kind == "succeeded" else None
        kinds: dict[str, Settled] = {
            "succeeded": Settled("succeeded", latency_s, usage, hint),
            "throttled": Settled("throttled", latency_s, None, hint),
            "failed": Settled("failed", latency_s),
            "cancelled": Settled("cancelled", latency_s),
        }
        return kinds[event.kind]


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=120), st.one_of(st.none(), st.integers(1, 20)), RESTORED)
def test_no_script_of_events_breaks_the_invariants(
    events: list[Event], most: int | None, restored: Mapping[str, JSON] | None
) -> None:
    script = Script(AdaptiveLimits(most=most, restored=restored))
    for event in events:
        script.play(event)
        snapshot = script.state.snapshot(script.now)
        cap = snapshot["cap"]
        assert isinstance(cap, int)
        assert cap >= 1
        assert most is None or cap <= most
        assert snapshot["in_flight"] == len(script.open)
        limits = script.state._rates.limits
        assert limits is None or all(limit > 0 for limit in limits)
        began_at = script.now if script.first_asked_at is None else script.first_asked_at
        assert abs(sum(script.state.time_under(script.now).values()) - (script.now - began_at)) < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=80))
def test_a_caller_that_waits_as_told_and_gets_answers_always_goes_on(events: list[Event]) -> None:
    script = Script(AdaptiveLimits(most=None))
    for event in events:
        script.play(event)
    for number, sent_at in script.open:
        script.state.settle(number, Settled("succeeded", script.now - sent_at, Usage(10, 10)), script.now)
    for _ in range(200):
        decision = script.state.acquire(Cost(10, 10), script.now)
        if isinstance(decision, Go):
            return
        assert isinstance(decision, WaitUntil)
        script.now = decision.at
    raise AssertionError("two hundred waits and no leave to send")


@dataclass(frozen=True)
class Booking:
    after_s: float
    amounts: tuple[int, int, int, int]
    corrected: int | None


BOOKINGS = st.builds(
    Booking,
    after_s=st.sampled_from([0.0, 0.001, 0.02, 0.7, 5.0, 31.0]),
    amounts=st.tuples(*[st.integers(0, 900)] * 4),
    corrected=st.one_of(st.none(), st.integers(0, 100)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(BOOKINGS, max_size=80))
def test_the_ledger_equals_a_recount(bookings: list[Booking]) -> None:
    ledger, now, entries = SendLedger(), 0.0, list[LedgerEntry]()
    for booking in bookings:
        now += booking.after_s
        entry = ledger.add(_amounts(booking), now)
        entries += [entry] if entry not in entries else []
        if booking.corrected is not None:
            ledger.correct(entries[booking.corrected % len(entries)], (0.0, 7.0, -3.0, 0.0))
        for window, seconds in enumerate(WINDOWS_S):
            young = [kept for kept in entries if kept.at > now - seconds - SLACK_S]
            assert ledger.counts(window, now) == [sum(kept.amounts[unit] for kept in young) for unit in range(4)]
        young = [kept for kept in entries if now - KEPT_S < kept.at]
        assert ledger.between(now - 20.0, now) == [
            sum(kept.amounts[unit] for kept in young if kept.at > now - 20.0) for unit in range(4)
        ]


def _amounts(booking: Booking) -> Amounts:
    requests, tokens, ceiling, answered = booking.amounts
    return float(requests), float(tokens), float(ceiling), float(answered)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 20), st.floats(1, 40), st.floats(0.01, 0.5), st.integers(0, 5))
def test_refusals_of_one_episode_stay_within_what_is_sent_while_they_are_on_their_way(
    rate: float, burst: float, delay_s: float, seed: int
) -> None:
    told: list[str] = []
    state = AdaptiveLimits(most=None, on_decision=lambda event, _: told.append(event))
    refused, sent = _drive_bucket(state, rate, burst, delay_s, requests=400 + seed)
    episodes = max(1, told.count("throttle") + told.count("conc"))
    fastest = 2 * max(rate, sent / 30)
    assert refused / episodes <= 4 + 2 * 2 * fastest * delay_s * 3


def _drive_bucket(state: AdaptiveLimits, rate: float, burst: float, delay_s: float, requests: int) -> tuple[int, int]:
    """A silent bucket whose answers take a second: refused and sent, until so many are answered."""
    now, level, filled_at, refused, sent, answered = 0.0, burst, 0.0, 0, 0, 0
    ends: list[tuple[float, int, bool]] = []
    while answered < requests:
        decision = state.acquire(Cost(100, 100), now)
        if isinstance(decision, Go):
            sent += 1
            level, filled_at = min(burst, level + rate * (now - filled_at)), now
            is_in = level >= 1
            level -= 1.0 if is_in else 0.0
            ends.append((now + (1.0 if is_in else delay_s), decision.ticket, is_in))
            ends.sort(reverse=True)
            continue
        alarm = decision.at if isinstance(decision, WaitUntil) else float("inf")
        if ends and ends[-1][0] <= alarm:
            now, number, is_in = ends.pop()
            answered, refused = answered + is_in, refused + (not is_in)
            how = Settled("succeeded", 1.0, Usage(100, 50)) if is_in else Settled("throttled", delay_s)
            state.settle(number, how, now)
        else:
            now = alarm
    return refused, sent
