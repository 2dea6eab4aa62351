"""Who is sent where: the pure function, case by case, and what an event costs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise, product

import pytest

from runners.dispatch.assign import NEVER_THERE_S, OUTAGE_S, Assignments, assign
from runners.dispatch.health import FIRST_PROBE_S, Health
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.permit_request import PermitRequest
from runners.dispatch.waiting_queue import LimiterGroups, WaitingQueue
from runners.limits.permit import Cost, Limiter, Settled
from tests.unit.runners.doubles import COST, FreeLimiter, ScriptedSender, an_instance, connection_lost, revoked

NOBODY: frozenset[str] = frozenset()
DONE = Settled("succeeded", 0.1)


class Room:
    """A limiter with room for some requests, from a time on; it counts what it is asked."""

    sends_others = False

    def __init__(self, room: int = 0, opens: float = 0.0) -> None:
        self.room = room
        self.opens = opens
        self.asked = self.given = 0

    def try_acquire(self, cost: Cost, now: float) -> int | None:
        self.asked += 1
        if now < self.opens or not self.room:
            return None
        self.room -= 1
        self.given += 1
        return self.given

    def opens_at(self, cost: Cost, now: float) -> float | None:
        self.asked += 1
        return self.opens if self.room else None

    def settle(self, ticket: int, settled: Settled, now: float) -> None:
        self.room += 1

    def shut_until(self, now: float) -> float:
        return self.opens

    snapshot = FreeLimiter.snapshot
    export = FreeLimiter.export


class AssignScene:
    """A model's instances, and what waits for them."""

    def __init__(self, groups: LimiterGroups | None = None, /, **limiters: Limiter) -> None:
        self.instance_states = {
            name: InstanceState(an_instance(name), ScriptedSender(), limiter) for name, limiter in limiters.items()
        }
        self.queue = WaitingQueue(self.instance_states, groups or LimiterGroups())
        self.names: dict[PermitRequest, str] = {}

    def wait(
        self, name: str, prefer: str = "a", *, avoid: str = "", sent: bool = False, yields: bool = False
    ) -> PermitRequest:
        request = PermitRequest(COST, prefer, frozenset(avoid), 1e9, was_sent=sent, yields=yields)
        self.names[request] = name
        self.queue.add(request)
        return request

    def ends(self, name: str, now: float = 0.0) -> None:
        limiter = self.instance_states[name].limiter
        limiter.settle(0, DONE, now)
        self.queue.settled(limiter)

    def fails(self, name: str, times: int = 5, now: float = 0.0, *, is_probe: bool = False) -> None:
        tracker = self.instance_states[name].health_tracker
        for _ in range(times):
            if tracker.failed(connection_lost(name), now, is_probe=is_probe):
                self.queue.health_changed(self.instance_states[name])
        self.queue.schedule_probe(self.instance_states[name])

    def answers(self, name: str) -> None:
        if self.instance_states[name].health_tracker.answered():
            self.queue.health_changed(self.instance_states[name])

    def goes(self, name: str) -> None:
        self.instance_states[name].health_tracker.give_up(revoked(name))
        self.queue.health_changed(self.instance_states[name])

    def runs_dry(self, name: str) -> None:
        self.instance_states[name].is_dry = True
        self.queue.health_changed(self.instance_states[name])

    def shown(self, assignments: Assignments) -> str:
        """The grants in order: request, instance, and ! for a probe."""
        return " ".join(
            f"{self.names.get(grant.request, '?')}{grant.instance_state.instance.name}{'!' * grant.is_probe}"
            for grant in assignments.granted
        )

    def assign(self, now: float = 0.0) -> str:
        return self.shown(assign(self.queue, now))


# ------------------------------------------------------------------ order
@dataclass(frozen=True)
class ServiceCase:
    """Who waits for instance a in the order of arrival (capitals were sent before, ? yields), and who is served first."""

    waiting: str
    served: str
    room: int = 100


ORDERS = [
    ServiceCase("123", "1a 2a 3a"),
    ServiceCase("123", "1a 2a", room=2),
    ServiceCase("12AB", "Aa Ba 1a 2a"),
    ServiceCase("1A2B", "Aa", room=1),
    ServiceCase("A?1B", "Ba Aa 1a"),
    ServiceCase("", ""),
]


