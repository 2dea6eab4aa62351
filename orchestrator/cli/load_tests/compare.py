"""`bench compare`: compare two models, deployments or instances under the same load: better, worse, or no evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from ...capacity.search.ab_test import FEWEST_ROUNDS
from .options import MINUTE, agree_to, load_options, read_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...capacity.measurement.session import LoadOrder
    from ...capacity.search.ab_test import AbTest, Blocks, Difference
    from .flags import CompareFlags

_COMPARE = (
    click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True),
    click.option(
        "--rounds",
        type=click.IntRange(FEWEST_ROUNDS),
        default=10,
        show_default=True,
        help="A and B in turns, so many times.",
    ),
    click.option("--requests", type=click.IntRange(1), default=32, show_default=True, help="Requests of each block."),
    click.option("--fail-if-worse", is_flag=True, help="Exit 1 where B is worse in any figure."),
    MINUTE,
)


@click.command("compare")
@click.argument("config", type=click.Path())
@click.argument("a")
@click.argument("b")
@load_options(*_COMPARE)
def command(a: str, b: str, **options: Unpack[CompareFlags]) -> int:
    """Load A and B of CONFIG (models, deployments or instances) in alternating blocks with the same prompts and report which is faster."""
    from dataclasses import asdict

    from runners.event_loop.run_loop import run_loop

    from ...capacity.search.ab_test import AbTest, are_enough, differences
    from ...ui.terminal import say, say_json

    order = read_order(options, (a, b))
    ab_test = AbTest(options["concurrency"], options["rounds"], options["requests"], options["minute"])
    agree_to(order, 2 * ab_test.rounds * ab_test.requests, options)
    blocks = run_loop(_run(order, ab_test, (lambda _n: None) if options["as_json"] else _print_round(ab_test)))
    compared = differences(blocks) if are_enough(blocks) else []
    if options["as_json"]:
        say_json(
            {"a": a, "b": b, "rounds": len(blocks), "differences": [asdict(difference) for difference in compared]}
        )
    elif compared:
        _show(a, b, compared)
    else:
        say(
            f"no comparison: an instance was lost or the budget was spent after {len(blocks)} of {ab_test.rounds} rounds"
        )
    if not compared:
        return 3
    return 1 if options["fail_if_worse"] and any(difference.verdict == "worse" for difference in compared) else 0


async def _run(order: LoadOrder, ab_test: AbTest, on_round: Callable[[int], None]) -> Blocks:
    from providers.errors import InputError

    from ...capacity.measurement.session import open_session
    from ...capacity.measurement.target import named
    from ...capacity.search.ab_test import run_ab_test

    async with open_session(order, "bench compare") as session:
        first, second = (named(name, session.target.instances) for name in order.names)
        if {instance.name for instance in first} & {instance.name for instance in second}:
            raise InputError(f"{' and '.join(order.names)} mean the same instance: name two different ones")
        return await run_ab_test(ab_test, session.scheduled(first), session.scheduled(second), on_round)


def _print_round(ab_test: AbTest) -> Callable[[int], None]:
    from ...ui.terminal import say

    return lambda number: say(f"round {number} of {ab_test.rounds}")


def _show(a: str, b: str, compared: Sequence[Difference]) -> None:
    from ..tables import print_table

    rows = [
        (
            difference.figure,
            f"{difference.a:.4g}",
            f"{difference.b:.4g}",
            f"{difference.difference:+.4g}",
            f"{difference.low:+.4g} to {difference.high:+.4g}",
            f"{difference.p_value:.2g}",
            difference.n,
            difference.verdict,
        )
        for difference in compared
    ]
    print_table(f"{b} against {a}", ("", a, b, "difference", "95 % interval", "p (Holm)", "pairs", b), rows)
