"""The schedule of the probes of a window whose length was guessed."""

from __future__ import annotations

import math

import pytest

from runners.limits.adaptive.rate.limit_probe import FIRST, MOST_WINDOWS, LimitProbe


def begun(low_s: float = 6.0) -> LimitProbe:
    probe = LimitProbe()
    probe.begin(10.0, low_s, 50.0)
    return probe


def test_the_first_probe_of_a_window_comes_soon() -> None:
    probe = begun()
    assert probe.due_at(10.0, 60.0, 50.0 + 10.0 * FIRST - 0.1) == math.inf
    assert probe.due_at(10.0, 60.0, 50.0 + 10.0 * FIRST) == 58.0


def test_one_probe_is_sent_at_a_time() -> None:
    probe = begun()
    probe.sent(7, 8.0)
    assert probe.due_at(10.0, 60.0, 99.0) == math.inf


def test_probes_halve_what_is_not_known_until_the_window_is_known() -> None:
    probe, window_s, true_s = begun(), 10.0, 8.7
    now, probes = 60.0, 0
    while not probe.is_exact(window_s):
        now += MOST_WINDOWS * window_s
        age_s = window_s - (now - probe.due_at(window_s, now, now))
        probe.sent(probes, age_s)
        probes += 1
        if age_s > true_s:
            window_s = probe.accepted()
        else:
            probe.refused(window_s, now)
    assert true_s < window_s < 1.05 * true_s
    assert probes <= 5


def test_refused_probes_become_rarer_up_to_a_bound() -> None:
    probe, waits = begun(), []
    for _ in range(6):
        probe.refused(10.0, 60.0)
        waits.append(next(s for s in range(100) if math.isfinite(probe.due_at(10.0, 60.0, 60.0 + s))))
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(MOST_WINDOWS * 10.0)
