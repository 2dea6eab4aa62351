from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.rate.windows import WindowCandidates


def refusal(ten: float, minute: float, accepted: float) -> Episode:
    counts = [[x, 90 * x + 2 * ten, 600 * x + ten, 80 * x + 3 * ten] for x in (5.0, ten, minute)]
    return Episode(0.0, 0.0, counts, [accepted] * 4, 0.0, (1.0, 1.0, 1.0, 0.0), 0, 0.0)


def after(*refusals: tuple[float, float, float]) -> WindowCandidates:
    windows = WindowCandidates()
    for ten, minute, accepted in refusals:
        windows.add(refusal(ten, minute, accepted))
    return windows


def test_a_minute_that_is_full_every_time_explains_refusals_that_ten_seconds_do_not() -> None:
    windows = after((150.0, 327.0, 327.0), (66.0, 327.0, 360.0), (8.0, 327.0, 400.0))
    assert windows.clearer_than(1) == 2
    assert windows.clearer_than(0) == 2
    assert windows.clearer_than(2) is None


def test_while_sends_are_even_every_window_looks_the_same() -> None:
    assert after((50.0, 300.0, 300.0), (50.0, 300.0, 900.0), (51.0, 301.0, 1500.0)).clearer_than(0) is None


def test_one_moment_seen_three_times_says_nothing() -> None:
    assert after((150.0, 327.0, 327.0), (120.0, 327.0, 329.0), (90.0, 327.0, 331.0)).clearer_than(1) is None


def test_small_counts_agree_by_chance() -> None:
    assert after((6.0, 24.0, 10.0), (2.0, 24.0, 20.0), (4.0, 24.0, 30.0)).clearer_than(1) is None
