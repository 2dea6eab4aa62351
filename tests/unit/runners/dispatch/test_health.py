"""The state of an instance and the evidence for it."""

from __future__ import annotations

import pytest

from providers.errors import InstanceGone
from runners.dispatch.health import Health, InstanceHealth
from tests.unit.runners.doubles import evidence, missing, out_of_quota, revoked


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
