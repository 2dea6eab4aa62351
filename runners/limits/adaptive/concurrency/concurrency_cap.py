"""How many may be in flight: slow start, until throughput no longer rises (the knee) or until more are refused (a hard cap).

The elasticity of throughput is 1 on an idle server and 0 beyond the knee; a server that slows down by itself leaves it alone, for
only a change of the cap is ever judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from providers.messages import JSON

from .rounds import Round, RoundMeasurement
from .slot_probe import AlikeRefusals, SlotProbe

Mode = Literal["start", "knee", "conc", "rate"]
Decide = Callable[[str, Mapping[str, JSON]], None]

FIRST_CAP = 8.0
START_ROUND, START_SHARE = 8, 0.6
STEADY_ROUND, STEADY_SHARE = 32, 1.5
"""Answers in a round: so many, and so many times the cap."""
START_PACE = 2.0
KNEE_ELASTICITY = 0.5
KNEE_MARGIN = 1.15
"""Above the knee by Little's law, so that variation does not starve the server."""
SMALLEST_KNEE = 3.0
CAP_BOUND = 0.3
"""Times held up by the cap per send, above which a round tells about the cap."""
KNEE_ROUNDS, RISING_ROUNDS, MOST_KNEE_ROUNDS = 8, 2, 64
"""Rounds between two trials of a higher cap: at first, while they succeed, at most."""
UP, DOWN, MOST_DOWN = 1.25, 0.7, 0.5
FEWEST_BESIDE = 4
"""A refusal beside fewer says little: a bucket that holds one or two requests refuses just so."""
RATE_MARGIN, RATE_FLOOR = 4.0, 16.0
"""Under a flow: times what the rate keeps in flight, and at least so many."""
WINDOW_MARGIN, WINDOW_FLOOR = 2.0, 4.0
"""The same under a window, whose lost moments are caught up with; more, up to the room under a flow, where they do not suffice."""
SAME_CAP = 0.2
"""A cap that would move by a smaller share stays."""


