"""The schedule of the probes above a known window."""

from __future__ import annotations

from runners.limits.adaptive.rate.limit_probe import FIRST, MOST_WINDOWS, LimitProbe


def begun() -> LimitProbe:
    probe = LimitProbe()
    probe.begin(10.0, 100.0, 50.0, is_new=True)
    return probe


def test_the_first_probe_of_a_new_window_comes_soon() -> None:
    probe = begun()
    assert not probe.is_due(50.0 + 10.0 * FIRST - 0.1)
    assert probe.is_due(50.0 + 10.0 * FIRST)


def test_one_probe_is_sent_at_a_time() -> None:
    probe = begun()
    probe.ticket = 7
    assert not probe.is_due(99.0)


def test_accepted_probes_double_the_step_and_the_next_one_is_due_at_once() -> None:
    probe = begun()
    steps = []
    for ticket in range(3):
        probe.ticket = ticket
        steps.append(probe.accepted())
        assert probe.is_due(60.0)
    assert steps == [1, 2, 4]


def test_refused_probes_become_rarer_up_to_a_bound_and_begin_with_one_request_again() -> None:
    probe = begun()
    probe.accepted()
    waits = []
    for _ in range(6):
        probe.refused(10.0, 100.0, 60.0)
        waits.append(next(seconds for seconds in range(100) if probe.is_due(60.0 + seconds)))
    assert waits == sorted(waits)
    assert waits[-1] == MOST_WINDOWS * 10.0
    assert probe.accepted() == 1


def test_a_slow_sender_probes_rarely_from_the_start() -> None:
    probe = begun()
    probe.refused(10.0, 0.1, 60.0)
    assert not probe.is_due(60.0 + 0.9 * MOST_WINDOWS * 10.0)
