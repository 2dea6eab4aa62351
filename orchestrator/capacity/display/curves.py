"""A ladder's result as curves: throughput, efficiency and latency against concurrency, with the places that matter marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from providers.errors import InputError

from ...results.stats.knee import find_knee

LADDER = "ladder.json"
MARKS = ("limit", "at_least", "recommended", "optimum")
"""Keys of a ladder's result that are concurrencies."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values by concurrency; where a rung has none, None."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curves:
    """What a ladder measured, in the order of concurrency."""

    title: str
    concurrency: Sequence[int]
    throughput: Sequence[float]
    """Requests per second."""
    latencies: Sequence[Curve]
    first_tokens: Sequence[Curve]
    success: Sequence[float]
    marks: Mapping[str, int]
    """Names and the concurrencies that they mark."""
    rows: Sequence[Mapping[str, Any]]
    """Flat figures of all rungs, in the order in which they were measured."""
    stop: str
    """Which rule ended the climb."""
    says: Sequence[str] = ()
    """What binds, where throughput ends, and what to mind."""
    paste: str = ""
    """For the sweep file."""

    @property
    def efficiency(self) -> list[float]:
        """Requests per second and connection."""
        return [rate / level for rate, level in zip(self.throughput, self.concurrency, strict=True)]


def read_curves(path: Path) -> Curves:
    """`ladder.json`, or the directory that holds it. Raises InputError that names the file and the key."""
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
    """Raises InputError for the directory of several instances' ladders."""
    if not path.is_dir() or (path / LADDER).exists():
        return path / LADDER if path.is_dir() else path
    if each := sorted(str(one.parent) for one in path.glob(f"*/{LADDER}")):
        raise InputError(f"{path} holds the ladders of several instances; name one of them: {', '.join(each)}")
    return path / LADDER


def curves_of(document: Mapping[str, Any]) -> Curves:
    """Raises KeyError, TypeError or ValueError where rungs lack their figures."""
    by_level = {int(row["concurrency"]): row for row in document["rungs"]}  # measured twice: the last one stands
    if not by_level:
        raise ValueError("it has no rung")
    rows = [by_level[level] for level in sorted(by_level)]
    return Curves(
        title=str(document.get("name") or "load test"),
        concurrency=sorted(by_level),
        throughput=[float(row["qpm"]) / 60 for row in rows],
        latencies=_curves(
            rows,
            (("mean", "mean_latency_s"), ("p50", "p50_latency_s"), ("p95", "p95_latency_s"), ("p99", "p99_latency_s")),
        ),
        first_tokens=_curves(rows, (("TTFT p50", "p50_ttft_s"),)),
        success=[float(row.get("success_rate", 1.0)) for row in rows],
        marks=_marks(document, {level: float(row["qpm"]) for level, row in sorted(by_level.items())}),
        rows=[_flat(row) for row in document["rungs"]],
        stop=str(document.get("stop_rule") or ""),
        says=_says(document),
        paste=str(document.get("paste") or ""),
    )


def say_ceiling(qpm: float | None, tpm: float | None) -> str:
    figures = [f"{qpm:,.1f} QPM" if qpm is not None else "", f"{tpm:,.0f} TPM" if tpm is not None else ""]
    return ", ".join(filter(None, figures)) or "unknown"


def _says(document: Mapping[str, Any]) -> list[str]:
    lines = []
    if binding := document.get("binding"):
        lines.append(f"binding: {binding} ({document['binding_sureness']}): {document['binding_evidence']}")
    qpm, tpm = _number(document.get("qpm_ceiling")), _number(document.get("tpm_ceiling"))
    if binding and document.get("stop_rule"):
        lines.append(f"ceiling: {say_ceiling(qpm, tpm)}")
    if none := document.get("no_recommendation"):
        lines.append(f"no recommendation: {none}")
    return [*lines, *document.get("doubts", ())]


def _curves(rows: Sequence[Mapping[str, Any]], names: Sequence[tuple[str, str]]) -> list[Curve]:
    found = [Curve(name, [_number(row.get(key)) for row in rows]) for name, key in names]
    return [curve for curve in found if any(value is not None for value in curve.values)]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _marks(document: Mapping[str, Any], qpm: Mapping[int, float]) -> dict[str, int]:
    found = {"knee": find_knee(list(qpm), list(qpm.values()))}
    found |= {key: _concurrency(document.get(key)) for key in MARKS}
    return {name: at for name, at in found.items() if at is not None}


def _concurrency(value: object) -> int | None:
    """A number, or an object that holds it."""
    if isinstance(value, Mapping):
        value = value.get("concurrency")
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not isinstance(value, Mapping | list)}


def table_rows(curves: Curves) -> list[dict[str, Any]]:
    """A row per rung for a CSV: its flat figures, and the throughput of each connection."""
    heads = list(dict.fromkeys(key for row in curves.rows for key in row))
    return [{**{head: row.get(head) for head in heads}, **_efficiency(row)} for row in curves.rows]


def _efficiency(row: Mapping[str, Any]) -> dict[str, float]:
    rate = float(row["qpm"]) / 60
    return {"requests_per_s": rate, "requests_per_s_per_connection": rate / int(row["concurrency"])}
