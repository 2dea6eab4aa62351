"""Whether refusals follow the rate. A gateway whose own quota is shared refuses a share of all requests, however slowly one sends.

Less sending then helps nobody: what was asked for before is asked for again, until the share of refusals changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..episode import Episode
from ..ledger import REQUESTS

HALF = 5
"""Episodes that are set against as many before them."""
OFTEN = 0.05
"""A smaller share of refusals is what finding a limit costs."""
SLOWER = 0.6
"""Of the rate before: so much must it have fallen to say something."""
LESS_SERVED = 0.85
"""Of what was served per second before: a limit would serve as much of a lower rate."""
ALIKE = 1.5
"""Times as many requests between two refusals, which is still chance."""
WORSE_TIMES, WORSE_BY = 1.5, 0.15
"""A share that has risen so much is another one."""
RAISED = 1.5
"""A rate that is held is raised so much after as many episodes again ..."""
UNUSED = 4.0
"""... unless it is already so many times what is sent."""
MOST_REFUSED_TRIALS = 6
"""In a row: no share of requests, but a limit."""


@dataclass(frozen=True, slots=True)
class RatedEpisode:
    """A refusal episode with the requests accepted before it and the rate limits that were known then."""

    at: float
    accepted: float
    """Requests ever, at the refusal."""
    limits: Sequence[float]
    """Per second in each unit, that were known then."""


class RefusalShare:
    """Of one limiter, over its last episodes."""

    def __init__(self) -> None:
        self._episodes: deque[RatedEpisode] = deque(maxlen=2 * HALF)
        self._held: float | None = None
        """The share of refusals when it was found not to follow the rate."""
        self._since_raised = 0
        """Episodes."""

    @property
    def is_held(self) -> bool:
        """Whether the limits are held because a lower rate did not make refusals rarer."""
        return self._held is not None

    @property
    def share(self) -> float:
        """Of the sends since the oldest episode that is known."""
        return _share(list(self._episodes))

    def add(self, episode: Episode, limits: Sequence[float]) -> None:
        """Note an episode, and the limits per second that it met. One whose wait the server told follows a limit."""
        if episode.retry_after_s:
            self._episodes.clear()
            self._held = None
            return
        self._episodes.append(RatedEpisode(episode.at, episode.accepted[REQUESTS], limits))
        if self._held is None or len(self._episodes) < 2 * HALF:
            return
        is_worse = self.share > WORSE_TIMES * self._held + WORSE_BY
        if is_worse or self.share < OFTEN or episode.refused_trials >= MOST_REFUSED_TRIALS:
            self._held = None
            self._episodes.clear()

    def earlier_limits(self) -> list[float] | None:
        """Return the limits per second before the rate was lowered without effect; None if refusals became rarer or were never frequent.

        Held limits are raised step by step: if refusals stay as frequent, they do not depend on the rate.
        """
        if self.is_held:
            return self._raised()
        episodes = list(self._episodes)
        before, after = episodes[:HALF], episodes[HALF:]
        if len(episodes) < 2 * HALF or min(_share(before), _share(after)) < OFTEN:
            return None
        highest = max(before, key=lambda one: one.limits[REQUESTS]).limits
        is_slower = after[-1].limits[REQUESTS] < SLOWER * highest[REQUESTS]
        if (
            not is_slower
            or _served(after) > LESS_SERVED * _served(before)
            or _accepted(after) > ALIKE * _accepted(before) + HALF
        ):
            return None
        self._held, self._since_raised = self.share, 0
        return list(highest)

    def _raised(self) -> list[float] | None:
        self._since_raised += 1
        if self._since_raised < 2 * HALF:
            return None
        self._since_raised = 0
        episodes, limits = list(self._episodes), self._episodes[-1].limits
        served = _served(episodes)
        return [RAISED * limit for limit in limits] if limits[REQUESTS] < UNUSED * served else None


def _accepted(episodes: Sequence[RatedEpisode]) -> float:
    return episodes[-1].accepted - episodes[0].accepted if episodes else 0.0


def _served(episodes: Sequence[RatedEpisode]) -> float:
    return _accepted(episodes) / max(1e-9, episodes[-1].at - episodes[0].at)


def _share(episodes: Sequence[RatedEpisode]) -> float:
    refused = len(episodes) - 1
    return refused / (refused + _accepted(episodes)) if refused > 0 else 0.0
