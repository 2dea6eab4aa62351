from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from providers.simulator.settings.answers import AnswerSettings
from providers.simulator.settings.provider import EndpointSettings, FaultSettings, SimulatorSettings

FILE: dict[str, Any] = {
    "type": "simulator",
    "deployments": {
        "DeepSeek-V3-0324": {
            "rpm": 600,
            "tpm": 60000,
            "window_s": 10,
            "latency": {"ttft_s": 0.2, "itl_s": 0.01},
            "dialect": "azure",
        },
        "DeepSeek-V3-0324-2": {"rpm": 600, "tpm": 60000, "window_s": 10, "dialect": "azure"},
    },
    "answers": {"skill": {"DeepSeek-V3-0324": 0.85}, "spread": 1.0},
    "faults": {"error_500": 0.01, "empty": 0.01, "stall": 0.002, "reset": 0.005, "malformed": 0.002},
}


def test_the_documented_file_is_accepted() -> None:
    settings = SimulatorSettings.model_validate(FILE)
    assert settings.deployments["DeepSeek-V3-0324"].latency.ttft_s == 0.2
    assert settings.answers.skill_of("DeepSeek-V3-0324") == 0.85
    assert settings.answers.skill_of("another") == 1.0
    assert AnswerSettings(skill=0.5).skill_of("any") == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rpm": 30, "window_s": 1}, "set window_s to 2 or more"),
        ({"burst_s": 5}, "burst_s belongs to"),
        ({"rpm": 0}, "greater than 0"),
        ({"outages": [[60, 20]]}, r"the outage \[60, 20\] ends before it begins"),
        ({"rpn": 60}, "Extra inputs"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EndpointSettings.model_validate(settings)


def test_fault_shares_beyond_one_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"add up to 1\.2"):
        FaultSettings(error_500=0.6, empty=0.6)
    assert FaultSettings(error_500=0.5, empty=0.5, stall_s=3).stall_s == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corruptions": {"parameter": 0.7, "format": 0.7}}, r"all corruptions add up to 1\.4"),
        ({"corruptions": {"order": 0.1}}, "Extra inputs"),
        ({"template": "Answer:"}, r"template 'Answer:' has no \{target\}"),
    ],
)
def test_answers_that_cannot_be_made_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AnswerSettings.model_validate(settings)


def test_a_simulator_without_endpoints_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs 'deployments' or 'keys'"):
        SimulatorSettings()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"throttle_style": 400, "wait_in": "words"}, "throttle_style 400 never reports a wait"),
        ({"quota_group": "llama", "wait_in": "zero_ms"}, "a quota_group reports the wait in the message"),
        ({"wants_back": "reasoning_content", "reasoning": "think"}, "needs 'reasoning: field'"),
        ({"refuses": ["warmth"]}, "temperature"),
        ({"throttle_style": 503}, "429"),
        ({"quirks": {"no_end": True}}, "no_end"),
        ({"credit": {"status": 402}}, "after"),
    ],
)
def test_settings_of_vendors_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EndpointSettings.model_validate(settings)


def test_a_quota_group_is_one_quota() -> None:
    shared = {"tpm": 400_000, "quota_group": "llama"}
    SimulatorSettings.model_validate({"deployments": {"a": shared, "b": shared, "c": {}}})
    with pytest.raises(
        ValidationError, match="a and b are in the quota_group 'llama', a single quota, but differ in tpm"
    ):
        SimulatorSettings.model_validate({"deployments": {"a": shared, "b": {**shared, "tpm": 1}}})