class ConcurrencyCap:
    """`most` bounds it from above; it is never below one."""

    def __init__(self, most: float, decide: Decide) -> None:
        self.size = min(FIRST_CAP, most)
        self.mode: Mode = "start"
        self.best_rho = math.inf
        self.pace: float | None = None
        """Sends per second while starting or just cut; None where only the rate model paces."""
        self.cut_at = -math.inf
        """Refusals of what was sent before belong to the cut already made."""
        self.probe = SlotProbe()
        self._most = most
        self._round = Round()
        self._before: RoundMeasurement | None = None
        self._knee_rounds = self._rounds_left = KNEE_ROUNDS
        self._alike = AlikeRefusals()
        self._is_window = False
        self._decide = decide

    def restore(self, mode: Literal["knee", "conc"], size: float, best_rho: float | None) -> None:
        self.mode, self.size = mode, min(self._most, max(1.0, size))
        self.best_rho = best_rho or math.inf
        if mode == "conc":
            self.probe.start_now()

    def absorb(self, other: ConcurrencyCap) -> None:
        """Room for what both let through."""
        self._most += other._most
        self.size = min(self._most, self.size + other.size)

    # ------------------------------------------------------------------ rounds
    def held_up(self) -> None:
        self._round.held_up += 1

    def sent(self) -> None:
        self._round.sent += 1

    def answered(self, number: int, latency_s: float, output_tokens: int) -> None:
        if number >= self._round.first:
            self._round.add(latency_s, output_tokens)

    def round_is_over(self) -> bool:
        if self.mode == "start":
            return self._round.answers >= max(START_ROUND, START_SHARE * self.size)
        return self._round.answers >= max(STEADY_ROUND, STEADY_SHARE * self.size)

    def begin_round(self, first: int, now: float) -> None:
        self._round = Round(first, now)

    def judge_round(self, latency_s: float, now: float, rate: float) -> None:
        """Only once `round_is_over`. `rate` is what is asked for now, in requests per second; infinite where no limit was met."""
        held_up = self._round.held_up
        bound = (held_up > 0 and math.isinf(rate)) or held_up >= CAP_BOUND * self._round.sent
        if self.mode == "start":
            self.pace = START_PACE * max(self._round.goodput(now), self.size / latency_s)
            if bound:
                self._start()
        elif self.mode == "knee":
            self._keep_knee(bound=bound)
        elif self.mode == "rate" and bound:
            self._move_to(max(self.size, min(2 * self.size, _generous_cap(rate, latency_s))))
        elif self.mode == "rate" and self._is_window:
            self._move_to(_sufficient_cap(rate, latency_s))

    def _start(self) -> None:
        rho, before = self._round.rho, self._before
        if before and before.cap < self.size and before.elasticity(self.size, rho) < KNEE_ELASTICITY:
            self._found_knee(rho)
            return
        self.best_rho = min(self.best_rho, rho)
        self._before = RoundMeasurement(self.size, rho)
        self._resize(2 * self.size, rho)

    # ------------------------------------------------------------------ at the knee
    def _found_knee(self, rho: float) -> None:
        old = self.size
        self.mode, self.pace, self._before = "knee", None, None
        self.size = min(old, max(SMALLEST_KNEE, self._by_littles_law(rho)))
        self._knee_rounds = self._rounds_left = KNEE_ROUNDS
        self._decide("knee", {"old": round(old, 1), "new": round(self.size, 1), "rho": rho, "best_rho": self.best_rho})

    def _by_littles_law(self, rho: float) -> float:
        """In request at the knee: throughput now times latency per token when idle."""
        return KNEE_MARGIN * self.size * self.best_rho / rho

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
            self._try(max(SMALLEST_KNEE, MOST_DOWN * self.size, lower), rho)
        elif self._rounds_left <= 0 and self.size < self._most:
            self._try(max(self.size + 1, UP * self.size), rho)

    def _try(self, size: float, rho: float) -> None:
        self._before = RoundMeasurement(self.size, rho)
        self._resize(size, rho)

    def _judge_trial(self, before: RoundMeasurement, rho: float) -> None:
        mattered = before.elasticity(self.size, rho) >= KNEE_ELASTICITY
        if self.size < before.cap and mattered:  # throughput did depend on it: the baseline has moved
            self.best_rho = max(self.best_rho, rho)
            self._resize(before.cap, rho)
        elif self.size > before.cap and not mattered:
            self._knee_rounds = min(MOST_KNEE_ROUNDS, 2 * self._knee_rounds)
            self._resize(before.cap, rho)
        elif self.size > before.cap:
            self._knee_rounds = RISING_ROUNDS
        self._rounds_left = self._knee_rounds
        self._before = None

    # ------------------------------------------------------------------ a hard cap
    def looks_like_concurrency(self, beside: int, accepted_beside: int) -> bool:
        """Refused beside more than were ever accepted of late, or beside what is just being tried."""
        if self.mode == "rate":
            return False
        return (beside > accepted_beside and beside >= FEWEST_BESIDE) or (
            self.mode == "conc" and self.probe.met(beside)
        )

    def refused_alike(self, beside: int, accepted_beside: int) -> bool:
        """The last few refusals were all beside equally many, whatever the mode."""
        return self._alike.add(beside, accepted_beside)

    def cut(self, beside: int, latency_s: float, goodput: float, now: float) -> None:
        """No more than were in flight when one more was refused."""
        size = float(max(1, beside))
        if self.mode == "conc" and self.probe.met(beside):
            self.probe.refused(goodput)
        self._decide("conc", {"old": round(self.size, 1), "new": size, "probe_every_s": round(self.probe.every_s, 1)})
        # The places that fell free meanwhile are not filled at once: it may yet have been a rate.
        self.pace = size / latency_s if self.mode != "conc" else None
        self.mode, self.size, self.cut_at, self._before = "conc", min(self._most, size), now, None
        self._alike.clear()
        self.probe.wait(latency_s, now)

    def lower(self, beside: int) -> None:
        """Another refusal of the burst that led to the cut: of something sent earlier, beside fewer."""
        if self.mode == "conc" and 1 <= beside < self.size:
            self.size = float(beside)

    def probe_slots(self, in_flight: int, latency_s: float, now: float) -> None:
        """Under a hard cap: try more, when all are used and it is time."""
        if self.mode != "conc":
            return
        if now > self.cut_at + latency_s:
            self.pace = None
        slots = int(self.size)
        if self.probe.is_due(now) and in_flight + 1 >= slots and slots < self._most:
            self._resize(float(slots + self.probe.ask(slots, latency_s, now)), None)

    # ------------------------------------------------------------------ under a rate
    def follow_rate(self, rate: float, latency_s: float, *, is_window: bool) -> None:
        """A rate is the brake: the cap keeps out of its way, but under a window no farther than it has to."""
        self.mode, self.pace, self._before = "rate", None, None
        self._is_window = is_window
        self.probe.stop()
        self._move_to(_sufficient_cap(rate, latency_s) if is_window else max(self.size, _generous_cap(rate, latency_s)))

    def _move_to(self, size: float) -> None:
        if math.isfinite(size) and abs(size - self.size) > SAME_CAP * self.size:
            self._resize(float(math.ceil(size)), None)

    def _resize(self, size: float, rho: float | None) -> None:
        size = min(self._most, size)
        if size != self.size:
            self._decide("cap", {"old": round(self.size, 1), "new": round(size, 1), "mode": self.mode, "rho": rho})
        self.size = size


def _generous_cap(rate: float, latency_s: float) -> float:
    return max(RATE_FLOOR, RATE_MARGIN * rate * latency_s)


def _sufficient_cap(rate: float, latency_s: float) -> float:
    return max(WINDOW_FLOOR, WINDOW_MARGIN * rate * latency_s)