@pytest.mark.parametrize("case", ORDERS, ids=lambda case: case.waiting or "nobody")
def test_first_come_first_served_and_samples_that_were_sent_go_ahead_unless_they_yield(case: ServiceCase) -> None:
    limiter = Room()
    scene = AssignScene(a=limiter)
    for name, mark in pairwise(f"{case.waiting} "):
        if name != "?":
            scene.wait(name, sent=name.isupper(), yields=mark == "?")
    scene.assign()
    limiter.room = case.room
    scene.queue.settled(limiter)
    assert scene.assign() == case.served


def test_a_request_that_left_is_not_served() -> None:
    scene = AssignScene(a=Room())
    first = scene.wait("1")
    scene.wait("2")
    scene.assign()
    scene.queue.withdraw(first)
    scene.ends("a")
    assert scene.assign() == "2a"
    assert scene.instance_states["a"].waiting == 0


def test_a_request_whose_caller_was_cancelled_in_the_same_instant_gets_no_ticket() -> None:
    limiter = Room(opens=1.0, room=1)
    scene = AssignScene(a=limiter)
    loop = asyncio.new_event_loop()
    cancelled = scene.wait("1")
    cancelled.granted = loop.create_future()
    scene.wait("2")
    scene.assign()
    cancelled.granted.cancel()
    assert scene.assign(1.0) == "2a"
    loop.close()


# ------------------------------------------------------------------ choice
CHOICES: list[tuple[str, Callable[[], AssignScene], Callable[[AssignScene], object], str]] = [
    ("its own instance", lambda: AssignScene(a=Room(1), b=Room(1)), lambda s: s.wait("1", "b"), "1b"),
    ("its own, though that is full", lambda: AssignScene(a=Room(0), b=Room(1)), lambda s: s.wait("1"), ""),
    ("its own, though that is shut", lambda: AssignScene(a=Room(1, opens=9), b=Room(1)), lambda s: s.wait("1"), ""),
    ("another if it avoids its own", lambda: AssignScene(a=Room(1), b=Room(1)), lambda s: s.wait("1", avoid="a"), "1b"),
    ("none if all others are full", lambda: AssignScene(a=Room(1), b=Room(0)), lambda s: s.wait("1", avoid="a"), ""),
    ("an avoided one if it is alone", lambda: AssignScene(a=Room(1)), lambda s: s.wait("1", avoid="a"), "1a"),
    ("any if its own is unknown", lambda: AssignScene(a=Room(0), b=Room(1)), lambda s: s.wait("1", "x"), "1b"),
    ("the open one", lambda: AssignScene(a=Room(0), b=Room(1, opens=9), c=Room(1)), lambda s: s.wait("1", "x"), "1c"),
]


@pytest.mark.parametrize(("where", "build", "arrive", "served"), CHOICES, ids=[case[0] for case in CHOICES])
def test_a_request_goes_to(
    where: str, build: Callable[[], AssignScene], arrive: Callable[[AssignScene], object], served: str
) -> None:
    scene = build()
    arrive(scene)
    assert scene.assign() == served, where


def test_an_avoided_instance_is_taken_once_the_others_are_gone() -> None:
    scene = AssignScene(a=Room(1), b=Room(0))
    scene.wait("1", avoid="a")
    assert scene.assign() == ""
    scene.goes("b")
    assert scene.assign() == "1a"


def test_who_waits_for_an_instance_that_goes_is_sent_elsewhere_in_the_order_of_arrival() -> None:
    scene = AssignScene(a=Room(0), b=Room(0))
    for name, prefer in (("1", "a"), ("2", "b"), ("3", "a")):
        scene.wait(name, prefer)
    assert scene.assign() == ""
    scene.goes("a")
    assert scene.assign() == ""
    served = []
    for _ in range(3):
        scene.ends("b")
        served.append(scene.assign())
    assert served == ["1b", "2b", "3b"]


def test_who_waits_for_a_limiter_that_another_absorbs_waits_for_that_one() -> None:
    lost, kept = Room(0), Room(0)
    scene = AssignScene(a=lost, b=kept)
    scene.wait("1", "a")
    scene.assign()
    scene.instance_states["a"].limiter = kept
    scene.queue.regroup()
    assert scene.assign() == ""
    assert not scene.queue.settled(lost), "it limits nobody any more"
    scene.ends("b")
    assert scene.assign() == "1a"


