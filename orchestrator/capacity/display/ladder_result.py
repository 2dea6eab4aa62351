"""A ladder on disk: `ladder.json` and one file per rung, each whole or not there, so that a broken one goes on at the next rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from providers.errors import InputError

from ...results.stats.percentiles import Distribution
from ..measurement.measures import MINUTE_S
from ..measurement.rung import Rung
from ..search.ladder import Ladder
from ..search.recommendation import lines_to_paste, recommendation_of, say_why_none
from ..search.rules import Judgement
from .files import write_document

FILE = "ladder.json"
SETTINGS_FILE = "settings.json"
"""What a resume goes on with: the options of the command, no key among them."""
RUNG_FILE = "rung-{number:02d}-c{concurrency}.json"
_RUNGS = TypeAdapter(list[Rung])
_DISTRIBUTIONS = ("ttft_s", "tpot_s", "itl_s", "latency_s", "scheduled_latency_s")
_PERCENTILES = ("p50", "p90", "p95", "p99")


def rung_row(rung: Rung, judged: Judgement | None = None, minute_s: float = MINUTE_S) -> dict[str, Any]:
    """One flat row; a percentile below its sample floor is null."""
    measures = rung.measures
    row: dict[str, Any] = {
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
        "throttles": dict(rung.throttles),
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
        "cost_usd": rung.cost_usd,
    }
    for name in _DISTRIBUTIONS:
        times: Distribution = getattr(measures, name)
        row |= {f"mean_{name}": times.mean} | {f"{part}_{name}": getattr(times, part) for part in _PERCENTILES}
    return row


def rows_of(ladder: Ladder) -> list[dict[str, Any]]:
    """All rungs but the contrast, whose requests are others."""
    return _rows(ladder, is_contrast=False)


def _rows(ladder: Ladder, *, is_contrast: bool) -> list[dict[str, Any]]:
    pairs = zip(ladder.rungs, ladder.found.judged, strict=True)
    return [rung_row(one, its, ladder.plan.minute_s) for one, its in pairs if (one.phase == "contrast") is is_contrast]


def ladder_document(ladder: Ladder) -> dict[str, Any]:
    found, advice = ladder.found, recommendation_of(ladder)
    return {
        "name": ladder.name,
        "is_complete": ladder.is_complete,
        "limit": ladder.limit,
        "at_least": ladder.at_least,
        "recommended": None if advice is None else advice.concurrency,
        "recommendation": None if advice is None else asdict(advice),
        "no_recommendation": say_why_none(ladder) if advice is None else "",
        "paste": "" if advice is None or advice.is_verified is False else lines_to_paste(ladder.model, advice),
        "doubts": list(ladder.doubts),
        "optimum": None if ladder.is_credit else found.optimum,
        "binding": ladder.binding.limit,
        "binding_sureness": ladder.binding.sureness,
        "binding_evidence": ladder.binding.evidence,
        "qpm_ceiling": ladder.binding.qpm_ceiling,
        "tpm_ceiling": ladder.binding.tpm_ceiling,
        "stop_rule": None if found.stop is None else found.stop.rule,
        "stop": None if found.stop is None else asdict(found.stop),
        "rungs": rows_of(ladder),
        "contrast": next(iter(_rows(ladder, is_contrast=True)), None),
        "measured": list(ladder.rungs),
    }


def write_ladder(directory: Path, document: Mapping[str, Any], rung_file: str | None = RUNG_FILE) -> None:
    """The last rung's own file, then all of them. Raises StorageError, and InputError for a name that cannot be filled in."""
    rows = [*document["rungs"], *filter(None, [document["contrast"]])]
    if rung_file is not None and rows:
        write_document(directory / name_rung(rung_file, len(rows), rows[-1]["concurrency"]), rows[-1])
    write_document(directory / FILE, document)


def name_rung(template: str, number: int, concurrency: int) -> str:
    try:
        name = template.format(number=number, concurrency=concurrency)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"--result-filename {template}: only {{concurrency}} and {{number}} can be filled in"
        ) from error
    if "/" in name or name == FILE or not name:
        raise InputError(f"--result-filename {template} must name a file of its own in the result's directory")
    return name


def write_settings(directory: Path, settings: Mapping[str, Any]) -> None:
    """Raises StorageError."""
    write_document(directory / SETTINGS_FILE, settings)


def read_settings(directory: Path) -> dict[str, Any]:
    """Raises InputError."""
    path = directory / SETTINGS_FILE
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; --resume takes the directory of a ladder") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not the settings of a ladder") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is not the settings of a ladder")
    return found


def read_measured(directory: Path) -> Sequence[Rung]:
    """The rungs of a ladder that was broken off; none where it had not got that far. Raises InputError."""
    path = directory / FILE
    try:
        return _RUNGS.validate_python(orjson.loads(path.read_bytes())["measured"])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise InputError(f"{path} is not the result of a ladder") from error
