"""How a measured setting is shown: every figure beside its definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...results.stats.percentiles import SAMPLE_FLOORS, Distribution
from ...ui.terminal import say
from ..tables import print_table

if TYPE_CHECKING:
    from ...capacity.measurement.session import MeasuredSetting
    from ...capacity.measurement.trial import Trial

TIMES = (
    ("TTFT", "ttft_s", "first chunk with content − send"),
    ("TPOT", "tpot_s", "(latency − TTFT) / (output tokens − 1)"),
    ("ITL", "itl_s", "gaps between content chunks, pooled"),
    ("latency", "latency_s", "last content − send"),
    ("scheduled latency", "scheduled_latency_s", "last content − scheduled arrival"),
)
PHASES = (
    ("queue", "queue", "scheduled − sent, all places taken"),
    ("rate wait", "rate_wait", "scheduled − sent, a place free: the client's lateness"),
    ("connect", "connect", "a connection: 0 where one was open"),
    ("first token", "first_token", "send − first content"),
    ("generation", "generation", "first − last content; not streamed: send − end"),
    ("parsing", "parsing", "last content − the answer is read"),
)
HEADS = ("", "n", "mean", "p50", "p90", "p95", "p99", "max", "definition")


def print_trial(measured: MeasuredSetting, write_s: float | None) -> None:
    """Tables of what was carried, how long it took, and where the time went; then what to mind."""
    trial = measured.trial
    print_table("Carried", ("", "", "definition"), _carried(measured))
    say()
    print_table("Seconds", HEADS, _rows(trial.measures, TIMES))
    say()
    print_table("Where the time went, seconds", HEADS, _rows(trial.breakdown, PHASES))
    if write_s is not None:
        say(f"writing: {1e6 * write_s / max(1, len(trial.run.results)):.0f} µs a request, after the load")
    say()
    print_table("Slots", ("", "", "definition"), _slots(trial))
    _print_notes(measured)


def _carried(measured: MeasuredSetting) -> list[tuple[str, str, str]]:
    trial, found = measured.trial, measured.trial.measures
    rows = [
        ("attempted", f"{found.attempted:,}", "requests that ended; all are in the denominator"),
        ("success rate", _share(found.success_rate), "answers with content and a normal finish"),
        ("throttled", f"{found.throttled:,}", "refused by a quota; no success"),
    ]
    rows += [(f"failed: {name}", f"{count:,}", "no success") for name, count in sorted(found.failures.items())]
    rows += [(f"finish: {name}", f"{count:,}", "") for name, count in sorted(found.finish_reasons.items())]
    rows += [
        ("requests/s", f"{found.requests_per_s:.3f}", f"successful, over a steady window of {found.window_s:.1f} s"),
        ("output tokens/s", f"{found.output_tokens_per_s:,.1f}", _tokens_note(measured)),
        ("QPM, TPM", f"{found.qpm:,.1f}, {found.tpm:,.0f}", "successful requests and their tokens per minute"),
        ("tokens per request", _tokens_per_request(measured), "input, output; mean of the successful"),
    ]
    if (rate := trial.setting.rate_per_s) < float("inf") and trial.dispatched_per_s is not None:
        text = f"{trial.dispatched_per_s:.3f} of {rate:g}"
        rows.append(
            ("rate sent", text, f"per second, against what was asked: {trial.dispatched_per_s / rate - 1:+.2%}")
        )
    if measured.cost_usd is not None:
        rows.append(("cost", f"{measured.cost_usd:,.4f} USD", "of all that was answered"))
    return rows


def _tokens_note(measured: MeasuredSetting) -> str:
    return (
        "estimated: the server counts none" if measured.trial.measures.are_tokens_estimated else "as the server counts"
    )


def _tokens_per_request(measured: MeasuredSetting) -> str:
    found, workload = measured.trial.measures, measured.workload
    if not found.succeeded:
        return "n/a"
    asked_out = "" if workload.max_output_tokens is None else f" (at most {workload.max_output_tokens:g})"
    mean_in, mean_out = found.input_tokens / found.succeeded, found.output_tokens / found.succeeded
    return f"{mean_in:.0f} (asked {workload.input_tokens:.0f}), {mean_out:.0f}{asked_out}"


def _rows(of: object, names: tuple[tuple[str, str, str], ...]) -> list[tuple[str, ...]]:
    return [(title, *_figures(getattr(of, field)), says) for title, field, says in names]


def _figures(of: Distribution) -> tuple[str, ...]:
    if not of.n:
        return ("0", *["n/a"] * 6)
    floors = [f"n<{SAMPLE_FLOORS[q]}" for q in (90, 95, 99)]
    tails = [
        floor if value is None else _s(value) for value, floor in zip((of.p90, of.p95, of.p99), floors, strict=True)
    ]
    return (f"{of.n:,}", _s(of.mean), _s(of.p50), *tails, _s(of.most))


def _s(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}" if value < 10 else f"{value:.2f}"


def _share(value: float) -> str:
    return f"{100 * value:.2f} %"


def _slots(trial: Trial) -> list[tuple[str, str, str]]:
    slots, found = trial.slots, trial.measures
    expected = slots.expected_in_flight
    limit, rate = trial.setting.max_concurrency, trial.setting.rate_per_s
    law = f"min(limit {limit or 'none'}, rate {rate:g} × mean latency)"
    ended = ", ".join(f"{count:,} {name}" for name, count in sorted(slots.waits_ended_by.items()))
    busiest = sorted(slots.at_level.items(), key=lambda item: -item[1])[:3]
    return [
        ("in flight", f"{slots.mean_in_flight:.2f}", "mean over the steady window"),
        ("expected", "n/a" if expected is None else f"{expected:.2f}", law),
        ("over all", f"{found.achieved_concurrency:.2f}", "sum of latencies / wall time, start and end included"),
        ("peak", f"{found.peak_in_flight:,}", "most at once"),
        (
            "most of the time",
            ", ".join(f"{level} ({share:.0%})" for level, share in busiest),
            "in flight, by share of time",
        ),
        ("sent because", ended, "arrival: its time had come; place: another request had ended"),
        (
            "client",
            f"loop {1000 * found.lag_p95_s:.1f} ms late, {_share(found.cpu_share)} of a core",
            "p95; over the run",
        ),
    ]


def _print_notes(measured: MeasuredSetting) -> None:
    trial = measured.trial
    if trial.measures.first_error:
        say(f"first error: {trial.measures.first_error}")
    if (seen := trial.server.load()) is not None:
        figures = (
            ("running", seen.mean_running),
            ("peak running", seen.peak_running),
            ("peak waiting", seen.peak_waiting),
        )
        said = [f"{name} {value:g}" for name, value in figures if value is not None]
        said += [f"fullest cache {seen.peak_cache_use:.0%}"] if seen.peak_cache_use is not None else []
        say(f"the server says of itself ({seen.looks} looks): {', '.join(said)}")
    if trial.client_limits:
        say(
            f"client-limited: {'; '.join(trial.client_limits)}. The figures say less about the server than they seem to."
        )
    if trial.measures.is_burst:
        say("shorter than two minutes: a quota may have been met from stored credit")
    if trial.run.gone:
        say(f"stopped early: {trial.run.gone}")
