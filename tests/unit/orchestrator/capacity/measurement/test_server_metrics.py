"""What servers publish of themselves, as text."""

import pytest

from orchestrator.capacity.measurement.server_metrics import ServerReading, ServerWatch, metrics_address, read_metrics

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a{b}"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0 1795268048000
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
vllm:request_success_total{finished_reason="stop"} 12.0
"""


def test_requests_are_added_up_over_engines_and_the_fullest_cache_counts() -> None:
    assert read_metrics(VLLM, 1.0) == ServerReading(1.0, running=5.0, waiting=7.0, cache_use=0.75)


def test_other_servers_use_other_names() -> None:
    assert read_metrics("sglang:num_running_reqs 4\nsglang:token_usage 0.5\n", 0.0) == ServerReading(
        0.0, 4.0, None, 0.5
    )


@pytest.mark.parametrize(
    "text", ["", "<html>no</html>", "vllm:num_requests_running NaN", "vllm:num_requests_running x", "{}"]
)
def test_what_says_nothing_is_empty(text: str) -> None:
    assert read_metrics(text, 0.0).is_empty


def test_a_load_is_the_mean_and_the_worst_of_what_was_seen() -> None:
    watch = ServerWatch(None, [ServerReading(0.0, 1.0, 0.0, 0.1), ServerReading(1.0, 3.0, None, 0.4)])
    found = watch.load()
    assert found is not None
    assert (found.looks, found.mean_running, found.peak_running, found.peak_waiting) == (2, 2.0, 3.0, 0.0)
    assert (found.peak_cache_use, found.peak_cache_use_waiting) == (0.4, None)
    watch.readings.append(ServerReading(2.0, 3.0, 7.0, 0.3))
    assert (full := watch.load()) is not None
    assert (full.peak_waiting, full.peak_cache_use, full.peak_cache_use_waiting) == (7.0, 0.4, 0.3)
    assert ServerWatch(None).load() is None


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/metrics"),
        ("https://box.example/llm/v1", "https://box.example/llm/metrics"),
    ],
)
def test_metrics_lie_beside_the_api(base_url: str, expected: str) -> None:
    assert metrics_address(base_url) == expected
