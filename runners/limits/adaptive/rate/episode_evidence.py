"""What is known when an episode ends, beside its counts, and what can be read off it."""

from __future__ import annotations

from dataclasses import dataclass

from ..concurrency.answer_statistics import AnswerStatistics
from ..episode import Episode
from ..ledger import WINDOWS_S, SendLedger

MINUTE = 2
KEPT_OF_MEAN = 0.4
"""No first rate is below this share of what was served so far: another gate may have held back the last seconds."""


@dataclass(frozen=True, slots=True)
class EpisodeEvidence:
    """What else is known when an episode ends."""

    ledger: SendLedger
    answers: AnswerStatistics
    trusts_hint: bool
    """Retry-After was not found to overstate."""
    running_s: float
    now: float


def ramp(episode: Episode, seen: EpisodeEvidence) -> list[float]:
    """While the rate still rises, the last seconds before the refusal say more than the mean: per second, in each unit."""
    counted, counted_s = episode.counts[MINUTE], min(WINDOWS_S[MINUTE], episode.running_s)
    if episode.told_window:  # its refill comes all at once, at the end of the wait
        retry_after_s = max(0.0, episode.told_until - episode.at)
        return [max(episode.cost[unit], counted[unit]) / (counted_s + retry_after_s) for unit in range(4)]
    rates = late(episode, seen, min(max(2.0, seen.answers.latency_s or 2.0), episode.running_s))
    return [max(rate, KEPT_OF_MEAN * count / counted_s) for rate, count in zip(rates, counted, strict=True)]


def late(episode: Episode, seen: EpisodeEvidence, seconds: float) -> list[float]:
    """Accepted per second in the last `seconds` before the refusal, one request at least."""
    late = seen.ledger.between(episode.at - seconds, episode.at)
    return [max(episode.cost[unit], late[unit]) / seconds for unit in range(4)]


def lowered(sample: list[float], episode: Episode, counts: list[float]) -> list[float]:
    """Trials were refused far below the known limit: the limit lies between what the last one met and what was let in."""
    latest = episode.latest or sample
    return [min(sample[unit], max(0.5 * (counts[unit] + latest[unit]), 0.25 * sample[unit])) for unit in range(4)]
