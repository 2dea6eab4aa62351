"""The result of one load-test setting: one document, and one row per request for closer analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version

from providers.messages import JSON
from runners.load.request_result import RequestResult
from runners.load.run_load import ClosedLoop

from ...config.extras import DISTRIBUTION
from ..measurement.session import MeasuredSetting
from ..measurement.trial import LoadSetting, Trial, rest_s
from ..workload.load_estimate import LoadEstimate
from ..workload.prompts import SyntheticPrompts
from ..workload.workload import Workload

KIND = "bench run"


def document_of(measured: MeasuredSetting, expected: LoadEstimate, write_s: float | None) -> dict[str, JSON]:
    """Build the result document: the settings and all figures; times in seconds, None where a figure is not available."""
    trial, target, workload = measured.trial, measured.target, measured.workload
    measures = trial.measures
    return {
        "kind": KIND,
        "version": version(DISTRIBUTION),
        "ended_at": measured.ended_at.isoformat(),
        "model": target.model,
        "instances": [instance.name for instance in target.instances],
        "workload": _workload(workload),
        "setting": setting_row(trial.setting),
        "estimate": asdict(expected),
        # the figures of a ladder's rung, under the same names
        "concurrency": trial.setting.max_concurrency,
        "qpm": measures.qpm,
        "tpm": measures.tpm,
        "mean_latency_s": measures.latency_s.mean,
        "p95_latency_s": measures.latency_s.p95,
        "success_rate": measures.success_rate,
        "duration_s": trial.run.ended_at - trial.run.began_at,
        "measures": asdict(measures) | {"throttled_rate": measures.throttled_rate},
        "dispatched_per_s": trial.dispatched_per_s,
        "slots": asdict(trial.slots),
        "breakdown": asdict(trial.breakdown) | {"writing_all_s": write_s},
        "cost_usd": measured.cost_usd,
        "server": None if (server_load := trial.server.load()) is None else asdict(server_load),
        "client_limits": trial.client_limits,
        "stopped": trial.run.gone or None,
    }


def _workload(workload: Workload) -> dict[str, JSON]:
    prompts = workload.prompt
    row: dict[str, JSON] = {
        "name": workload.name,
        "input_tokens": workload.input_tokens,
        "max_output_tokens": workload.max_output_tokens,
        "stream": workload.generation.stream,
        "extra_body": workload.generation.extra_body,
    }
    return row | ({"synthetic": asdict(prompts)} if isinstance(prompts, SyntheticPrompts) else {})


def setting_row(setting: LoadSetting) -> dict[str, JSON]:
    """Build a row of the requested setting; an infinite rate or burstiness is the word `inf`."""
    load = setting.load
    is_closed = isinstance(load, ClosedLoop)
    return {
        "max_concurrency": setting.max_concurrency,
        "request_rate": _finite(setting.rate_per_s),
        "burstiness": None if isinstance(load, ClosedLoop) else _finite(load.burstiness),
        "loop": "closed" if is_closed else "open",
        "num_prompts": setting.volume.requests,
        "duration_s": setting.volume.duration_s,
        "warmup_s": setting.trim.warmup_s,
        "cooldown_s": setting.trim.cooldown_s,
        "seed": setting.seed,
    }


def _finite(value: float) -> JSON:
    return value if math.isfinite(value) else "inf"


def request_rows(trial: Trial) -> Iterator[dict[str, JSON]]:
    """Iterate over the rows of all requests in the order in which they ended; times are seconds from the start."""
    for result in trial.run.results:
        yield request_row(result, trial.run.began_at)


def request_row(result: RequestResult, began_at: float) -> dict[str, JSON]:
    """Build the row of one request; times are seconds from `began_at`, a loop time."""
    scheduled, timing, usage = result.scheduled, result.timing, result.usage
    delay_s = scheduled.dispatched_at - scheduled.scheduled_at
    return {
        "number": scheduled.number,
        "instance": scheduled.instance,
        "how": result.how,
        "status": result.status,
        "error_class": result.error_class,
        "finish_reason": result.finish_reason,
        "scheduled_s": scheduled.scheduled_at - began_at,
        "dispatched_s": scheduled.dispatched_at - began_at,
        "ended_s": result.ended_at - began_at,
        "waited_for": scheduled.waited_for,
        "queue_s": delay_s if scheduled.waited_for == "place" else 0.0,
        "rate_wait_s": delay_s if scheduled.waited_for == "arrival" else 0.0,
        "connect_s": timing.connect_s if timing else None,
        "ttft_s": timing.ttft_s if timing else None,
        "generation_s": timing.generation_s if timing else None,
        "parse_s": rest_s(result) if timing else None,
        "latency_s": result.latency_s,
        "scheduled_latency_s": result.scheduled_latency_s,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "message": result.message,
    }
