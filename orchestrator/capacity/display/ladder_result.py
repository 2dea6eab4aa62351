"""The files of a ladder: `ladder.json` and one file per rung.

Each is written completely or not at all, so that a resume continues at the next rung.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import orjson
from pydantic import TypeAdapter, ValidationError

from providers.errors import InputError
from providers.messages import JSON

from ...results.stats.percentiles import Distribution
from ..measurement.measures import MINUTE_S, Measures
from ..measurement.rung import Rung
from ..search.ladder import Ladder
from ..search.recommendation import explain_no_recommendation, lines_to_paste, recommendation_of
from ..search.rules import Judgement
from .files import write_document

FILE = "ladder.json"
SETTINGS_FILE = "settings.json"
"""The options of the command, for a resume. It contains no key."""
RUNG_FILE = "rung-{number:02d}-c{concurrency}.json"
_RUNGS = TypeAdapter(list[Rung])
_DISTRIBUTIONS = ("ttft_s", "tpot_s", "itl_s", "latency_s", "scheduled_latency_s")
_PERCENTILES = ("p50", "p90", "p95", "p99")


class LadderDocument(TypedDict):
    """What `ladder.json` holds. The figures of a rung are those of `rung_row`."""

    name: str
    is_complete: bool
    limit: int | None
    limit_low: float | None
    limit_high: float | None
    at_least: int | None
    requests: int
    stragglers: int
    cost_usd: float | None
    recommended: int | None
    recommendation: dict[str, JSON] | None
    no_recommendation: str
    paste: str
    doubts: list[str]
    optimum: int | None
    binding: str
    binding_sureness: str
    binding_evidence: str
    qpm_ceiling: float | None
    tpm_ceiling: float | None
    stop_rule: str | None
    stop: dict[str, JSON] | None
    rungs: list[dict[str, JSON]]
    contrast: dict[str, JSON] | None
    measured: list[Rung]


def rung_row(rung: Rung, judged: Judgement | None = None, minute_s: float = MINUTE_S) -> dict[str, JSON]:
    """Build one flat row of a rung's figures; a percentile below its sample floor is None."""
    measures = rung.measures
    return {
        "concurrency": rung.concurrency,
        "phase": rung.phase,
        "verdict": judged.verdict if judged else None,
        "reason": judged.reason if judged else "",
        "is_burst": measures.is_burst,
        "minute_s": minute_s,
        "qpm": measures.qpm,
        "tpm": measures.tpm,
        "mean_latency_s": measures.latency_s.mean,
        "error_rate": 1 - measures.success_rate,
        "throttled_rate": measures.throttled_rate,
        "success_rate": measures.success_rate,
        "requests_per_s": measures.requests_per_s,
        "output_tokens_per_s": measures.output_tokens_per_s,
        "gain": judged.gain if judged else None,
        "gain_per_doubling": judged.gain_per_doubling if judged else None,
        "requests_per_s_per_connection": measures.requests_per_s / rung.concurrency,
        "n": measures.attempted,
        "succeeded": measures.succeeded,
        "failures": dict(measures.failures),
        "throttles": {str(by): count for by, count in rung.throttles.items()},
        "achieved_concurrency": measures.achieved_concurrency,
        "peak_in_flight": measures.peak_in_flight,
        "peak_qpm": measures.peak_qpm,
        "peak_tpm": measures.peak_tpm,
        "cpu_share": measures.cpu_share,
        "starved_share": rung.starved_share,
        "lag_p95_s": measures.lag_p95_s,
        "first_error": measures.first_error,
        "input_tokens": measures.input_tokens,
        "output_tokens": measures.output_tokens,
        "are_tokens_estimated": measures.are_tokens_estimated,
        "window_s": measures.window_s,
        **_interval(rung, minute_s),
        "cost_usd": rung.cost_usd,
        **_times(measures),
    }


def _interval(rung: Rung, minute_s: float) -> dict[str, JSON]:
    throughput = rung.throughput
    if throughput is None:
        return {"qpm_low": None, "qpm_high": None, "stragglers": None, "stragglers_s": None}
    return {
        "qpm_low": throughput.low * minute_s,
        "qpm_high": throughput.high * minute_s,
        "stragglers": throughput.stragglers,
        "stragglers_s": list(throughput.stragglers_s),
    }


