"""A ladder's result as curves: throughput, efficiency and latency against concurrency, with the important concurrencies marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.messages import JSON

from ...results.stats.knee import find_knee

LADDER = "ladder.json"
MARKS = ("limit", "at_least", "recommended", "optimum")
"""Keys of a ladder's result whose values are concurrencies."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values of one figure, one per concurrency; None where a rung has no value."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curves:
    """The figures that a ladder measured, ordered by concurrency."""

    title: str
    concurrency: Sequence[int]
    throughput: Sequence[float]
    """Requests per second."""
    latencies: Sequence[Curve]
    first_tokens: Sequence[Curve]
    success: Sequence[float]
    marks: Mapping[str, int]
    """Concurrency of each named mark."""
    rows: Sequence[Mapping[str, JSON]]
    """Flat figures of all rungs, in measuring order."""
    stop: str
    """The rule that stopped the ladder."""
    notes: Sequence[str] = ()
    """Sentences about the binding limit, the throughput ceiling, and doubts."""
    throughput_bounds: Sequence[tuple[float, float]] = ()
    """The interval of every throughput; empty where a rung has none, as in results of earlier versions."""
    paste: str = ""
    """Lines for the sweep file."""

    @property
    def efficiency(self) -> list[float]:
        """Requests per second and connection."""
        return [rate / level for rate, level in zip(self.throughput, self.concurrency, strict=True)]


def read_curves(path: Path) -> Curves:
    """Read `ladder.json`, or the directory that contains it. Raises InputError that names the file and the key."""
    file = ladder_file(path)
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    try:
        return curves_of(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not a ladder's result: {error!r}; its rungs need concurrency and qpm") from error


def ladder_file(path: Path) -> Path:
    """Return the path of `ladder.json`. Raises InputError for a directory that contains the ladders of several instances."""
    if not path.is_dir() or (path / LADDER).exists():
        return path / LADDER if path.is_dir() else path
    if directories := sorted(str(file.parent) for file in path.glob(f"*/{LADDER}")):
        raise InputError(f"{path} holds the ladders of several instances; name one of them: {', '.join(directories)}")
    return path / LADDER


def curves_of(document: Mapping[str, JSON]) -> Curves:
    """Build the curves from a ladder's result. Raises KeyError, TypeError or ValueError where rungs lack their figures."""
    measured = _rungs(document["rungs"])
    by_level = {int(number_of(row["concurrency"])): row for row in measured}  # measured twice: the last one stands
    if not by_level:
        raise ValueError("it has no rung")
    rows = [by_level[level] for level in sorted(by_level)]
    return Curves(
        title=str(document.get("name") or "load test"),
        concurrency=sorted(by_level),
        throughput=[number_of(row["qpm"]) / 60 for row in rows],
        latencies=_curves(
            rows,
            (("mean", "mean_latency_s"), ("p50", "p50_latency_s"), ("p95", "p95_latency_s"), ("p99", "p99_latency_s")),
        ),
        first_tokens=_curves(rows, (("TTFT p50", "p50_ttft_s"),)),
        success=[number_of(row.get("success_rate", 1.0)) for row in rows],
        marks=_marks(document, {level: number_of(row["qpm"]) for level, row in sorted(by_level.items())}),
        rows=[_flat(row) for row in measured],
        stop=str(document.get("stop_rule") or ""),
        notes=_notes(document),
        throughput_bounds=_bounds(rows),
        paste=str(document.get("paste") or ""),
    )


def _bounds(rows: Sequence[Mapping[str, JSON]]) -> list[tuple[float, float]]:
    pairs = [(_number(row.get("qpm_low")), _number(row.get("qpm_high"))) for row in rows]
    known = [(low / 60, high / 60) for low, high in pairs if low is not None and high is not None]
    return known if len(known) == len(rows) else []


def _rungs(value: JSON) -> list[Mapping[str, JSON]]:
    """Return the rungs as rows. Raises TypeError if they are not rows."""
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise TypeError("its rungs are no rows")
    return value


def number_of(value: JSON) -> float:
    """Read a figure, also one that is written as text. Raises TypeError and ValueError where it is none."""
    if not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def format_bounds(low: float, high: float) -> str:
    """Format the interval of a limit; whole requests."""
    return f"{max(1, math.floor(low))} and {math.ceil(high)}"


def format_ceiling(qpm: float | None, tpm: float | None) -> str:
    """Format a ceiling of queries and tokens per minute; `unknown` if neither is known."""
    figures = [f"{qpm:,.1f} QPM" if qpm is not None else "", f"{tpm:,.0f} TPM" if tpm is not None else ""]
    return ", ".join(filter(None, figures)) or "unknown"


def _notes(document: Mapping[str, JSON]) -> list[str]:
    lines = []
    if binding := document.get("binding"):
        lines.append(f"binding: {binding} ({document['binding_sureness']}): {document['binding_evidence']}")
    qpm, tpm = _number(document.get("qpm_ceiling")), _number(document.get("tpm_ceiling"))
    low, high = _number(document.get("limit_low")), _number(document.get("limit_high"))
    if low is not None and high is not None:
        lines.append(f"limit: {document.get('limit')} concurrent requests, between {format_bounds(low, high)}")
    if binding and document.get("stop_rule"):
        lines.append(f"ceiling: {format_ceiling(qpm, tpm)}")
    if requests := document.get("requests"):
        lines.append(f"cost: {requests} requests, of which {document.get('stragglers') or 0} were stragglers")
    if none := document.get("no_recommendation"):
        lines.append(f"no recommendation: {none}")
    doubts = document.get("doubts", ())
    return [*lines, *map(str, doubts if isinstance(doubts, list) else ())]


def _curves(rows: Sequence[Mapping[str, JSON]], names: Sequence[tuple[str, str]]) -> list[Curve]:
    found = [Curve(name, [_number(row.get(key)) for row in rows]) for name, key in names]
    return [curve for curve in found if any(value is not None for value in curve.values)]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _marks(document: Mapping[str, JSON], qpm: Mapping[int, float]) -> dict[str, int]:
    found = {"knee": find_knee(list(qpm), list(qpm.values()))}
    found |= {key: _concurrency(document.get(key)) for key in MARKS}
    return {name: at for name, at in found.items() if at is not None}


def _concurrency(value: object) -> int | None:
    """Read a number, or the number that an object contains."""
    if isinstance(value, Mapping):
        value = value.get("concurrency")
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _flat(row: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in row.items() if not isinstance(value, Mapping | list)}


def table_rows(curves: Curves) -> list[dict[str, JSON]]:
    """Build one CSV row per rung: its flat figures and the throughput per connection."""
    heads = list(dict.fromkeys(key for row in curves.rows for key in row))
    return [{**{head: row.get(head) for head in heads}, **_efficiency(row)} for row in curves.rows]


def _efficiency(row: Mapping[str, JSON]) -> dict[str, float]:
    rate = number_of(row["qpm"]) / 60
    return {"requests_per_s": rate, "requests_per_s_per_connection": rate / int(number_of(row["concurrency"]))}
