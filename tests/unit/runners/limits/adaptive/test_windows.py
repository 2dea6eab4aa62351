from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.windows import Windows


def refusal(ten: float, minute: float, accepted: float) -> Episode:
    counts = [[x, 90 * x + ten, 600 * x + ten, 80 * x + 3 * ten] for x in (5.0, ten, minute)]
    return Episode(0.0, 0.0, counts, [accepted] * 4, 0.0, (1.0, 1.0, 1.0, 0.0), 0, 0.0)


def test_a_minute_that_is_full_every_time_explains_refusals_that_ten_seconds_do_not() -> None:
    windows = Windows()
    for ten, accepted in ((150.0, 327.0), (66.0, 360.0), (8.0, 400.0)):
        windows.add(refusal(ten, 327.0, accepted))
    assert windows.clearer_than(1) == 2
    assert windows.clearer_than(2) is None


def test_one_moment_seen_three_times_says_nothing() -> None:
    windows = Windows()
    for ten, accepted in ((150.0, 327.0), (139.0, 329.0), (132.0, 331.0)):
        windows.add(refusal(ten, 327.0, accepted))
    assert windows.clearer_than(1) is None


def test_small_counts_agree_by_chance() -> None:
    windows = Windows()
    for accepted in (10.0, 20.0, 30.0):
        windows.add(refusal(accepted / 4, 24.0, accepted))
    assert windows.clearer_than(1) is None
