"""The state of an instance and the evidence for it."""

from __future__ import annotations

from itertools import product

import pytest

from providers.errors import InstanceGone
from runners.dispatch.health import DOWN_AFTER, SUSPECT_AFTER, WORDINGS_KEPT, Health, HealthTracker, InstanceHealth
from tests.unit.runners.doubles import connection_lost, evidence, missing, out_of_quota, refused, revoked


def test_an_instance_is_healthy_until_something_says_otherwise() -> None:
    assert InstanceHealth().is_usable


@pytest.mark.parametrize(
    ("error", "state"),
    [(revoked(), Health.REVOKED), (out_of_quota(), Health.OUT_OF_QUOTA), (missing(), Health.MISSING)],
)
def test_each_way_of_being_gone_has_its_name_and_keeps_the_evidence(error: InstanceGone, state: Health) -> None:
    health = InstanceHealth.gone(error)
    assert not health.is_usable
    assert health.state is state
    assert health.evidence == str(error)
    assert health.error_class == error.error_class


def test_a_kind_of_loss_that_is_not_listed_is_still_a_loss() -> None:
    assert not InstanceHealth.gone(InstanceGone("closed", evidence())).is_usable


def test_probes_that_fail_are_sent_ever_more_rarely_but_once_a_minute_at_least() -> None:
    health_tracker, now, waits = HealthTracker(), 0.0, []
    for _ in range(SUSPECT_AFTER):
        health_tracker.failed(connection_lost(), now, is_probe=False)
    for _ in range(10):
        waits.append(health_tracker.opens_at - now)
        now = health_tracker.opens_at
        assert health_tracker.may_send(now)
        health_tracker.send_probe()
        health_tracker.failed(connection_lost(), now, is_probe=True)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert health_tracker.health.state is Health.DOWN


def test_an_answer_to_a_probe_makes_an_instance_healthy_and_its_next_failure_the_first() -> None:
    health_tracker = HealthTracker()
    for _ in range(SUSPECT_AFTER):
        health_tracker.failed(connection_lost(), 0.0, is_probe=False)
    for _ in range(DOWN_AFTER):
        health_tracker.failed(connection_lost(), health_tracker.opens_at, is_probe=True)
    assert health_tracker.answered()
    assert health_tracker.is_healthy
    assert [health_tracker.failed(connection_lost(), 100.0, is_probe=False) for _ in range(SUSPECT_AFTER)] == [
        *(SUSPECT_AFTER - 1) * [False],
        True,
    ]
    assert health_tracker.opens_at == 101.0


def test_a_key_that_never_worked_was_not_revoked() -> None:
    never, once = HealthTracker(), HealthTracker()
    once.answered()
    never.answered(has_worked=False)
    assert never.give_up(revoked())
    assert once.give_up(revoked())
    assert (never.health.state, once.health.state) == (Health.NOT_ACCEPTED, Health.REVOKED)


def refuse(health_tracker: HealthTracker, *samples: str, words: str = "no such field") -> list[bool]:
    return [health_tracker.refused(refused(words=words, sample=sample), sample) for sample in samples]


def test_different_samples_refused_alike_close_an_instance() -> None:
    health_tracker = HealthTracker()
    words = [f"value '{quoted}' of request {number}f3a is not taken" for number, quoted in enumerate("abcde")]
    changes = [refuse(health_tracker, f"s{number}", words=text)[0] for number, text in enumerate(words)]
    assert changes == [False, False, False, False, True]
    assert health_tracker.health.state is Health.REFUSING
    assert health_tracker.health.is_usable
    assert not health_tracker.may_send(1e9)


@pytest.mark.parametrize(
    "samples", [("s0",) * 9, ("s0", "s1", "s2", "s3")], ids=["one sample again and again", "too few"]
)
def test_less_than_five_different_samples_close_nothing(samples: tuple[str, ...]) -> None:
    health_tracker = HealthTracker()
    refuse(health_tracker, *samples)
    assert health_tracker.is_healthy


def test_samples_refused_in_different_words_close_nothing() -> None:
    health_tracker = HealthTracker()
    for number, word in enumerate(("role", "tool", "image", "seed", "stop", "format")):
        refuse(health_tracker, f"s{number}", words=f"{word} is not taken")
    assert health_tracker.is_healthy


def test_an_answer_in_between_starts_the_count_anew() -> None:
    health_tracker = HealthTracker()
    refuse(health_tracker, "s0", "s1", "s2", "s3")
    health_tracker.answered()
    refuse(health_tracker, "s4", "s5", "s6", "s7")
    assert health_tracker.is_healthy


def test_one_answer_reopens_what_refuses_and_a_throttle_does_not() -> None:
    health_tracker = HealthTracker()
    refuse(health_tracker, *"abcde")
    assert not health_tracker.answered(has_worked=False)
    assert health_tracker.health.state is Health.REFUSING
    assert health_tracker.verdict(in_flight=1) is None
    assert health_tracker.answered()
    assert health_tracker.is_healthy
    assert health_tracker.verdict(in_flight=0) is None


def test_what_refuses_and_has_nothing_in_flight_is_unusable_in_the_server_s_words() -> None:
    health_tracker = HealthTracker()
    refuse(health_tracker, *"abcde")
    verdict = health_tracker.verdict(in_flight=0)
    assert verdict is not None
    health_tracker.give_up(verdict)
    assert (health_tracker.health.state, health_tracker.health.error_class) == (Health.UNUSABLE, "refused")
    assert "no such field" in health_tracker.health.evidence
    assert not health_tracker.health.is_usable


def test_wordings_that_are_never_the_same_are_not_kept_for_ever() -> None:
    health_tracker = HealthTracker()
    names = ("".join(pair) for pair in product("abcdefghij", "klmnopqrst"))
    for name in names:
        refuse(health_tracker, name, words=f"no {name}")
    assert health_tracker.is_healthy
    assert len(health_tracker._refused) == WORDINGS_KEPT
