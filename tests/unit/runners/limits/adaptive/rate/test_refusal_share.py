from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.rate.refusal_share import HALF, RAISED, RefusalShare

ALL = 2 * HALF


def an_episode(at: float, accepted: float, *, refused_trials: int = 0, retry_after_s: float = 0.0) -> Episode:
    counts = [[0.0] * 4] * 3
    episode = Episode(at, at, counts, [accepted, 0.0, 0.0, 0.0], 0.0, (1.0, 100.0, 600.0, 0.0), 0, at)
    episode.refused_trials, episode.retry_after_s = refused_trials, retry_after_s
    return episode


def fed(between: list[float], rates: list[float]) -> RefusalShare:
    """So many accepted before each episode, at these rates."""
    share, accepted, at = RefusalShare(), 0.0, 0.0
    for requests, rate in zip(between, rates, strict=True):
        accepted += requests
        at += requests / rate
        share.add(an_episode(at, accepted), [rate, 100 * rate, 600 * rate, 100 * rate])
    return share


def falling(to: float) -> list[float]:
    return [10.0 * (to / 10.0) ** (step / (ALL - 1)) for step in range(ALL)]


def test_a_rate_that_was_lowered_in_vain_comes_back() -> None:
    share = fed([2.0] * ALL, falling(1.0))
    assert share.earlier_limits() == [10.0, 1000.0, 6000.0, 1000.0]
    assert share.is_held


def test_refusals_that_become_rarer_follow_the_rate() -> None:
    assert fed([2.0] * HALF + [12.0] * HALF, falling(1.0)).earlier_limits() is None


def test_rare_refusals_and_a_rate_that_stands_say_nothing() -> None:
    assert fed([40.0] * ALL, falling(1.0)).earlier_limits() is None
    assert fed([2.0] * ALL, [10.0] * ALL).earlier_limits() is None
    assert fed([2.0] * (ALL - 1), falling(1.0)[1:]).earlier_limits() is None


def test_a_wait_that_the_server_tells_follows_a_limit() -> None:
    share = fed([2.0] * ALL, falling(1.0))
    share.add(an_episode(100.0, 100.0, retry_after_s=2.0), [1.0] * 4)
    assert share.earlier_limits() is None


def held() -> RefusalShare:
    share = fed([2.0] * ALL, falling(1.0))
    assert share.earlier_limits() is not None
    return share


def test_a_held_rate_is_raised_while_it_is_used() -> None:
    share = held()
    raised = []
    for step in range(ALL):
        share.add(an_episode(20.0 + step, 20.0 + 2 * step), [2.0] * 4)
        raised.append(share.earlier_limits())
    assert raised == [None] * (ALL - 1) + [[RAISED * 2.0] * 4]


def test_a_held_rate_is_given_up_when_more_is_refused_or_hardly_anything_or_all() -> None:
    more, hardly, everything = held(), held(), held()
    for step in range(ALL):
        more.add(an_episode(20.0 + step, 20.0 + 0.1 * step), [2.0] * 4)
        hardly.add(an_episode(20.0 + step, 20.0 + 40.0 * step), [2.0] * 4)
    everything.add(an_episode(20.0, 22.0, refused_trials=6), [2.0] * 4)
    assert not any(share.is_held for share in (more, hardly, everything))
