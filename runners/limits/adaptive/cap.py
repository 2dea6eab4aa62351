"""How many may be in flight: slow start, until throughput no longer rises (the knee) or until more are refused (a hard cap).

A round is a number of answers to requests that were all sent under one cap. Latency per token, rho, takes the length of answers out of
the signal. The elasticity of throughput, 1 - d ln(rho) / d ln(cap), is the share of a rise in concurrency that became
throughput: 1 on an idle server, 0 beyond the knee; a server that slows down by itself leaves it alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from providers.messages import JSON

Mode = Literal["start", "knee", "conc", "rate"]
Decide = Callable[[str, Mapping[str, JSON]], None]

FIRST_CAP = 8.0
KNEE_ELASTICITY = 0.5
KNEE_MARGIN = 1.15
"""Above the knee by Little's law, so that variation does not starve the server."""
SMALLEST_KNEE = 3.0
OVERHEAD_TOKENS = 20
"""What a request costs beside its tokens, in tokens: prefill and the way there."""
CAP_BOUND = 0.3
"""Share of sends that were held up by the cap, above which a round tells about the cap."""
KNEE_ROUNDS, MOST_KNEE_ROUNDS = 8, 64
UP = 1.25
DOWN = 0.7
FIRST_PROBE_S = 3.0
LONGEST_PROBE_S = 600.0
REFUSED_BUDGET = 0.004
FEWEST_BESIDE = 4
"""A refusal beside fewer says little: a bucket that holds one or two requests refuses just so."""
ALIKE = 3
"""Refusals in a row, each beside more than were ever accepted and all beside equally many, that make a concurrency limit of any size."""
SAME = 0.03
QUIET = 0.5
"""A probe goes out no sooner than this share of the mean distance of two sends after the last one: a bucket of one would refuse it."""
RATE_ROOM = 4.0
RATE_FLOOR = 16.0


@dataclass(slots=True)
class Round:
    """Since `first` was sent."""

    first: int = 0
    began_at: float = 0.0
    answers: int = 0
    latency_s: float = 0.0
    tokens: float = 0.0
    held_up: int = 0
    """Times that the cap said wait."""
    sent: int = 0

    @property
    def rho(self) -> float:
        """Seconds per token."""
        return self.latency_s / self.tokens

    def add(self, latency_s: float, output_tokens: int) -> None:
        self.answers += 1
        self.latency_s += latency_s
        self.tokens += max(1, output_tokens) + OVERHEAD_TOKENS

    def goodput(self, now: float) -> float:
        return self.answers / (now - self.began_at) if now > self.began_at else math.inf


@dataclass(slots=True)
class Trial:
    """A cap that is being tried, beside the one that it would replace."""

    cap: float
    rho: float