# ------------------------------------------------------------------ taking over
def test_a_dry_instance_takes_over_the_request_that_is_first_of_all() -> None:
    scene = AssignScene(a=Room(0), b=Room(0), c=Room(1))
    for name, prefer in (("1", "b"), ("2", "a"), ("3", "b")):
        scene.wait(name, prefer)
    assert scene.assign() == ""
    scene.runs_dry("c")
    assert scene.assign() == "1c"
    scene.ends("c")
    assert scene.assign() == "2c"


def test_a_dry_instance_serves_its_own_first() -> None:
    scene = AssignScene(a=Room(0), b=Room(0))
    scene.runs_dry("b")
    scene.wait("1", "a")
    scene.wait("2", "b")
    assert scene.assign() == ""
    scene.ends("b")
    assert scene.assign() == "2b"
    scene.ends("b")
    assert scene.assign() == "1b"


def test_a_dry_instance_takes_over_nobody_who_avoids_it_and_nobody_while_it_is_silent() -> None:
    scene = AssignScene(a=Room(0), b=Room(1))
    scene.runs_dry("b")
    scene.wait("1", "a", avoid="b")
    assert scene.assign() == ""
    scene.fails("b")
    scene.wait("2", "a")
    assert scene.assign() == ""
    scene.answers("b")
    assert scene.assign() == "2b"


def test_an_arrival_that_its_own_instance_cannot_send_is_taken_over_at_once() -> None:
    scene = AssignScene(a=Room(0), b=Room(1))
    scene.runs_dry("b")
    scene.wait("1")
    assert scene.assign() == "1b"


# ------------------------------------------------------------------ health
def test_a_silent_instance_gets_one_probe_when_it_is_due_and_no_second_before_that_ends() -> None:
    scene = AssignScene(a=Room(9))
    scene.fails("a")
    scene.wait("1")
    scene.wait("2")
    assignments = assign(scene.queue, 0.5)
    assert (scene.shown(assignments), assignments.wake_at) == ("", FIRST_PROBE_S)
    assert scene.assign(FIRST_PROBE_S) == "1a!"
    assert scene.assign(FIRST_PROBE_S + 10) == ""
    scene.fails("a", 1, FIRST_PROBE_S + 10, is_probe=True)
    assignments = assign(scene.queue, FIRST_PROBE_S + 10)
    assert (scene.shown(assignments), assignments.wake_at) == ("", FIRST_PROBE_S + 10 + 2 * FIRST_PROBE_S)


def test_when_a_probe_is_answered_those_who_wait_go() -> None:
    scene = AssignScene(a=Room(9))
    scene.fails("a")
    for name in "123":
        scene.wait(name)
    assert scene.assign(FIRST_PROBE_S) == "1a!"
    scene.answers("a")
    assert scene.assign(FIRST_PROBE_S) == "2a 3a"


def test_a_probe_is_a_request_of_its_own_instance_if_one_waits() -> None:
    scene = AssignScene(a=Room(0), b=Room(9))
    scene.wait("1", "x")
    scene.wait("2", "b")
    scene.fails("b")
    assert scene.assign(0.0) == ""
    assert scene.assign(FIRST_PROBE_S) == "2b!"


def test_a_probe_is_any_request_that_waits_for_no_healthy_instance_if_none_of_its_own_does() -> None:
    scene = AssignScene(a=Room(0), b=Room(9))
    scene.fails("b")
    scene.wait("1", "x")
    scene.wait("2", "a")
    assert scene.assign(0.0) == ""
    assert scene.assign(FIRST_PROBE_S) == "1b!"


def test_an_instance_that_refuses_gets_nothing_and_is_not_probed() -> None:
    scene = AssignScene(a=Room(9))
    state = scene.instance_states["a"]
    state.health_tracker.health = type(state.health)(Health.REFUSING)
    scene.queue.health_changed(state)
    scene.wait("1")
    assignments = assign(scene.queue, 1e4)
    assert (scene.shown(assignments), assignments.hopeless, assignments.wake_at) == ("", (), None)


@pytest.mark.parametrize(("has_answered", "patience_s"), [(False, NEVER_THERE_S), (True, OUTAGE_S)])
def test_those_who_wait_are_hopeless_once_all_instances_were_silent_for_too_long(
    *, has_answered: bool, patience_s: float
) -> None:
    scene = AssignScene(a=Room(0), b=Room(0))
    scene.instance_states["a"].health_tracker.has_answered = has_answered
    request = scene.wait("1")
    scene.goes("b")
    scene.fails("a")
    assert assign(scene.queue, patience_s - 0.1).hopeless == ()
    assert assign(scene.queue, patience_s).hopeless == (request,)
    assert not scene.queue.everyone


