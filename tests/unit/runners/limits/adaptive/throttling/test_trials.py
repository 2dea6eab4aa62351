"""The window that the last trial of an episode has found."""

from __future__ import annotations

import pytest

from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.ledger import REQUESTS, SendLedger
from runners.limits.adaptive.throttling.trials import settle_window

ONE = (1.0, 100.0, 600.0, 0.0)


def found(window_s: float) -> tuple[Episode, SendLedger]:
    """Forty accepted within forty seconds, then refused, and accepted again when such a window has room."""
    ledger = SendLedger()
    for second in range(40):
        ledger.add(ONE, second + 0.5)
    counts = [ledger.between(40.0 - seconds, 40.0) for seconds in ledger.windows_s]
    return Episode(40.0, 40.0, counts, list(ledger.total), 0.0, ONE, 0, 0.0, window_s=window_s), ledger


@pytest.mark.parametrize(("window_s", "level"), [(5.0, 1), (10.0, 1), (45.0, 1), (60.0, 2), (90.0, 2)])
def test_an_episode_counts_in_the_window_that_its_trial_found(window_s: float, level: int) -> None:
    episode, ledger = found(window_s)
    settle_window(episode, ledger, 40.0 + window_s)
    assert episode.level == level
    assert ledger.windows_s[level] == episode.windows_s[level] == window_s
    assert episode.counts[level][REQUESTS] == min(40, window_s)
    assert episode.has_new_window == (window_s not in {10.0, 60.0})


def test_a_trial_that_came_soon_shows_a_flow() -> None:
    episode, ledger = found(30.0)
    settle_window(episode, ledger, 45.0)
    assert episode.level == 0
    assert ledger.windows_s == [1.0, 10.0, 60.0]


def test_without_a_window_nothing_changes() -> None:
    episode, ledger = found(0.0)
    settle_window(episode, ledger, 99.0)
    assert (episode.level, episode.has_new_window) == (0, False)
