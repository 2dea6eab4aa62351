"""`bench qps`: the smallest concurrency that carries a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from .options import ONE_ENDPOINT, PACE, agree_to, load_options, read_order, read_rung_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from providers.messages import JSON

    from ...capacity.measurement.bench import RungDuration
    from ...capacity.measurement.rung import Rung
    from ...capacity.measurement.session import LoadOrder
    from ...capacity.search.rate_search import RateSearch
    from .flags import QpsFlags

_QPS = (
    click.option(
        "--target", type=click.FloatRange(0, min_open=True), required=True, help="Requests a second; 0.1 is one in ten."
    ),
    click.option("--max-concurrency", type=click.IntRange(1), default=1000, show_default=True),
)


@click.command("qps")
@click.argument("config", required=False, type=click.Path())
@load_options(*ONE_ENDPOINT, *PACE, *_QPS)
def command(**options: Unpack[QpsFlags]) -> int:
    """Find the smallest concurrency at which the endpoint of CONFIG reaches 95 % of a target rate. Exits 1 where none does."""
    from runners.event_loop.run_loop import run_loop

    from ...capacity.search.next_step import RUNGS
    from ...ui.terminal import say_json

    order, rung_duration = read_order(options), read_rung_duration(options)
    agree_to(order, None, options)
    most = options["max_concurrency"]
    rungs = [one for one in RUNGS if one < most] + [most]
    found = run_loop(
        _search(
            order,
            rung_duration,
            rungs,
            options["target"],
            (lambda _rung: None) if options["as_json"] else _tell(options["target"]),
        )
    )
    if options["as_json"]:
        say_json(_document(found))
    else:
        _show(found)
    return 0 if found.smallest is not None else 1


async def _search(
    order: LoadOrder,
    rung_duration: RungDuration,
    rungs: Sequence[int],
    target_qps: float,
    on_trial: Callable[[Rung], None],
) -> RateSearch:
    from ...capacity.measurement.bench import Bench
    from ...capacity.measurement.session import open_session
    from ...capacity.search.rate_search import find_concurrency

    async with open_session(order, "bench qps") as session:
        scheduled = session.scheduled(session.target.instances)
        bench = Bench(scheduled, rung_duration, session.budget, session.is_priced, session.metrics_address)
        return await find_concurrency(bench, target_qps, rungs, on_trial)


def _tell(target: float) -> Callable[[Rung], None]:
    from ...capacity.search.rate_search import delivered_qps
    from ...ui.terminal import say

    return lambda rung: say(
        f"at most {rung.concurrency} in flight: {delivered_qps(rung.measures):.4g} of {target:g} requests/s"
    )


def _rows(found: RateSearch) -> list[dict[str, JSON]]:
    from ...capacity.display.ladder_result import rung_row
    from ...capacity.search.rate_search import REACHED, delivered_qps

    rows = []
    for one in found.trials:
        delivered = delivered_qps(one.measures)
        is_reached = delivered >= REACHED * found.target_qps
        rows.append({**rung_row(one), "delivered_qps": delivered, "is_reached": is_reached})
    return rows


def _document(found: RateSearch) -> dict[str, JSON]:
    return {
        "target_qps": found.target_qps,
        "smallest_concurrency": found.smallest,
        "rate_times_latency": found.little,
        "trials": _rows(found),
    }


def _show(found: RateSearch) -> None:
    from ...ui.terminal import say
    from ..tables import print_table
    from .ladder_view import say_first_error

    columns = (
        "at most in flight",
        "reached",
        "requests/s",
        "mean latency s",
        "from schedule s",
        "errors",
        "429",
        "n",
        "",
    )
    rows = [
        (
            row["concurrency"],
            f"{row['achieved_concurrency']:.3g}",
            f"{row['delivered_qps']:.4g}",
            row["mean_latency_s"],
            row["mean_scheduled_latency_s"],
            f"{row['error_rate']:.1%}",
            f"{row['throttled_rate']:.1%}",
            row["n"],
            "carries the rate" if row["is_reached"] else "",
        )
        for row in _rows(found)
    ]
    print_table(f"{found.target_qps:g} requests/s", columns, rows)
    say_first_error(found.trials)
    if found.trials and found.trials[-1].gone:
        say(f"broken off: {found.trials[-1].gone}")
    if found.smallest is None:
        say(f"no concurrency that was tried reaches 95 % of {found.target_qps:g} requests/s")
    else:
        say(f"smallest concurrency: {found.smallest}; rate × latency of one request alone asks for {found.little:.3g}")