# ------------------------------------------------------------------ one limiter for several
def test_instances_of_one_limiter_are_served_in_the_order_of_arrival() -> None:
    shared = Room(0)
    scene = AssignScene(a=shared, b=shared)
    for name, prefer in (("1", "b"), ("2", "a"), ("3", "b")):
        scene.wait(name, prefer)
    scene.assign()
    shared.room = 2
    scene.ends("a")
    assert scene.assign() == "1b 2a 3b"


def test_models_that_share_a_limiter_are_served_in_the_order_of_arrival_whoever_is_asked() -> None:
    shared, groups = Room(0), LimiterGroups()
    scene, other = AssignScene(groups, a=shared), AssignScene(groups, b=shared)
    scene.wait("1", "a")
    other.wait("2", "b")
    scene.wait("3", "a")
    assert (scene.assign(2.0), other.assign(2.0)) == ("", "")
    served: list[str] = []
    for asked in (scene, scene, other):
        shared.room += 1
        asked.queue.settled(shared)
        served.extend(grant.request.prefer for grant in assign(asked.queue, 3.0).granted)
    assert served == ["a", "b", "a"]
    assert not scene.queue.everyone
    assert not other.queue.everyone


# ------------------------------------------------------------------ time
def test_says_when_time_alone_changes_the_answer() -> None:
    scene = AssignScene(a=Room(1, opens=7.0), b=Room(1, opens=5.0), c=Room(0))
    assert assign(scene.queue, 0.0).wake_at is None, "nobody waits"
    scene.wait("1", "c")
    assert assign(scene.queue, 0.0).wake_at is None, "only an event can open it"
    scene.wait("2", "a")
    assert assign(scene.queue, 0.0).wake_at == 7
    scene.wait("3", "b")
    assert assign(scene.queue, 0.0).wake_at == 5
    assert scene.assign(5.0) == "3b"
    assert assign(scene.queue, 5.0).wake_at == 7
    assert scene.assign(7.0) == "2a"


# ------------------------------------------------------------------ what an event costs
@dataclass
class WaitingCrowd:
    """Many instances, each with its limiter, and as many requests that wait for them."""

    size: int
    kind: str
    limiters: list[Room] = field(default_factory=list)
    scene: AssignScene = field(init=False)

    def __post_init__(self) -> None:
        self.limiters = [Room(0) for _ in range(self.size)]
        self.scene = AssignScene(**{f"i{number}": limiter for number, limiter in enumerate(self.limiters)})
        for number in range(self.size):
            if self.kind == "dry":
                self.scene.runs_dry(f"i{number}")
            if self.kind == "silent" and number:
                self.scene.fails(f"i{number}", now=-1e3)
            self.scene.wait(str(number), f"i{number // 2}")
        self.scene.assign(0.0)

    @property
    def asked(self) -> int:
        return sum(limiter.asked for limiter in self.limiters)


def calls_of(action: Callable[[], object]) -> int:
    """Count the Python and C functions that are called."""
    calls = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


EVENTS: dict[str, Callable[[WaitingCrowd, int], object]] = {
    "an end": lambda crowd, number: crowd.scene.ends(f"i{number}"),
    "an arrival": lambda crowd, number: crowd.scene.wait("new", f"i{number}"),
    "a withdrawal": lambda crowd, number: crowd.scene.queue.withdraw(next(iter(crowd.scene.queue.everyone))),
}


@pytest.mark.parametrize(("kind", "event"), list(product(["busy", "dry", "silent"], EVENTS)))
def test_an_event_costs_no_more_with_a_thousand_instances_and_a_thousand_that_wait(kind: str, event: str) -> None:
    few, many = WaitingCrowd(10, kind), WaitingCrowd(1_000, kind)

    def cost(crowd: WaitingCrowd) -> tuple[float, float]:
        events = min(5, crowd.size // 2)
        before = crowd.asked

        def happen() -> None:
            for number in range(events):
                EVENTS[event](crowd, number)
                crowd.scene.assign(1.0)

        calls = calls_of(happen)
        return calls / events, (crowd.asked - before) / events

    (calls_few, _), (calls_many, asked_many) = cost(few), cost(many)
    assert asked_many <= 4
    assert calls_many <= 2.5 * calls_few + 20, f"{calls_few} calls with ten, {calls_many} with a thousand"
