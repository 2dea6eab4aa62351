"""Rungs whose figures a test chooses."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.capacity.measurement.measures import Measures
from orchestrator.capacity.measurement.rung import Bursts, Phase, QuotaVariation, Rung, Unit
from orchestrator.capacity.measurement.server_metrics import ServerLoad
from orchestrator.results.stats.percentiles import distribution


def a_rung(
    concurrency: int,
    qpm: float,
    *,
    phase: Phase = "climb",
    latency_s: float = 1.0,
    ttft_s: float | None = 0.2,
    token_s: float | None = None,
    attempted: int = 200,
    failed: int = 0,
    throttles: Mapping[Unit, int] | None = None,
    cpu_share: float = 0.2,
    lag_s: float = 0.001,
    tokens: float = 500.0,
    output: int = 50,
    bursts: Bursts | None = None,
    flow: QuotaVariation | None = None,
    server: ServerLoad | None = None,
    gone: str = "",
    told: tuple[float | None, float | None] = (None, None),
) -> Rung:
    throttled = sum((throttles or {}).values())
    times, none = distribution([latency_s] * 200), distribution([])
    measures = Measures(
        attempted=attempted,
        succeeded=attempted - failed - throttled,
        throttled=throttled,
        failures={"server_error": failed} if failed else {},
        finish_reasons={},
        window_s=120.0,
        requests_per_s=qpm / 60,
        output_tokens_per_s=qpm,
        qpm=qpm,
        tpm=qpm * tokens,
        peak_qpm=qpm,
        peak_tpm=qpm * tokens,
        is_burst=False,
        achieved_concurrency=concurrency,
        peak_in_flight=concurrency,
        ttft_s=none if ttft_s is None else distribution([ttft_s] * 200),
        tpot_s=none if token_s is None else distribution([token_s] * 200),
        itl_s=none,
        latency_s=times,
        scheduled_latency_s=times,
        dispatch_delay_s=none,
        input_tokens=100 * attempted,
        output_tokens=output * attempted,
        are_tokens_estimated=False,
        cpu_share=cpu_share,
        lag_p95_s=lag_s,
    )
    return Rung(concurrency, phase, measures, throttles or {}, *told, bursts, flow, server, gone)
