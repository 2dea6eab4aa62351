"""`bench compare`: two models, deployments or instances under the same load, in turns; better, worse, or no evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from .options import MINUTE, agree_to, load_options, read_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...capacity.measurement.session import LoadOrder
    from ...capacity.search.ab_test import AbTest, Blocks, Difference
    from .flags import CompareFlags

_COMPARE = (
    click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True),
    click.option(
        "--rounds", type=click.IntRange(5), default=10, show_default=True, help="A and B in turns, so many times."
    ),
    click.option("--requests", type=click.IntRange(1), default=32, show_default=True, help="Of each turn."),
    click.option("--fail-if-worse", is_flag=True, help="Exit 1 where B is worse in any figure."),
    MINUTE,
)


@click.command("compare")
@click.argument("config", type=click.Path())
@click.argument("a")
@click.argument("b")
@load_options(*_COMPARE)
def command(a: str, b: str, **options: Unpack[CompareFlags]) -> int:
    """Load A and B of CONFIG in turns with the same prompts and say whether B is quicker: models, deployments or instances."""
    from dataclasses import asdict

    from runners.event_loop.run_loop import run_loop

    from ...capacity.search.ab_test import AbTest, are_enough, differences
    from ...ui.terminal import say, say_json

    order = read_order(options, (a, b))
    ab_test = AbTest(options["concurrency"], options["rounds"], options["requests"], options["minute"])
    agree_to(order, 2 * ab_test.rounds * ab_test.requests, options)
    blocks = run_loop(_fight(order, ab_test, (lambda _n: None) if options["as_json"] else _tell(ab_test)))
    found = differences(blocks) if are_enough(blocks) else []
    if options["as_json"]:
        say_json({"a": a, "b": b, "rounds": len(blocks), "differences": [asdict(one) for one in found]})
    elif found:
        _show(a, b, found)
    else:
        say(
            f"no comparison: {len(blocks)} of {ab_test.rounds} rounds were fought before an instance or the money was gone"
        )
    if not found:
        return 3
    return 1 if options["fail_if_worse"] and any(one.verdict == "worse" for one in found) else 0


async def _fight(order: LoadOrder, ab_test: AbTest, on_round: Callable[[int], None]) -> Blocks:
    from providers.errors import InputError

    from ...capacity.measurement.session import open_session
    from ...capacity.measurement.target import named
    from ...capacity.search.ab_test import run_ab_test

    async with open_session(order, "bench compare") as session:
        first, second = (named(name, session.target.instances) for name in order.names)
        if {one.name for one in first} & {one.name for one in second}:
            raise InputError(f"{' and '.join(order.names)} mean the same instance: name two different ones")
        return await run_ab_test(ab_test, session.scheduled(first), session.scheduled(second), on_round)


def _tell(ab_test: AbTest) -> Callable[[int], None]:
    from ...ui.terminal import say

    return lambda number: say(f"round {number} of {ab_test.rounds}")


def _show(a: str, b: str, found: Sequence[Difference]) -> None:
    from ..tables import print_table

    rows = [
        (
            one.figure,
            f"{one.a:.4g}",
            f"{one.b:.4g}",
            f"{one.difference:+.4g}",
            f"{one.low:+.4g} to {one.high:+.4g}",
            f"{one.p_value:.2g}",
            one.n,
            one.verdict,
        )
        for one in found
    ]
    print_table(f"{b} against {a}", ("", a, b, "difference", "95 % interval", "p (Holm)", "pairs", b), rows)
