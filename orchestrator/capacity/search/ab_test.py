"""Compare A with B under the same load, in alternating blocks with the same prompts, so that a busy hour affects both."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runners.load.request_result import RequestResult
from runners.load.run_load import ClosedLoop, LoadGenerator, LoadRun, Target, Volume, run_load

from ...results.stats.paired import Pairs, compare_pairs, holm
from ..measurement.bench import RetryAfterSender
from ..measurement.measures import MINUTE_S, measure

Verdict = Literal["better", "worse", "no evidence"]
SIGNIFICANT = 0.05
FEWEST_ROUNDS = 5
"""Blocks are compared. With fewer blocks an interval means nothing."""


@dataclass(frozen=True, slots=True)
class AbTest:
    """The settings of an A/B test."""

    concurrency: int
    rounds: int
    requests: int
    """Requests of each block."""
    minute_s: float = MINUTE_S


@dataclass(frozen=True, slots=True)
class Difference:
    """B compared with A in one figure."""

    figure: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    n: int
    verdict: Verdict
    """The verdict on B."""


Blocks = list[tuple[LoadRun, LoadRun]]


async def run_ab_test(ab_test: AbTest, first: Target, second: Target, on_round: Callable[[int], None]) -> Blocks:
    """Run blocks in the order ABAB …, with the same prompts for both in every round.

    It ends early where an instance is lost or the budget is spent.
    """
    blocks: Blocks = []
    for number in range(ab_test.rounds):
        a = await _block(ab_test, first, number, "a")
        b = await _block(ab_test, second, number, "b")
        if a.gone or b.gone:
            break
        blocks.append((a, b))
        on_round(number + 1)
    return blocks


async def _block(ab_test: AbTest, target: Target, number: int, name: str) -> LoadRun:
    began = number * ab_test.requests
    shifted = Target(
        target.instances,
        {provider: RetryAfterSender(sender, ab_test.minute_s) for provider, sender in target.senders.items()},
        lambda request: target.ask(began + request),
        target.attempt_s,
    )
    load_generator = LoadGenerator(shifted, f"ab-test-{name}-{number}")
    run = await run_load(load_generator, ClosedLoop(ab_test.concurrency), Volume(requests=ab_test.requests))
    waits = [
        result.hint.retry_after_s or 0.0
        for result in run.results
        if result.hint is not None and result.how == "throttled"
    ]
    await asyncio.sleep(max(waits, default=0.0))
    return run


def differences(blocks: Blocks) -> list[Difference]:
    """Compare answered requests in pairs, clustered by round, and rates block by block, with Holm's correction over all figures."""
    figures = [
        figure for figure in (_latency(blocks), _ttft(blocks), _success(blocks), *_rates(blocks)) if figure is not None
    ]
    compared = [(name, sign, pairs, compare_pairs(pairs)) for name, sign, pairs in figures]
    adjusted = holm([_known(comparison.p_value) for *_figure, comparison in compared])
    return [
        Difference(
            name,
            math.fsum(pairs.first) / len(pairs.first),
            math.fsum(pairs.second) / len(pairs.second),
            comparison.difference,
            comparison.interval.low,
            comparison.interval.high,
            p_value,
            comparison.n,
            _verdict(comparison.difference * sign, comparison.interval.low, comparison.interval.high, p_value),
        )
        for (name, sign, pairs, comparison), p_value in zip(compared, adjusted, strict=True)
    ]


Figure = tuple[str, int, Pairs]
"""Name, +1 where more is better, and the pairs."""


def _latency(blocks: Blocks) -> Figure | None:
    return _per_request("latency_s", -1, blocks, lambda result: result.latency_s)


def _ttft(blocks: Blocks) -> Figure | None:
    return _per_request("ttft_s", -1, blocks, lambda result: result.timing.ttft_s if result.timing else None)


def _success(blocks: Blocks) -> Figure | None:
    return _per_request("success_rate", 1, blocks, lambda result: float(result.how == "ok"))


def _per_request(name: str, sign: int, blocks: Blocks, value: Callable[[RequestResult], float | None]) -> Figure | None:
    first, second, rounds = list[float](), list[float](), list[str]()
    for number, (a, b) in enumerate(blocks):
        values_of_b = {result.scheduled.number: value(result) for result in b.results}
        for result in a.results:
            value_a, value_b = value(result), values_of_b.get(result.scheduled.number)
            if value_a is not None and value_b is not None:
                first.append(value_a)
                second.append(value_b)
                rounds.append(str(number))
    return (name, sign, Pairs(first, second, rounds)) if first else None


def _rates(blocks: Blocks) -> list[Figure]:
    measured = [(measure(a), measure(b)) for a, b in blocks]
    rounds = [str(number) for number in range(len(measured))]
    if not measured:
        return []
    requests = Pairs([a.requests_per_s for a, _ in measured], [b.requests_per_s for _, b in measured], rounds)
    tokens = Pairs([a.output_tokens_per_s for a, _ in measured], [b.output_tokens_per_s for _, b in measured], rounds)
    return [("requests_per_s", 1, requests), ("output_tokens_per_s", 1, tokens)]


def _known(p_value: float) -> float:
    return 1.0 if math.isnan(p_value) else p_value


def _verdict(gain: float, low: float, high: float, p_value: float) -> Verdict:
    if low <= 0 <= high or p_value >= SIGNIFICANT:
        return "no evidence"
    return "better" if gain > 0 else "worse"


def are_enough(blocks: Sequence[tuple[LoadRun, LoadRun]]) -> bool:
    """Check whether there are enough blocks for an interval."""
    return len(blocks) >= FEWEST_ROUNDS
