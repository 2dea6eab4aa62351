"""Whether refusals come by chance: whether the next request is accepted as if nothing had been refused.

A gateway that is overloaded by others, or that has several counters, refuses a share of all requests. Less sending then helps nobody. It is
found by trials that are sent at once after a refusal, and given up when refusals become more frequent the more is sent.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

SHORTEST_WAIT_S = 0.75
"""Shortest Retry-After that is tested: a trial would come no sooner than the end of a shorter one, or show nothing."""
CHANCE_TRIALS = 2
"""Trials in a row that refute chance after one refusal: of one refusal in five, one may well meet another."""
FEWEST_TRIALS = 3
"""Accepted trials from which refusals are taken to come by chance."""
CLEAR = 2
"""Accepted trials for each refused one, at least."""
MOST_REFUSED_TRIALS = 2
"""Refused trials from which no more are made, if none was accepted."""
RECENT, MOST_SHARE = 40, 0.45
"""Latest requests, and the share of them that chance refuses at most where it is newly found."""
LATEST = 12
"""Latest answers whose load is the rate that is lowered: it may have risen since the first one."""
FEW_RECENT = 20
"""Fewer latest requests show no share."""
MOST_IN_A_ROW, MOST_SHARE_HELD = 9, 0.55
"""Refused requests in a row, and the share of the latest ones, that chance does not explain: one refusal in five must not look so."""
FIRST_REPEAT = 8
"""Refusals without a trial until chance is tested again, after it was refuted; then twice as many each time."""
SURE = 4.5
"""Standard errors by which more must have been sent before a refusal than before an answer."""
FEWEST_REFUSED = 12
SLOWER = 0.6
"""The share of the rate at which refusals are as frequent as before if they come by chance."""
EXPECTED_REFUSALS = 9.0
"""Refusals that are expected while sending slowly."""
RARE = 0.04
"""A share of refusals that costs too little to be tested."""
CONFIRMED, CONFIRMATIONS = 2, 2
"""Refusals while sending slowly that confirm chance, and how often it is tested: a stored burst may have misled the first test."""


class RefusalChance:
    """The evidence of one limiter."""

    def __init__(self) -> None:
        self._accepted_trials = self._refused_trials = 0
        self.holds = False
        """Whether refusals come by chance: then only the refused request waits."""
        self._untested, self._repeat = 0, FIRST_REPEAT
        self.pace: float | None = None
        """Sends per second while it is tested whether slower sending makes refusals rarer, and after it did."""
        self._left = self._confirmations = 0
        self._refused_slowly = 0
        self._now = -math.inf
        """When the latest request was noted."""
        self._begin()

    def _begin(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._in_a_row = 0
        self._loads = (RunningMoments(), RunningMoments())
        self._latest_loads: deque[float] = deque(maxlen=LATEST)
        self._refusals: deque[tuple[float, float]] = deque()
        """When a refused request was sent and its load: counted with the answers of those sent next, which come later."""
        self._since = self._now

    def may_be_tested(self) -> bool:
        """Return whether a trial is worth a request: always until some were refused, then ever more rarely."""
        if self._refused_trials < MOST_REFUSED_TRIALS or self._accepted_trials >= self._refused_trials:
            return True
        self._untested += 1
        if self._untested < self._repeat:
            return False
        self._untested, self._repeat = 0, 2 * self._repeat
        self._accepted_trials, self._refused_trials = 0, MOST_REFUSED_TRIALS - 1
        return True

    @property
    def is_suspected(self) -> bool:
        """Whether requests are noted."""
        return self.holds or self._accepted_trials > 0

    def tested(self, *, accepted: bool) -> None:
        """Note the outcome of a trial."""
        self._accepted_trials += accepted
        self._refused_trials += not accepted
        enough = self._accepted_trials >= FEWEST_TRIALS and self._accepted_trials >= CLEAR * self._refused_trials
        if not accepted or self.holds or not enough:
            return
        if self.share > MOST_SHARE:
            if len(self._recent) >= FEW_RECENT:
                self._give_up()
            return
        self.holds, self._confirmations = True, 0

    def _slow_down(self, rate: float) -> None:
        """Send more slowly until so many refusals are expected that none at all is no chance."""
        refused = sum(self._recent)
        share = max(0, refused - 1) / max(1, len(self._recent) - 1)
        if share > RARE:
            self.pace, self._refused_slowly, self._since = SLOWER * rate, 0, self._now
            self._left = math.ceil(EXPECTED_REFUSALS / share)

    def note(self, sent_at: float, load: float | None, now: float, *, refused: bool) -> None:
        """Note a request that was sent when `load` had been accepted in the last second; refusals that follow the load are no chance."""
        self._now = now
        self._in_a_row = self._in_a_row + 1 if refused else 0
        if load is None or sent_at <= self._since:
            return
        self._count(sent_at, load, refused=refused)
        if not self.holds:
            return
        if self.pace is not None:
            self._compare(refused=refused)
        elif self._depends_on_load():
            self._give_up()
        elif self._confirmations < CONFIRMATIONS and len(self._recent) == RECENT:
            self._slow_down(statistics.fmean(self._latest_loads))
            self._confirmations += self.pace is None

    def _count(self, sent_at: float, load: float, *, refused: bool) -> None:
        if refused:
            self._refusals.append((sent_at, load))
            return
        answered, refusals = self._loads
        while self._refusals and self._refusals[0][0] <= sent_at:
            refusals.add(self._refusals.popleft()[1])
            self._recent.append(True)
        answered.add(load)
        self._latest_loads.append(load)
        self._recent.append(False)

    def _compare(self, *, refused: bool) -> None:
        """Decide whether slower sending has made refusals rarer."""
        self._left -= 1
        self._refused_slowly += refused
        if self._refused_slowly >= CONFIRMED or (self._left <= 0 and self._refused_slowly):
            self.pace = None
            self._confirmations += 1
            self._begin()
        elif self._left <= 0:
            self._give_up()

    def refute(self) -> None:
        """Take refusals not to come by chance: a limit was found in another way."""
        self._give_up()
        self.pace = None

    def hold(self) -> None:
        """Take refusals to come by chance, as no other cause explains them."""
        self.holds, self.pace, self._confirmations = True, None, CONFIRMATIONS
        self._begin()

    def speed_up(self) -> None:
        """Double the pace after a round without a refusal, where it was kept only because slower sending helped."""
        if self.pace is not None and not self.holds:
            self.pace *= 2

    def _give_up(self) -> None:
        self.holds = False  # the pace stays, until a limit is learnt
        self._accepted_trials, self._refused_trials = 0, MOST_REFUSED_TRIALS

    @property
    def share(self) -> float:
        """The share of the latest requests that were refused."""
        return sum(self._recent) / max(1, len(self._recent))

    def _depends_on_load(self) -> bool:
        if self._in_a_row >= MOST_IN_A_ROW or (len(self._recent) == RECENT and self.share > MOST_SHARE_HELD):
            return True
        answered, refused = self._loads
        if min(answered.count, refused.count) < FEWEST_REFUSED:
            return False
        error = math.sqrt(answered.variance / answered.count + refused.variance / refused.count)
        return refused.mean - answered.mean > SURE * error + 0.05 * answered.mean


class RunningMoments:
    """The mean and the variance of a series, by Welford's method."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self._squares += before * (value - self.mean)

    @property
    def variance(self) -> float:
        """The variance."""
        return self._squares / max(1, self.count - 1)
