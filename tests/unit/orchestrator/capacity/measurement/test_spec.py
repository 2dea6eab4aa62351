"""From flags and presets to one setting and one workload; from both to what it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.capacity.measurement.spec import LoadSpec, WorkloadSpec, build_setting, build_workload, in_contrast
from orchestrator.capacity.measurement.target import choose_model, load_address
from orchestrator.capacity.measurement.trial import LoadSetting
from orchestrator.capacity.workload.load_estimate import estimate, requests_of
from orchestrator.capacity.workload.prompts import SyntheticPrompts
from orchestrator.cli.load_tests.estimate_view import describe_estimate
from orchestrator.config.environment import Environment
from orchestrator.config.loading import LoadedConfig, load_config
from providers.errors import InputError
from runners.load.run_load import ClosedLoop, OpenLoop, Volume


def address() -> LoadedConfig:
    return load_address("http://127.0.0.1:9/v1", "m", None, Environment({}))


def setting(workload: str | None = None, **said: Any) -> LoadSetting:
    spec = LoadSpec(**said)
    return build_setting(spec, WorkloadSpec(workload).preset, address().config)


def test_without_a_rate_the_loop_is_closed_and_with_one_it_is_open() -> None:
    assert setting(max_concurrency=4).load == ClosedLoop(4)
    assert setting(max_concurrency=4, request_rate=math.inf).load == ClosedLoop(4)
    assert setting(max_concurrency=4, request_rate=0.1).load == OpenLoop(0.1, 1.0, 4)
    assert setting(request_rate=5.0, burstiness=math.inf).load == OpenLoop(5.0, math.inf, None)


def test_ten_requests_for_each_place_or_a_minute_of_arrivals_unless_it_is_said() -> None:
    assert setting(max_concurrency=4).volume == Volume(40)
    assert setting(request_rate=5.0).volume == Volume(duration_s=60.0)
    assert setting(request_rate=5.0, num_prompts=7).volume == Volume(7)
    assert setting(max_concurrency=4, duration_s=3.0).volume == Volume(None, 3.0)


@pytest.mark.parametrize(
    ("purpose", "load", "volume"),
    [
        ("quick", ClosedLoop(50), Volume(50)),
        ("realistic", OpenLoop(20, 1.0, 50), Volume(1_000)),
        ("planning", OpenLoop(20, 1.0, 75), Volume(2_000)),
        ("stability", OpenLoop(16, 1.0, 40), Volume(duration_s=1_800)),
        (None, OpenLoop(20, 1.0, 50), Volume(1_000)),
    ],
)
def test_a_purpose_changes_what_the_traffic_aims_at(purpose: str | None, load: object, volume: Volume) -> None:
    found = setting("customer-service", purpose=purpose)
    assert (found.load, found.volume) == (load, volume)


def test_a_quick_check_needs_no_figure() -> None:
    assert setting(purpose="quick").load == ClosedLoop(10)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({}, "state the load"),
        ({"purpose": "stability"}, "state the load"),
        ({"purpose": "limit"}, "bench ladder"),
        ({"request_rate": 0.0}, "--request-rate 0 must be above 0"),
        ({"request_rate": math.nan}, "--request-rate"),
        ({"max_concurrency": 1, "duration_s": -1.0}, "--duration"),
        ({"request_rate": math.inf}, "--num-prompts"),
    ],
)
def test_a_load_that_is_none_is_one_sentence(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        setting(**said)


def test_a_workload_is_a_preset_with_what_was_said_beside_it() -> None:
    found = build_workload(WorkloadSpec("code", output="64"), address(), "m")
    assert isinstance(found.prompt, SyntheticPrompts)
    assert (found.input_tokens, found.max_output_tokens, found.generation.stream) == (1_024, 64, True)


def test_lengths_that_nobody_said_differ_and_a_ratio_is_of_their_mean() -> None:
    found = build_workload(WorkloadSpec(), address(), "m").prompt
    assert isinstance(found, SyntheticPrompts)
    assert (found.input.least, found.input.most, found.output.mean) == (256, 768, 128)
    narrow = build_workload(WorkloadSpec(range_ratio=0.25), address(), "m").prompt
    assert isinstance(narrow, SyntheticPrompts)
    assert (narrow.input.least, narrow.input.most) == (384, 640)


def test_a_contrast_is_twice_as_long_and_answers_half_as_much() -> None:
    plain = build_workload(WorkloadSpec(input="200:500", output="100"), address(), "m")
    contrast = in_contrast(plain)
    assert contrast is not None
    assert contrast.input_tokens == pytest.approx(850, abs=1)
    assert contrast.max_output_tokens == 50


def test_the_sweeps_own_tasks_are_a_workload(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"question": "one?"}\n{"question": "two?"}\n')
    raw = {
        "providers": {"box": {"type": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "models": {"m": {"provider": "box"}, "n": {"provider": "box"}},
        "tasks": [{"path": "tasks.jsonl", "fields": {"input": "question"}}],
        "generation": {"max_tokens": 9},
    }
    loaded = load_config(raw, Environment({}), base=tmp_path)
    found = build_workload(WorkloadSpec("tasks"), loaded, "m")
    asked = {str(found.request(number).messages[-1]["content"]) for number in range(4)}
    assert asked == {"one?", "two?"}
    assert found.request(0).generation.max_tokens == 9
    assert in_contrast(found) is None
    with pytest.raises(InputError, match="several models"):
        choose_model(loaded.config)


@pytest.mark.parametrize(
    "spec",
    [
        WorkloadSpec("costumer-service"),
        WorkloadSpec("code", prefix_ratio=2.0),
        WorkloadSpec("tasks", output="9"),
        WorkloadSpec("share.json", prefix_ratio=0.5),
    ],
)
def test_a_workload_that_is_none_is_one_sentence(spec: WorkloadSpec) -> None:
    with pytest.raises(InputError, match=r"customer-service|--prefix-ratio"):
        build_workload(spec, address(), "m")


def test_the_cost_is_estimated_from_what_is_asked_for() -> None:
    workload = build_workload(WorkloadSpec("code"), address(), "m")
    found = estimate(500, workload, "m", lambda _model, usage: usage.input_tokens * 1e-6 + usage.output_tokens * 2e-6)
    assert (found.requests, found.input_tokens, found.output_tokens) == (500, 512_000, 128_000)
    assert found.cost_usd == pytest.approx(0.768)
    assert describe_estimate(found) == "500 requests, 512,000 tokens in, at most 128,000 out, at most 0.77 USD"
    assert "price unknown" in describe_estimate(estimate(1, workload, "m", lambda _model, _usage: None))
    unbounded = estimate(1, replace(workload, max_output_tokens=None), "m", lambda _model, _usage: 2.0)
    assert describe_estimate(unbounded).endswith("perhaps 256 out, perhaps 2.00 USD, no max_tokens bounds the answers")
    assert estimate(None, workload, "m", lambda _model, _usage: 1.0).cost_usd is None


def requests_in(asked: LoadSetting) -> int | None:
    return requests_of(asked.load, asked.volume)


def test_how_many_requests_go_out_is_known_but_for_a_closed_loop_with_a_duration() -> None:
    assert requests_in(setting(max_concurrency=4)) == 40
    assert requests_in(setting(request_rate=0.5, duration_s=11.0)) == 6
    assert requests_in(setting(request_rate=0.5, duration_s=11.0, num_prompts=3)) == 3
    assert requests_in(setting(max_concurrency=4, duration_s=3.0)) is None
