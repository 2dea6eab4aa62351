"""The rows of `overhead`: one per measured point, for the table and for the JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..cores import describe_machine
from .processes import RequestCost
from .trials import OverheadTrial


@dataclass(frozen=True, slots=True)
class OverheadRow:
    """One row of the table and of the JSON file."""

    client: str
    mode: str | None = None
    workload: str | None = None
    in_flight: int | None = None
    instances: int | None = None
    cpu_ms_per_request: float | None = None
    """Median of the repetitions."""
    ratio_to_floor: float | None = None
    """Median relative to the median of the minimal client with the same workload and as many requests in flight."""
    calls_per_sample: float | None = None
    """Calls of Python and of C functions on the event loop, counted over a connection in memory."""
    halves_differ: float | None = None
    """How far the medians of the odd and the even repetitions differ, as a share: 0.05 is 5 %."""
    cpu_ms_min: float | None = None
    cpu_ms_max: float | None = None
    ratio_of_minima: float | None = None
    n: int | None = None
    """Requests that the figures cover, per repetition."""
    repetitions: int | None = None
    one_core_requests_per_s: float | None = None
    """Rate that one core sustains at this cost."""
    requests_per_s: float | None = None
    """Measured rate; the server's delay bounds it at in_flight / 0.25 s."""
    server_cpu_ms_per_request: float | None = None
    wall_ms: float | None = None
    ratio_to_python: float | None = None
    """Wall time relative to an interpreter that does nothing."""
    imported: str | None = None
    machine: str = ""


def halves_differ(costs: Sequence[RequestCost]) -> float | None:
    """Compare the medians of the odd and the even repetitions; None where there is one repetition."""
    odd, even = ([cost.cpu_ms for cost in costs[start::2]] for start in (0, 1))
    return abs(median(odd) / median(even) - 1) if even else None


def rows_of(
    costs: Mapping[OverheadTrial, Sequence[RequestCost]], calls: Mapping[OverheadTrial, float]
) -> list[OverheadRow]:
    """Build a row per trial."""
    return [_row(trial, own, costs[trial.floor], calls.get(trial)) for trial, own in costs.items()]


def _row(
    trial: OverheadTrial, costs: Sequence[RequestCost], floor: Sequence[RequestCost], calls: float | None
) -> OverheadRow:
    cpu_ms, floor_ms = [cost.cpu_ms for cost in costs], [cost.cpu_ms for cost in floor]
    return OverheadRow(
        client=trial.client,
        mode=trial.mode,
        workload=trial.workload,
        in_flight=trial.in_flight,
        instances=trial.instances,
        cpu_ms_per_request=median(cpu_ms),
        ratio_to_floor=median(cpu_ms) / median(floor_ms),
        calls_per_sample=calls,
        halves_differ=halves_differ(costs),
        cpu_ms_min=min(cpu_ms),
        cpu_ms_max=max(cpu_ms),
        ratio_of_minima=min(cpu_ms) / min(floor_ms),
        n=trial.n,
        repetitions=len(costs),
        one_core_requests_per_s=1000 / median(cpu_ms),
        requests_per_s=median(cost.requests_per_s for cost in costs),
        server_cpu_ms_per_request=median(cost.server_cpu_ms for cost in costs),
        machine=describe_machine(),
    )


HEADER = (
    "client",
    "mode",
    "workload",
    "in flight",
    "instances",
    "CPU ms/request",
    "min–max",
    "halves differ",
    "× floor",
    "× of minima",
    "calls/sample",
    "one core: req/s",
    "reached req/s",
)
_TEXTS = 3
"""Columns that are aligned to the left."""


def table(rows: Sequence[OverheadRow]) -> str:
    """Format the rows as a text table."""
    lines = [HEADER, *(_cells(row) for row in rows if row.wall_ms is None)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(_aligned(line, widths)) for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.ljust(width) if column < _TEXTS else cell.rjust(width)


def _cells(row: OverheadRow) -> tuple[str, ...]:
    return (
        row.client,
        row.mode or "–",
        row.workload or "–",
        _shown(row.in_flight, ",.0f"),
        _shown(row.instances, ",.0f"),
        _shown(row.cpu_ms_per_request, ".3f"),
        "–" if row.cpu_ms_min is None else f"{row.cpu_ms_min:.3f}–{row.cpu_ms_max:.3f}",
        _shown(row.halves_differ, ".0%"),
        _shown(row.ratio_to_floor, ".2f"),
        _shown(row.ratio_of_minima, ".2f"),
        _shown(row.calls_per_sample, ",.0f"),
        _shown(row.one_core_requests_per_s, ",.0f"),
        _shown(row.requests_per_s, ",.0f"),
    )


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
