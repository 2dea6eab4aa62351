"""The plain progress line: how far, how fast, how long still, and what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.ui.progress import plain_line
from runners.samples.monitor import InstanceStatistics, Monitor, RunStatistics

NOW = replace(Monitor(100, 0, {}).statistics(), done=20, outcomes={"ok": 20}, samples_per_s=2.0)


def instance(name: str, *, state: str = "healthy", in_flight: int = 0, throttled: int = 0) -> InstanceStatistics:
    return InstanceStatistics(
        instance=name, model="m", state=state, in_flight=in_flight, succeeded=0, throttled=throttled, failed=0,
        tokens=0, mean_latency_s=None, evidence="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (NOW, "20/100 · 2.0/s · 0 in flight · 0:40 left"),
        (replace(NOW, samples_per_s=0.01), "20/100 · 0.0/s · 0 in flight · 2:13:20 left"),
        (replace(NOW, done=100), "100/100 · 2.0/s · 0 in flight"),
        (replace(NOW, done=0, samples_per_s=0.0), "0/100 · 0.0/s · 0 in flight"),
        (
            replace(NOW, outcomes={"ok": 17, "model_failure": 1, "infra_failure": 2}),
            "20/100 · 2.0/s · 0 in flight · 0:40 left · 2 infra_failure · 1 model_failure",
        ),
        (
            replace(NOW, instances=(instance("a", in_flight=3, throttled=2), instance("b", in_flight=4, throttled=5))),
            "20/100 · 2.0/s · 7 in flight · 0:40 left · 7 throttled",
        ),
        (
            replace(NOW, instances=(instance("a", state="revoked"), instance("b", state="throttled"))),
            "20/100 · 2.0/s · 0 in flight · 0:40 left · a revoked",
        ),
        (
            replace(NOW, is_client_bound=True, lag_s=0.08, cpu_share=0.97),
            "20/100 · 2.0/s · 0 in flight · 0:40 left · client-bound (loop 80 ms late, 97 % of a core)",
        ),
    ],
)
def test_the_line_says_what_matters_and_no_more(now: RunStatistics, line: str) -> None:
    assert plain_line(now) == line