def _times(measures: Measures) -> dict[str, JSON]:
    row: dict[str, JSON] = {}
    for name in _DISTRIBUTIONS:
        times: Distribution = getattr(measures, name)
        row |= {f"mean_{name}": times.mean} | {f"{part}_{name}": getattr(times, part) for part in _PERCENTILES}
    return row


def rows_of(ladder: Ladder) -> list[dict[str, JSON]]:
    """Build the rows of all rungs except the contrast, which sends other requests."""
    return _rows(ladder, is_contrast=False)


def _rows(ladder: Ladder, *, is_contrast: bool) -> list[dict[str, JSON]]:
    pairs = zip(ladder.rungs, ladder.found.judged, strict=True)
    return [
        rung_row(rung, judgement, ladder.plan.minute_s)
        for rung, judgement in pairs
        if (rung.phase == "contrast") is is_contrast
    ]


def ladder_document(ladder: Ladder) -> LadderDocument:
    """Build the JSON document of a ladder."""
    findings, advice = ladder.found, recommendation_of(ladder)
    return {
        "name": ladder.name,
        "is_complete": ladder.is_complete,
        "limit": ladder.limit,
        "limit_low": None if ladder.interval is None else ladder.interval.low,
        "limit_high": None if ladder.interval is None else ladder.interval.high,
        "at_least": ladder.at_least,
        "requests": ladder.requests,
        "stragglers": ladder.stragglers,
        "cost_usd": ladder.cost_usd,
        "recommended": None if advice is None else advice.concurrency,
        "recommendation": None if advice is None else asdict(advice),
        "no_recommendation": explain_no_recommendation(ladder) if advice is None else "",
        "paste": "" if advice is None or advice.is_verified is False else lines_to_paste(ladder.model, advice),
        "doubts": list(ladder.doubts),
        "optimum": None if ladder.is_credit else findings.optimum,
        "binding": ladder.binding.limit,
        "binding_sureness": ladder.binding.sureness,
        "binding_evidence": ladder.binding.evidence,
        "qpm_ceiling": ladder.binding.qpm_ceiling,
        "tpm_ceiling": ladder.binding.tpm_ceiling,
        "stop_rule": None if findings.stop is None else findings.stop.rule,
        "stop": None if findings.stop is None else asdict(findings.stop),
        "rungs": rows_of(ladder),
        "contrast": next(iter(_rows(ladder, is_contrast=True)), None),
        "measured": list(ladder.rungs),
    }


def write_ladder(directory: Path, document: LadderDocument, rung_file: str | None = RUNG_FILE) -> None:
    """Write the last rung's file, then the file of all rungs. Raises StorageError, and InputError for an invalid name template."""
    contrast = document["contrast"]
    rows = document["rungs"] if contrast is None else [*document["rungs"], contrast]
    if rung_file is not None and rows:
        name = name_rung(rung_file, len(rows), document["measured"][-1].concurrency)
        write_document(directory / name, rows[-1])
    write_document(directory / FILE, document)


def name_rung(template: str, number: int, concurrency: int) -> str:
    """Fill in the name of a rung's file. Raises InputError for an invalid template."""
    try:
        name = template.format(number=number, concurrency=concurrency)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"--result-filename {template}: only {{concurrency}} and {{number}} can be used") from error
    if "/" in name or name == FILE or not name:
        raise InputError(f"--result-filename {template} must name a separate file in the result directory")
    return name


def write_settings(directory: Path, settings: Mapping[str, object]) -> None:
    """Write the settings of a ladder. Raises StorageError."""
    write_document(directory / SETTINGS_FILE, settings)


def read_settings(directory: Path) -> dict[str, JSON]:
    """Read the settings of a ladder. Raises InputError."""
    path = directory / SETTINGS_FILE
    try:
        settings = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; --resume takes the directory of a ladder") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not the settings of a ladder") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not the settings of a ladder")
    return settings


def read_measured(directory: Path) -> Sequence[Rung]:
    """Read the rungs that an interrupted ladder has measured; empty where there are none. Raises InputError."""
    path = directory / FILE
    try:
        return _RUNGS.validate_python(orjson.loads(path.read_bytes())["measured"])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise InputError(f"{path} is not the result of a ladder") from error
