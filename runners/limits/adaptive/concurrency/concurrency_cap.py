"""The concurrency cap: slow start until throughput no longer rises (the knee) or until the server refuses more (a hard cap).

The elasticity of throughput is 1 on an idle server and 0 beyond the knee. It is measured only when the cap changes, so a server that slows
down for other reasons has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from providers.messages import JSON

from .rounds import Round, RoundMeasurement
from .slot_probe import FIRST_PROBE_S, AlikeRefusals, SlotProbe

Mode = Literal["start", "knee", "conc", "rate"]
Reason = Literal["start", "probe", "try_more", "try_fewer", "fewer_cost_answers", "more_brought_none", "rate"]
"""Why the cap changes."""
Decide = Callable[[str, Mapping[str, JSON]], None]

FIRST_CAP = 8.0
START_ROUND, START_SHARE = 8, 0.6
STEADY_ROUND, STEADY_SHARE = 32, 1.5
"""Answers in a round: at least this number, and at least this multiple of the cap."""
START_PACE = 2.0
KNEE_ELASTICITY = 0.5
KNEE_MARGIN = 1.15
"""Margin above the knee of Little's law, so that variation does not leave the server idle."""
SMALLEST_KNEE = 3.0
CAP_BOUND = 0.3
"""Waits for the cap per send above which a round measures the cap."""
KNEE_ROUNDS, RISING_ROUNDS, MOST_KNEE_ROUNDS = 8, 2, 64
"""Rounds between two trials of a higher cap: initially, while trials succeed, at most."""
UP, DOWN, MOST_DOWN = 1.25, 0.7, 0.5
FEWEST_BESIDE = 4
"""Fewest other requests in flight at a refusal that indicate a concurrency limit: a bucket of one or two requests refuses at fewer."""
RATE_MARGIN, RATE_FLOOR = 4.0, 16.0
"""Cap under a flow: this multiple of rate × latency, and at least this number."""
WINDOW_MARGIN, WINDOW_FLOOR = 2.0, 4.0
"""The same under a window, where a delay can be made up for; if the cap then binds, it grows up to the cap under a flow."""
SAME_CAP = 0.2
"""Smallest relative change of the cap that is carried out."""


