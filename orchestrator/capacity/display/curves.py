"""A ladder's result as curves: throughput, efficiency and latency against concurrency, with the places that matter marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.messages import JSON

LADDER = "ladder.json"
MARKS = ("limit", "at_least", "recommended", "optimum")
"""Keys of a ladder's result that are concurrencies."""
FLAT = 0.25
"""Share of the slope before the knee that the slope after it has at most (as guidellm draws it)."""


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
    rows: Sequence[Mapping[str, JSON]]
    """Flat figures of all rungs, in the order in which they were measured."""
    verdicts: Sequence[str]
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


def curves_of(document: Mapping[str, JSON]) -> Curves:
    """Raises KeyError, TypeError or ValueError where rungs lack their figures."""
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
        verdicts=[str(row.get("verdict") or "") for row in rows],
        stop=str(document.get("stop_rule") or ""),
        says=_says(document),
        paste=str(document.get("paste") or ""),
    )


def _rungs(value: JSON) -> list[Mapping[str, JSON]]:
    """Raises TypeError where they are not rows."""
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise TypeError("its rungs are no rows")
    return value


def number_of(value: JSON) -> float:
    """Read a figure, also one that is written as text. Raises TypeError and ValueError where it is none."""
    if not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def say_ceiling(qpm: float | None, tpm: float | None) -> str:
    figures = [f"{qpm:,.1f} QPM" if qpm is not None else "", f"{tpm:,.0f} TPM" if tpm is not None else ""]
    return ", ".join(filter(None, figures)) or "unknown"


def _says(document: Mapping[str, JSON]) -> list[str]:
    lines = []
    if binding := document.get("binding"):
        lines.append(f"binding: {binding} ({document['binding_sureness']}): {document['binding_evidence']}")
    qpm, tpm = _number(document.get("qpm_ceiling")), _number(document.get("tpm_ceiling"))
    if binding and document.get("stop_rule"):
        lines.append(f"ceiling: {say_ceiling(qpm, tpm)}")
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


def find_knee(concurrency: Sequence[int], throughput: Sequence[float]) -> int | None:
    """Where two straight lines that meet describe the curve best, and the second is flat; None where it is flat nowhere."""
    found: tuple[float, int] | None = None
    for at in range(1, len(concurrency) - 1):
        rise, rise_error = _line(concurrency[: at + 1], throughput[: at + 1])
        tail, tail_error = _line(concurrency[at:], throughput[at:])
        if rise > 0 and tail <= FLAT * rise and (found is None or rise_error + tail_error < found[0]):
            found = (rise_error + tail_error, concurrency[at])
    return None if found is None else found[1]


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line, and the sum of its squared errors."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = [(one - mean_x, other - mean_y) for one, other in zip(x, y, strict=True)]
    slope = sum(a * b for a, b in pairs) / sum(a * a for a, _b in pairs)
    return slope, sum((b - slope * a) ** 2 for a, b in pairs)


def _concurrency(value: object) -> int | None:
    """A number, or an object that holds it."""
    if isinstance(value, Mapping):
        value = value.get("concurrency")
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _flat(row: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in row.items() if not isinstance(value, Mapping | list)}


def table_rows(curves: Curves) -> list[dict[str, JSON]]:
    """A row per rung for a CSV: its flat figures, and the throughput of each connection."""
    heads = list(dict.fromkeys(key for row in curves.rows for key in row))
    return [{**{head: row.get(head) for head in heads}, **_efficiency(row)} for row in curves.rows]


def _efficiency(row: Mapping[str, JSON]) -> dict[str, float]:
    rate = number_of(row["qpm"]) / 60
    return {"requests_per_s": rate, "requests_per_s_per_connection": rate / int(number_of(row["concurrency"]))}
