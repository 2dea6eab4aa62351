"""The evidence at the end of an episode besides its counts, and the rates that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from ..concurrency.answer_statistics import AnswerStatistics
from ..episode import Episode
from ..ledger import WINDOWS_S, SendLedger

MINUTE = 2
TOLD_S = 1.0
"""Shortest Retry-After that bounds the first rate."""
KEPT_OF_MEAN = 0.4
"""Lowest first rate as a share of the mean rate so far: another gate may have delayed the last requests."""


@dataclass(frozen=True, slots=True)
class EpisodeEvidence:
    """What is known at the end of an episode besides its counts."""

    ledger: SendLedger
    answers: AnswerStatistics
    trusts_hint: bool
    """Whether Retry-After has not been found too long."""
    running_s: float
    now: float
    trial_at: float = 0.0
    """When the request that was accepted at last was sent."""


def first_rates(episode: Episode, evidence: EpisodeEvidence) -> list[float]:
    """Return the first rates per second, in each unit: those of the last seconds before the refusal, as the rate was still rising."""
    counted, counted_s = episode.counts[MINUTE], min(WINDOWS_S[MINUTE], episode.running_s)
    if episode.names_window:  # a window refills at once, at the end of the wait
        retry_after_s = max(0.0, episode.retry_until - episode.at)
        return [max(episode.cost[unit], counted[unit]) / (counted_s + retry_after_s) for unit in range(4)]
    rates = latest_rates(episode, evidence, min(max(2.0, evidence.answers.latency_s or 2.0), episode.running_s))
    rates = [max(rate, KEPT_OF_MEAN * count / counted_s) for rate, count in zip(rates, counted, strict=True)]
    if episode.retry_after_s > TOLD_S:  # what was accepted within such a wait takes as long again
        most = latest_rates(episode, evidence, episode.retry_after_s)
        rates = [min(pair) for pair in zip(rates, most, strict=True)]
    return rates


def latest_rates(episode: Episode, evidence: EpisodeEvidence, seconds: float) -> list[float]:
    """Return the rates accepted in the last `seconds` before the refusal; at least one request is assumed."""
    accepted = evidence.ledger.between(episode.at - seconds, episode.at)
    return [max(episode.cost[unit], accepted[unit]) / seconds for unit in range(4)]


def lowered_limits(sample: list[float], episode: Episode, counts: list[float]) -> list[float]:
    """Return lower limits after trials were refused far below the known limit: between the last refused and the accepted amounts."""
    latest = episode.latest or sample
    return [min(sample[unit], max(0.5 * (counts[unit] + latest[unit]), 0.25 * sample[unit])) for unit in range(4)]
