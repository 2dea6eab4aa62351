"""Several instances of unequal quota behind one queue; one of them may fail midway."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from providers.simulator.limits.quota import SlidingWindow, TokenBucket

from .admission import Metered
from .requests import Request
from .scenario import LATENCY, Scenario
from .scenarios import AZURE
from .servers import Server, SharedServer, Traits
from .timeline import Timeline

Kind = Literal["S2r", "S1", "S3"]
MINUTE = 60
"""Requests per minute and unit of weight."""
KNEE = 8
DIES_AT_S = 300.0
TAIL_S = 5.0
"""Time of the last answers after the last admission."""


@dataclass(frozen=True, slots=True)
class Team:
    """A group of instances with weights."""

    name: str
    kind: Kind
    weights: tuple[int, ...]
    dying: int | None = None
    """Index of the instance that fails at DIES_AT_S."""

    def flow(self, alive: bool) -> float:
        """Sum the requests per second (seconds of work per second for S3) of all instances, or of those that stay alive."""
        weight = sum(w for i, w in enumerate(self.weights) if not alive or i != self.dying)
        return weight * (KNEE if self.kind == "S3" else MINUTE / 60)


def _server(team: Team, index: int, timeline: Timeline, draw: random.Random) -> Server:
    weight = team.weights[index]
    traits = replace(Traits(), dies_at=DIES_AT_S) if index == team.dying else Traits()
    if team.kind == "S3":
        return SharedServer(timeline, draw, traits, KNEE * weight, 2 * KNEE * weight)
    if team.kind == "S2r":
        return Server(timeline, draw, Metered(SlidingWindow(MINUTE * weight, 60)), traits)
    flow = 762 * MINUTE * weight / 60
    return Server(timeline, draw, Metered(TokenBucket(24, 240), TokenBucket(flow, 60 * flow), tells=AZURE), traits)


def _ideal(team: Team) -> Callable[[Sequence[Request]], float]:
    def ideal_s(requests: Sequence[Request]) -> float:
        work = {
            "S2r": float(len(requests)),
            "S1": sum(r.ceiling for r in requests) / 762,
            "S3": sum(map(LATENCY, requests)),
        }[team.kind]
        all_s = work / team.flow(False)
        if team.dying is None or all_s <= DIES_AT_S:
            return all_s + TAIL_S
        return DIES_AT_S + (work - DIES_AT_S * team.flow(False)) / team.flow(True) + TAIL_S

    return ideal_s


def team_scenario(team: Team) -> Scenario:
    """Build the scenario of a team."""

    def build(timeline: Timeline, draw: random.Random) -> Sequence[Server]:
        return [_server(team, index, timeline, draw) for index in range(len(team.weights))]

    n = (2600 if team.kind == "S3" else 1000) * sum(team.weights)
    return Scenario(build, _ideal(team), team.flow(False), n=n)


KINDS: tuple[Kind, ...] = ("S2r", "S1", "S3")
TEAMS = [
    Team(f"{label} {kind}", kind, weights, dying)
    for label, weights, dying in (
        ("1:1:3", (1, 1, 3), None),
        ("1:1:1:3:3:9", (1, 1, 1, 3, 3, 9), None),
        ("1:1:3 big dies", (1, 1, 3), 2),
        ("1:1:1 one dies", (1, 1, 1), 0),
    )
    for kind in KINDS
]
