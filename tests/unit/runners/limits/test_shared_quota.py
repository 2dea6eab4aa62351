"""When several limiters are taken to share one quota, and what never suffices for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from runners.limits.shared_quota import JointRefusal, SharedQuota, SharedQuotaDetector
from runners.limits.stated import UNSTATED, StatedQuota

LIMIT = 400_000
BY_MODEL = StatedQuota(LIMIT, 60.0, "tokens", "UserByModelByMinuteTokens")
BY_MINUTE = replace(BY_MODEL, name="ByMinuteTokens")
TOKENS = 2_000
"""Of a request."""


@dataclass
class Refused:
    """Limiter, requests accepted in the twenty seconds before, and when it was refused after the episode began."""

    name: str
    requests: int
    after_s: float = 0.0
    wait_s: float | None = None
    """None: until the episode's end."""
    evenly: bool = False
    """Its requests were accepted until it was refused; otherwise until the episode began."""


def refusal(refused: Refused, began_at: float, stated: StatedQuota, lasts_s: float) -> JointRefusal:
    at = began_at + refused.after_s
    last = at if refused.evenly else began_at - 0.1
    sends = [last - 20 * index / max(1, refused.requests) for index in range(refused.requests)]

    def accepted(after: float, until: float) -> Sequence[float]:
        count = float(sum(after < sent <= until for sent in sends))
        return count, TOKENS * count, 1.25 * TOKENS * count

    wait_s = lasts_s - refused.after_s if refused.wait_s is None else refused.wait_s
    return JointRefusal(refused.name, at, at + 0.1, wait_s, accepted, stated)


def judged(
    episodes: Sequence[Sequence[Refused]],
    stated: StatedQuota = UNSTATED,
    *,
    lasts_s: float = 30.25,
    trusts_words: bool = True,
) -> list[SharedQuota]:
    detector = SharedQuotaDetector(trusts_words=trusts_words)
    found = []
    for number, episode in enumerate(episodes):
        for refused in episode:
            group = detector.refused(refusal(refused, 100.0 + 60 * number, stated, lasts_s))
            found += [] if group is None else [group]
    return found


THIRDS = [Refused("a", 64), Refused("b", 68, 0.1), Refused("c", 66, 0.2)]
UNEVEN = [Refused("a", 100, 0.1), Refused("b", 30, 0.2), Refused("c", 70)]
OTHERS = [Refused("a", 40), Refused("b", 90, 0.1), Refused("c", 69, 0.2)]


def test_words_that_count_by_model_need_one_episode() -> None:
    (found,) = judged([THIRDS], BY_MODEL)
    assert set(found.limiters) == {"a", "b", "c"}
    assert (found.limit, found.unit, found.window_s, found.episodes) == (LIMIT, "tokens", 60.0, 1)
    assert sum(found.parts) == 198 * TOKENS


@pytest.mark.parametrize("trusts_words", [True, False])
def test_a_stated_limit_alone_needs_two(trusts_words: bool) -> None:
    stated = BY_MINUTE if trusts_words else BY_MODEL
    assert not judged([THIRDS], stated, trusts_words=trusts_words)
    (found,) = judged([THIRDS, OTHERS], stated, trusts_words=trusts_words)
    assert found.episodes == 2


def test_without_a_word_it_takes_three_whose_parts_vary_and_whose_sum_does_not() -> None:
    assert not judged([THIRDS, UNEVEN])
    *_, found = judged([THIRDS, UNEVEN, OTHERS])
    assert not found.is_stated
    assert set(found.limiters) == {"a", "b", "c"}


def test_two_of_three_are_found_where_the_third_has_nothing_to_send() -> None:
    (found,) = judged([[Refused("a", 110), Refused("b", 88, 0.1)]], BY_MODEL)
    assert set(found.limiters) == {"a", "b"}


NOT_SHARED = {
    "each near its own count of prompt + max_tokens": [[Refused("a", 158), Refused("b", 160, 0.1)]] * 4,
    "saturated together, each near its own count": [[Refused(name, 190 + n) for n, name in enumerate("abc")]] * 4,
    "one near its own count, the others idle": [[Refused("a", 199), Refused("b", 1, 0.1)]] * 4,
    "waits that end apart": [[Refused("a", 64), Refused("b", 68, 0.1, 33.0), Refused("c", 66, 0.2, 36.5)]] * 4,
    "no wait": [[Refused("a", 64, 0, 0.0), Refused("b", 68, 0.1, 0.0), Refused("c", 66, 0.2, 0.0)]] * 4,
    "a wait of a second": [[replace(one, wait_s=1.0) for one in THIRDS]] * 4,
    "accepted after another was refused": [[Refused("a", 64), Refused("b", 68, 9.0, evenly=True)]] * 4,
    "far too little together": [[Refused("a", 20), Refused("b", 30, 0.1), Refused("c", 40, 0.2)]] * 4,
    "one alone": [[Refused("a", 64)]] * 4,
}


@pytest.mark.parametrize("case", NOT_SHARED)
def test_words_are_not_enough(case: str) -> None:
    assert not judged(NOT_SHARED[case], BY_MODEL)


NOT_SHARED_UNSTATED = {
    "the same parts each time": [THIRDS] * 6,
    "parts and sum vary": [THIRDS, [Refused("a", 30), Refused("b", 40), Refused("c", 50)], UNEVEN],
    "only one part varies": [[Refused("a", n), Refused("b", 600), Refused("c", 600)] for n in (20, 30, 40)],
}


