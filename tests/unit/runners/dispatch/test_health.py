"""The state of an instance and the evidence for it."""

from __future__ import annotations

import pytest

from providers.errors import InstanceGone
from runners.dispatch.health import DOWN_AFTER, SUSPECT_AFTER, Health, HealthTracker, InstanceHealth
from tests.unit.runners.doubles import connection_lost, evidence, missing, out_of_quota, revoked


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


def test_canaries_that_fail_are_sent_ever_more_rarely_but_once_a_minute_at_least() -> None:
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


def test_an_answer_to_a_canary_makes_an_instance_healthy_and_its_next_failure_the_first() -> None:
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
