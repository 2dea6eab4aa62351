"""The state of an instance and the evidence for it."""

from __future__ import annotations

import pytest

from providers.errors import InstanceGone
from runners.health import DOWN_AFTER, SUSPECT_AFTER, Health, InstanceHealth, Vitals

from .doubles import connection_lost, evidence, missing, out_of_quota, revoked


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
    vitals, now, waits = Vitals(), 0.0, []
    for _ in range(SUSPECT_AFTER):
        vitals.failed(connection_lost(), now, is_canary=False)
    for _ in range(10):
        waits.append(vitals.opens_at - now)
        now = vitals.opens_at
        assert vitals.may_send(now)
        vitals.send_canary()
        vitals.failed(connection_lost(), now, is_canary=True)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert vitals.health.state is Health.DOWN


def test_an_answer_to_a_canary_makes_an_instance_healthy_and_its_next_failure_the_first() -> None:
    vitals = Vitals()
    for _ in range(SUSPECT_AFTER):
        vitals.failed(connection_lost(), 0.0, is_canary=False)
    for _ in range(DOWN_AFTER):
        vitals.failed(connection_lost(), vitals.opens_at, is_canary=True)
    assert vitals.answered()
    assert vitals.is_healthy
    assert [vitals.failed(connection_lost(), 100.0, is_canary=False) for _ in range(SUSPECT_AFTER)] == [
        *(SUSPECT_AFTER - 1) * [False],
        True,
    ]
    assert vitals.opens_at == 101.0
