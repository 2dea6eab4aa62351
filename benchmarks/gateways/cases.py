"""The cases, and the limit and window that a seed draws for each."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .upstream import MEAN_LATENCY_S, REQUEST_TOKENS, Refusals

Kind = Literal["max_parallel", "rpm", "tpm", "team_rpm", "upstream", "random"]
WINDOWS_S = (3, 90)
TRIAL_WINDOWS = 12
"""A trial ends after as many windows, or with the last answer."""
ANSWERS = 600
KEY = "sk-gateways"


@dataclass(frozen=True, slots=True)
class Case:
    """A server with one kind of limit."""

    name: str
    kind: Kind
    rate: float
    """Requests in flight, or requests or tokens per minute before the draw; for `random` the share that is refused."""
    keys: int = 1

    @property
    def is_litellm(self) -> bool:
        """Whether the server is a LiteLLM proxy; else the upstream is asked directly."""
        return self.kind != "random"


CASES = {
    case.name: case
    for case in (
        *(Case(f"max_parallel_{limit}", "max_parallel", limit) for limit in (1, 2, 5)),
        *(Case(f"rpm_{rate}", "rpm", rate) for rate in (6, 60, 600)),
        *(Case(f"tpm_{rate}", "tpm", rate) for rate in (300, 6_000, 60_000)),
        Case("relayed_30_per_10s", "upstream", 180, keys=2),
        Case("team_of_two_keys", "team_rpm", 120, keys=2),
        *(Case(f"random_{percent}", "random", percent / 100, keys=2) for percent in (1, 8, 20)),
    )
}


@dataclass(frozen=True, slots=True)
class Draw:
    """The limit of one trial. Every client of a trial has keys, and a team, of its own."""

    case: Case
    seed: int
    limit: float
    """Requests in flight, or requests or tokens per window, or the share that is refused."""
    window_s: int
    """The proxy says it as Retry-After, whatever is limited."""
    truth_per_min: float | None
    """Answers per minute that the limit allows; for a limit on requests in flight without the time that the proxy takes."""
    seconds: float
    """Longest time of one client."""

    @property
    def refusals(self) -> Refusals:
        """What the upstream refuses."""
        if self.case.kind == "random":
            return Refusals(share=self.limit, retry_after_s=1, seed=self.seed)
        return (
            Refusals(requests=int(self.limit), window_s=self.window_s) if self.case.kind == "upstream" else Refusals()
        )

    @property
    def pause_s(self) -> float:
        """Time after which a server has forgotten the client before."""
        return 0.0 if self.case.kind in {"max_parallel", "random"} else self.window_s

    def keys(self, client: str) -> list[str]:
        """Return the keys of a client."""
        return [f"{KEY}-{client}-{number}" for number in range(self.case.keys)]

    def key_limits(self, client: str) -> Mapping[str, object]:
        """Return the fields that LiteLLM's authentication returns for a client's keys."""
        limit = int(self.limit)
        fields: dict[Kind, Mapping[str, object]] = {
            "max_parallel": {"max_parallel_requests": limit},
            "rpm": {"rpm_limit": limit},
            "tpm": {"tpm_limit": limit},
            "team_rpm": {"team_id": f"team-{client}", "team_rpm_limit": limit},
        }
        return fields.get(self.case.kind, {})


def draw(case: Case, seed: int, seconds: float) -> Draw:
    """Draw the window and the limit of a trial so that twelve windows take no longer than `seconds`, where the window matters."""
    rng = random.Random(f"{seed} {case.name}")
    if case.kind == "random":
        return Draw(case, seed, case.rate, 0, None, seconds)
    if case.kind == "max_parallel":
        window_s = _draw_window(rng, WINDOWS_S[1])
        truth = 60 * case.rate / MEAN_LATENCY_S
        return Draw(case, seed, case.rate, window_s, truth, min(seconds, TRIAL_WINDOWS * window_s))
    window_s = _draw_window(rng, seconds / TRIAL_WINDOWS)
    per_window = case.rate * window_s / 60 * rng.uniform(0.75, 1.25)
    tokens = REQUEST_TOKENS if case.kind == "tpm" else 1
    limit = max(round(per_window), round(1.25 * tokens))
    return Draw(case, seed, limit, window_s, limit // tokens * 60 / window_s, min(seconds, TRIAL_WINDOWS * window_s))


def _draw_window(rng: random.Random, longest_s: float) -> int:
    """Draw whole seconds, short windows as often as long ones relative to their length."""
    low, high = WINDOWS_S[0], max(WINDOWS_S[0], min(WINDOWS_S[1], math.floor(longest_s)))
    return math.floor(math.exp(rng.uniform(math.log(low), math.log(high + 1))))