@pytest.mark.parametrize("case", NOT_SHARED_UNSTATED)
def test_what_quotas_of_their_own_explain_is_left_apart(case: str) -> None:
    assert not judged(NOT_SHARED_UNSTATED[case])


def test_different_stated_limits_are_different_quotas() -> None:
    detector = SharedQuotaDetector()
    for refused, limit in zip(THIRDS, (LIMIT, LIMIT, 500_000), strict=True):
        found = detector.refused(refusal(refused, 100.0, replace(BY_MODEL, limit=limit), 30.0))
        assert found is None or "c" not in found.limiters


def test_whole_seconds_may_differ_by_one() -> None:
    rounded = [replace(one, wait_s=wait) for one, wait in zip(THIRDS, (31.0, 30.0, 31.0), strict=True)]
    assert judged([rounded], BY_MODEL)


def test_one_that_was_let_send_while_another_waited_starts_over() -> None:
    """b goes on while a is refused alone: what both had in common before was chance."""
    detector = SharedQuotaDetector()
    for number, episode in enumerate([THIRDS, UNEVEN]):
        for refused in episode:
            assert detector.refused(refusal(refused, 100.0 + 60 * number, UNSTATED, 30.25)) is None
    alone = refusal(Refused("a", 64), 220.0, UNSTATED, 30.25)
    assert detector.refused(alone) is None
    for refused in [Refused("b", 90, 25.0, evenly=True), Refused("c", 69, 25.1)]:
        assert detector.refused(refusal(refused, 220.0, UNSTATED, 60.25)) is None
    for refused in OTHERS:
        assert detector.refused(refusal(refused, 300.0, UNSTATED, 30.25)) is None


def test_a_straggler_joins_those_that_were_found() -> None:
    detector = SharedQuotaDetector()
    found = None
    for refused in [Refused("a", 95), Refused("b", 85, 0.1)]:
        found = detector.refused(refusal(refused, 100.0, BY_MODEL, 30.25)) or found
    assert found is not None
    detector.merge(found.limiters, "b")
    joined = detector.refused(refusal(Refused("c", 18, 0.3), 100.0, BY_MODEL, 30.25))
    assert joined is not None
    assert set(joined.limiters) == {"b", "c"}


def test_those_that_share_already_are_not_found_again() -> None:
    detector = SharedQuotaDetector()
    for refused in THIRDS:
        found = detector.refused(refusal(refused, 100.0, BY_MODEL, 30.25))
    assert found is not None
    detector.merge(found.limiters, "a")
    for number in range(1, 5):
        assert detector.refused(refusal(Refused("a", 198), 100.0 + 60 * number, BY_MODEL, 30.25)) is None


def after(episodes: Sequence[Sequence[Refused]], stated: StatedQuota = UNSTATED) -> SharedQuotaDetector:
    detector = SharedQuotaDetector()
    for number, episode in enumerate(episodes):
        for refused in episode:
            detector.refused(refusal(refused, 100.0 + 60 * number, stated, 30.25))
    return detector


def test_two_that_were_refused_together_alike_are_asked_to_tilt_once_an_episode() -> None:
    detector = after([THIRDS, THIRDS])
    tilt = detector.tilt()
    assert tilt is not None
    assert dict(tilt.shares) == {"a": 0.7, "b": 1.6}
    assert tilt.until == pytest.approx(160 + 0.1 + 30.25 + 60)
    assert detector.tilt() is None


@pytest.mark.parametrize(
    ("episodes", "stated"),
    [([THIRDS], UNSTATED), ([THIRDS, UNEVEN], UNSTATED), ([THIRDS[:1]] * 4, UNSTATED), ([THIRDS, THIRDS], BY_MINUTE)],
    ids=["once", "parts vary", "alone", "in words"],
)
def test_nobody_tilts_without_doubt(episodes: Sequence[Sequence[Refused]], stated: StatedQuota) -> None:
    assert after(episodes, stated).tilt() is None


def test_a_tilt_is_tried_twice_and_no_more() -> None:
    detector, tilts = SharedQuotaDetector(), 0
    for number in range(6):
        for refused in THIRDS:
            detector.refused(refusal(refused, 100.0 + 60 * number, UNSTATED, 30.25))
        tilts += detector.tilt() is not None
    assert tilts == 2


def test_one_that_sent_more_and_was_not_refused_counts_with_those_that_were() -> None:
    """b is let send more than it ever was, and all have what they had before."""
    detector = after([THIRDS, THIRDS])
    sends = [219.0 - 0.1 * index for index in range(104)]

    def accepted(after: float, until: float) -> Sequence[float]:
        count = float(sum(after < sent <= until for sent in sends))
        return count, TOKENS * count, 1.25 * TOKENS * count

    assert detector.refused(replace(refusal(Refused("b", 0), 219.5, UNSTATED, 1.0), accepted=accepted)) is None
    detector.refused(refusal(Refused("a", 30), 220.0, UNSTATED, 30.25))
    found = detector.refused(refusal(Refused("c", 64, 0.1), 220.0, UNSTATED, 30.25))
    assert found is not None
    assert set(found.limiters) == {"a", "b", "c"}