class Cap:
    def __init__(self, decide: Decide) -> None:
        self.size = FIRST_CAP
        self.mode: Mode = "start"
        self.best_rho = math.inf
        self.pace: float | None = None
        """Sends per second while starting; None where only the rate model paces."""
        self.cut_at = -math.inf
        """Refusals of what was sent before belong to the cut already made."""
        self._round = Round()
        self._before: Trial | None = None
        self._knee_rounds, self._rounds_left = KNEE_ROUNDS, KNEE_ROUNDS
        self._refused_beside: deque[int] = deque(maxlen=ALIKE)
        self._probe_base: int | None = None
        self._probe_at = math.inf
        self._probe_every_s = 0.0
        self._probe_step = 1
        self._decide = decide

    def restore(self, mode: Literal["knee", "conc"], size: float, best_rho: float | None) -> None:
        self.mode, self.size = mode, max(1.0, size)
        self.best_rho = best_rho or math.inf
        if mode == "conc":
            self._probe_every_s, self._probe_at = FIRST_PROBE_S, 0.0

    # ------------------------------------------------------------------ rounds
    def held_up(self) -> None:
        self._round.held_up += 1

    def sent(self) -> None:
        self._round.sent += 1

    def answered(self, number: int, latency_s: float, output_tokens: int) -> None:
        if number >= self._round.first:
            self._round.add(latency_s, output_tokens)

    def round_is_over(self) -> bool:
        return self._round.answers >= (max(8, 0.6 * self.size) if self.mode == "start" else max(32, 1.5 * self.size))

    def begin_round(self, first: int, now: float) -> None:
        self._round = Round(first, now)

    def judge_round(self, latency_s: float, rate_known: bool, now: float) -> None:
        """Only once `round_is_over`."""
        held_up = self._round.held_up
        bound = (held_up > 0 and not rate_known) or held_up >= CAP_BOUND * self._round.sent
        if self.mode == "start":
            self.pace = 2 * max(self._round.goodput(now), self.size / latency_s)
            if bound:
                self._start()
        elif self.mode == "knee":
            self._keep_knee(bound=bound)

    def _start(self) -> None:
        rho, before = self._round.rho, self._before
        if before is not None and before.cap < self.size and _elasticity(before, self.size, rho) < KNEE_ELASTICITY:
            self._found_knee(rho)
            return
        self.best_rho = min(self.best_rho, rho)
        self._before = Trial(self.size, rho)
        self._resize(2 * self.size, rho)

    def _found_knee(self, rho: float) -> None:
        old = self.size
        self.mode, self.pace, self._before = "knee", None, None
        self.size = max(SMALLEST_KNEE, min(old, self._by_littles_law(rho)))
        self._knee_rounds = self._rounds_left = KNEE_ROUNDS
        self._decide("knee", {"old": round(old, 1), "new": round(self.size, 1), "rho": rho, "best_rho": self.best_rho})

    def _by_littles_law(self, rho: float) -> float:
        """In flight at the knee: throughput now times latency per token when idle."""
        return KNEE_MARGIN * self.size * self.best_rho / rho

    # ------------------------------------------------------------------ at the knee
    def _keep_knee(self, *, bound: bool) -> None:
        rho = self._round.rho
        if self._before is not None:
            self._judge_trial(self._before, rho)
            return
        self._rounds_left -= 1
        if not bound:
            return
        lower = self._by_littles_law(rho)
        if lower < DOWN * self.size and self.size > SMALLEST_KNEE:
            self._try(max(SMALLEST_KNEE, 0.5 * self.size, lower), rho)
        elif self._rounds_left <= 0:
            self._try(max(self.size + 1, UP * self.size), rho)

    def _try(self, size: float, rho: float) -> None:
        self._before = Trial(self.size, rho)
        self._resize(size, rho)

    def _judge_trial(self, before: Trial, rho: float) -> None:
        elasticity = _elasticity(before, self.size, rho)
        mattered = elasticity >= KNEE_ELASTICITY
        if self.size < before.cap and mattered:  # throughput did depend on it: the baseline has moved
            self.best_rho = max(self.best_rho, rho)
            self._resize(before.cap, rho)
        elif self.size > before.cap and not mattered:
            self._knee_rounds = min(MOST_KNEE_ROUNDS, 2 * self._knee_rounds)
            self._resize(before.cap, rho)
        elif self.size > before.cap:
            self._knee_rounds = 2
        self._rounds_left = self._knee_rounds
        self._before = None

    # ------------------------------------------------------------------ a hard cap
    def looks_like_concurrency(self, beside: int, accepted_beside: int) -> bool:
        """Refused beside more than were ever accepted of late, or beside what is just being tried."""
        if self.mode == "rate":
            return False
        trying = self.mode == "conc" and self._probe_base is not None and beside >= self._probe_base
        return (beside > accepted_beside and beside >= FEWEST_BESIDE) or trying

    def refused_alike(self, beside: int, accepted_beside: int) -> bool:
        """A rate refuses beside now more, now fewer; a concurrency limit always beside as many."""
        if beside <= accepted_beside or beside < 1:
            self._refused_beside.clear()
            return False
        self._refused_beside.append(beside)
        least, most = min(self._refused_beside), max(self._refused_beside)
        return len(self._refused_beside) == ALIKE and most - least <= SAME * most

    def quiet_until(self, in_flight: int, last_sent_at: float, latency_s: float) -> float:
        """Before this time the send that would probe the cap has to wait; other sends need not."""
        if self._probe_base is None or in_flight < self._probe_base:
            return 0.0
        return last_sent_at + QUIET * latency_s / self._probe_base

    def cut(self, beside: int, latency_s: float, goodput: float, now: float) -> None:
        """No more than were in flight when one more was refused."""
        size = max(1, beside)
        if self.mode == "conc" and self._probe_base is not None and size >= self._probe_base:
            self._probe_every_s = _rarer_s(self._probe_every_s, goodput)
        self._decide("conc", {"old": round(self.size, 1), "new": size, "probe_every_s": round(self._probe_every_s, 1)})
        # The places that fell free meanwhile are not filled at once: it may yet have been a rate.
        self.pace = size / latency_s if self.mode != "conc" else None
        self.mode, self.size, self.cut_at = "conc", float(size), now
        self._before, self._probe_base, self._probe_step = None, None, 1
        self._refused_beside.clear()
        self._probe_every_s = max(FIRST_PROBE_S, self._probe_every_s)
        self._probe_at = now + max(self._probe_every_s, 2 * latency_s)

    def lower(self, beside: int) -> None:
        """Another refusal of the burst that led to the cut: of something sent earlier, beside fewer."""
        if self.mode == "conc" and 1 <= beside < self.size:
            self.size = float(beside)

    def probe(self, in_flight: int, latency_s: float, now: float) -> None:
        """One more, when the cap is used; accepted, then two, then four."""
        size = int(self.size)
        if self.mode == "conc" and now > self.cut_at + latency_s:
            self.pace = None
        if self.mode != "conc" or now < self._probe_at or in_flight + 1 < size:
            return
        if self._probe_base is not None:
            self._probe_step, self._probe_every_s = min(2 * self._probe_step, size), 0.0
        self._probe_base = size
        self._resize(float(size + self._probe_step), None)
        self._probe_at = now + max(self._probe_every_s, 1.5 * latency_s)

    # ------------------------------------------------------------------ under a rate
    def follow_rate(self, rate: float, latency_s: float) -> None:
        """A rate is the brake: the cap only keeps out of its way."""
        self.mode, self.pace, self._before, self._probe_base = "rate", None, None, None
        size = max(self.size, RATE_FLOOR, RATE_ROOM * rate * latency_s)
        if math.isfinite(size) and size > 1.2 * self.size:
            self._resize(size, None)

    def _resize(self, size: float, rho: float | None) -> None:
        self._decide("cap", {"old": round(self.size, 1), "new": round(size, 1), "mode": self.mode, "rho": rho})
        self.size = size


def _elasticity(before: Trial, size: float, rho: float) -> float:
    return 1 - math.log(rho / before.rho) / math.log(size / before.cap)


def _rarer_s(every_s: float, goodput: float) -> float:
    """Three times rarer, and rare enough to stay within the budget of refusals."""
    rarer_s = max(3 * every_s, 0.1 / (REFUSED_BUDGET * max(0.1, goodput)))
    if rarer_s > 30:
        rarer_s = max(rarer_s, 1 / (REFUSED_BUDGET * max(0.1, goodput)))
    return min(LONGEST_PROBE_S, rarer_s)
