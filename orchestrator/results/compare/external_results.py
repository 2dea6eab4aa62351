"""Read result files of other tools, guidellm and evalscope perf, for the four figures that all of them report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from providers.errors import InputError

from .stages import StageFigures

GUIDELLM = "benchmarks"
EVALSCOPE = "Req Throughput (req/s)"


def read_external_results(path: Path) -> list[StageFigures]:
    """Read one stage per benchmark in the file. Raises InputError where the file is from neither tool."""
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if isinstance(document, dict):
        for key, read in READERS.items():
            if key in document:
                return _read(path, read, document)
    raise InputError(
        f"{path} is neither a run directory nor a result file of guidellm (benchmarks.json) or evalscope (benchmark_summary.json)"
    )


def _read(
    path: Path, read: Callable[[str, Mapping[str, Any]], list[StageFigures]], document: Any
) -> list[StageFigures]:
    try:
        return read(path.stem, document)
    except (KeyError, TypeError, IndexError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} lacks a figure that a comparison needs: {error!r}; check that the benchmark finished"
        ) from error


def _guidellm(name: str, document: Mapping[str, Any]) -> list[StageFigures]:
    """Read guidellm 0.8: `metrics` of every benchmark, by outcome; latencies in seconds, of successful requests."""
    benchmarks = document["benchmarks"]
    return [
        _guidellm_stage(name if len(benchmarks) == 1 else f"{name}[{i}]", benchmark)
        for i, benchmark in enumerate(benchmarks)
    ]


def _guidellm_stage(name: str, benchmark: Mapping[str, Any]) -> StageFigures:
    metrics, totals = benchmark["metrics"], benchmark["metrics"]["request_totals"]
    return StageFigures(
        name=name,
        success_rate=totals["successful"] / totals["total"],
        mean_response_s=metrics["request_latency"]["successful"]["mean"],
        tokens_per_s=metrics["output_token_count"]["successful"]["total_sum"] / benchmark["duration"],
        total_s=benchmark["duration"],
    )


def _evalscope(name: str, document: Mapping[str, Any]) -> list[StageFigures]:
    """Read evalscope 1.14 perf: one flat object with units in its keys."""
    return [
        StageFigures(
            name=name,
            success_rate=document["Success Requests"] / document["Total Requests"],
            mean_response_s=document["Avg Latency (s)"],
            tokens_per_s=document["Output Throughput (tok/s)"],
            total_s=document["Test Duration (s)"],
        )
    ]


READERS: Mapping[str, Callable[[str, Mapping[str, Any]], list[StageFigures]]] = {
    GUIDELLM: _guidellm,
    EVALSCOPE: _evalscope,
}