class ConcurrencyCap:
    """The highest number of requests in flight: between one and `most`."""

    def __init__(self, most: float, decide: Decide) -> None:
        self.size = min(FIRST_CAP, most)
        self.mode: Mode = "start"
        self.best_rho = math.inf
        self.pace: float | None = None
        """Sends per second during the start and after a cut; None where only the rate model sets the pace."""
        self.cut_at = -math.inf
        """Time of the last cut. Refusals of requests that were sent before it belong to that cut."""
        self.probe = SlotProbe()
        self._most = most
        self._round = Round()
        self._before: RoundMeasurement | None = None
        self._knee_rounds = self._rounds_left = KNEE_ROUNDS
        self._alike = AlikeRefusals()
        self._is_window = False
        self._decide = decide

    def restore(self, mode: Literal["start", "conc"], size: float, best_rho: float | None) -> None:
        """Restore what an earlier run learned: a hard cap is probed at once, and from any other the start goes on."""
        self.mode, self.size = mode, min(self._most, max(FIRST_CAP if mode == "start" else 1.0, size))
        self.best_rho = best_rho or math.inf
        if mode == "conc":
            self.probe.start_now()

    def restart(self) -> None:
        """Forget the limit: the refusals came by chance."""
        self.mode, self._before, self.pace = "start", None, None
        self.probe.stop()

    def absorb(self, other: ConcurrencyCap) -> None:
        """Add the cap of `other`: this one now limits the requests of both."""
        self._most += other._most
        self.size = min(self._most, self.size + other.size)

    # ------------------------------------------------------------------ rounds
    def held_up(self) -> None:
        """Count a request that had to wait for the cap."""
        self._round.held_up += 1

    def sent(self) -> None:
        """Count a request that was sent."""
        self._round.sent += 1

    def answered(self, number: int, latency_s: float, output_tokens: int) -> None:
        """Add an answer to the round if its request was sent in it."""
        if number >= self._round.first:
            self._round.add(latency_s, output_tokens)

    def round_is_over(self) -> bool:
        """Return whether the round has enough answers to be judged."""
        if self.mode == "start":
            return self._round.answers >= max(START_ROUND, START_SHARE * self.size)
        return self._round.answers >= max(STEADY_ROUND, STEADY_SHARE * self.size)

    def begin_round(self, first: int, now: float) -> None:
        """Begin a round with request number `first`."""
        self._round = Round(first, now)

    def judge_round(self, latency_s: float, now: float, rate: float) -> None:
        """Adjust the cap after a round that is over. `rate` is the current rate in requests per second; infinite if no limit is known."""
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
        self._resize(2 * self.size, "start", rho)

    # ------------------------------------------------------------------ at the knee
    def _found_knee(self, rho: float) -> None:
        old = self.size
        self.mode, self.pace, self._before = "knee", None, None
        self.size = min(old, max(SMALLEST_KNEE, self._by_littles_law(rho)))
        self._knee_rounds = self._rounds_left = KNEE_ROUNDS
        self._decide("knee", {"old": round(old, 1), "new": round(self.size, 1), "rho": rho, "best_rho": self.best_rho})

    def _by_littles_law(self, rho: float) -> float:
        """Return the requests in flight at the knee: current throughput times the latency of an idle server."""
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
            self._try(max(SMALLEST_KNEE, MOST_DOWN * self.size, lower), "try_fewer", rho)
        elif self._rounds_left <= 0 and self.size < self._most:
            self._try(max(self.size + 1, UP * self.size), "try_more", rho)

    def _try(self, size: float, reason: Reason, rho: float) -> None:
        self._before = RoundMeasurement(self.size, rho)
        self._resize(size, reason, rho)

    def _judge_trial(self, before: RoundMeasurement, rho: float) -> None:
        mattered = before.elasticity(self.size, rho) >= KNEE_ELASTICITY
        if self.size < before.cap and mattered:  # throughput depends on the cap: the baseline has changed
            self.best_rho = max(self.best_rho, rho)
            self._resize(before.cap, "fewer_cost_answers", rho)
        elif self.size > before.cap and not mattered:
            self._knee_rounds = min(MOST_KNEE_ROUNDS, 2 * self._knee_rounds)
            self._resize(before.cap, "more_brought_none", rho)
        elif self.size > before.cap:
            self._knee_rounds = RISING_ROUNDS
        self._rounds_left = self._knee_rounds
        self._before = None

    # ------------------------------------------------------------------ a hard cap
    def looks_like_concurrency(self, beside: int, accepted_beside: int) -> bool:
        """Return whether a refusal indicates a concurrency limit: more in flight than accepted lately, or the current probe was refused."""
        if self.mode == "rate":
            return False
        return (beside > accepted_beside and beside >= FEWEST_BESIDE) or (
            self.mode == "conc" and self.probe.met(beside)
        )

    def refused_alike(self, beside: int, accepted_beside: int) -> bool:
        """Return whether the last few refusals came at an equal number of requests in flight, in any mode."""
        return self._alike.add(beside, accepted_beside)

    def cut(self, beside: int, latency_s: float, goodput: float, now: float) -> None:
        """Set the cap to the number of requests in flight at which one more was refused."""
        size = float(max(1, beside))
        if self.mode == "conc" and self.probe.met(beside):
            self.probe.refused(goodput)
        probe_every_s = round(max(FIRST_PROBE_S, self.probe.every_s), 1)
        self._decide("conc", {"old": round(self.size, 1), "new": size, "probe_every_s": probe_every_s})
        # The free slots are not filled at once: the limit may still turn out to be a rate.
        self.pace = size / latency_s if self.mode != "conc" else None
        self.mode, self.size, self.cut_at, self._before = "conc", min(self._most, size), now, None
        self._alike.clear()
        self.probe.wait(latency_s, now)

    def lower(self, beside: int) -> None:
        """Lower the cap after another refusal of the same burst, of a request that was sent with fewer in flight."""
        if self.mode == "conc" and 1 <= beside < self.size:
            self.size = float(beside)

    def probe_slots(self, in_flight: int, latency_s: float, now: float) -> None:
        """Try more slots under a hard cap if all are used and a probe is due."""
        if self.mode != "conc":
            return
        if now > self.cut_at + latency_s:
            self.pace = None
        slots = int(self.size)
        if self.probe.is_due(now) and in_flight + 1 >= slots and slots < self._most:
            self._resize(float(slots + self.probe.ask(slots, latency_s, now)), "probe")

    # ------------------------------------------------------------------ under a rate
    def follow_rate(self, rate: float, latency_s: float, *, is_window: bool) -> None:
        """Set the cap to follow a rate limit: high enough not to bind under a flow, and just sufficient under a window."""
        self.mode, self.pace, self._before = "rate", None, None
        self._is_window = is_window
        self.probe.stop()
        self._move_to(_sufficient_cap(rate, latency_s) if is_window else max(self.size, _generous_cap(rate, latency_s)))

    def _move_to(self, size: float) -> None:
        if math.isfinite(size) and abs(size - self.size) > SAME_CAP * self.size:
            self._resize(float(math.ceil(size)), "rate")

    def _resize(self, size: float, reason: Reason, rho: float | None = None) -> None:
        size = min(self._most, size)
        if size != self.size:
            change: dict[str, JSON] = {"old": round(self.size, 1), "new": round(size, 1), "reason": reason}
            self._decide("cap", {**change, "mode": self.mode, "rho": rho})
        self.size = size


def _generous_cap(rate: float, latency_s: float) -> float:
    return max(RATE_FLOOR, RATE_MARGIN * rate * latency_s)


def _sufficient_cap(rate: float, latency_s: float) -> float:
    return max(WINDOW_FLOOR, WINDOW_MARGIN * rate * latency_s)
