"""A window whose length was guessed: it is lengthened where it was refused before its limit, and given up where it only trickles."""

from __future__ import annotations

import math

from ..episode import Episode
from ..ledger import GRAIN_S, REQUESTS
from .episode_evidence import EpisodeEvidence
from .rate_model import RateModel
from .unit_inference import FEW

LONGER, MOST_LONGER = 1.01, 1.3
"""Least and most factor on a length that is too short; the latter for few requests only, which others may have taken."""
LONGEST_S = 90.0
NEARLY = 0.9
"""A window is full if this share of its limit was accepted since the last refusals."""
FEW_OF_LIMIT, MOST_TRICKLES = 0.25, 3
"""After so many refusals in a row, each after less than this share of a window's limit, it is no window."""


class GuessedWindow:
    """The evidence of the length of one limiter's window. It changes the ledger and the model, but not the limits."""

    def __init__(self, model: RateModel) -> None:
        self._model = model
        self._trickles = 0
        self._reopened = (0.0, 0.0)
        """When the last accepted trial was sent, and the requests accepted before."""

    @property
    def is_trickle(self) -> bool:
        """Whether few requests were accepted between the last refusals: those that filled a window leave it as they came."""
        return self._trickles >= MOST_TRICKLES

    def note_end(self, episode: Episode, evidence: EpisodeEvidence) -> None:
        """Note the end of an episode."""
        self._reopened = evidence.trial_at, episode.accepted[REQUESTS]

    def lengthen(self, episode: Episode, evidence: EpisodeEvidence) -> list[float] | None:
        """Lengthen the window to the age of the first of its last requests, as many as its limit, at the accepted trial.

        Return what was accepted in it; None if it is not longer than it was known to be.
        """
        model, ledger = self._model, evidence.ledger
        limit = model.limits[REQUESTS] if model.limits is not None else math.inf
        since = self._full_since(limit, episode, evidence)
        if since is None:
            return None
        too_short_s = max(model.window_s, episode.known_at - since) if episode.refused_trials else model.window_s
        window_s = evidence.trial_at - since
        if limit < FEW:
            window_s = min(window_s, MOST_LONGER * too_short_s)
        if not LONGER * model.window_s < window_s < LONGEST_S:
            return None
        self._trickles = self._trickles + 1 if self._accepted(episode) < FEW_OF_LIMIT * limit else 0
        model.too_short_s, model.is_exact = too_short_s, False
        ledger.resize(model.level, window_s)
        return ledger.between(since - GRAIN_S, episode.at)

    def _full_since(self, limit: float, episode: Episode, evidence: EpisodeEvidence) -> float | None:
        """Return when the window began that was full: at the end of the last episode, if about its limit was accepted since."""
        if not math.isfinite(limit):
            return None
        since = evidence.ledger.last_at(math.floor(limit), episode.at)
        is_full = self._accepted(episode) >= NEARLY * limit
        return self._reopened[0] if is_full and (since is None or since < self._reopened[0]) else since

    def _accepted(self, episode: Episode) -> float:
        return episode.accepted[REQUESTS] - self._reopened[1]
