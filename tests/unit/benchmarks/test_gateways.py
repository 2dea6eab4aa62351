"""The mock, the meter and the draws of `benchmarks.gateways`, over sockets of this process; no other process is started."""

from __future__ import annotations

import aiohttp
import pytest

from benchmarks.gateways.cases import ANSWERS, CASES, TRIAL_WINDOWS, WINDOWS_S, draw
from benchmarks.gateways.clients import PlainLoop
from benchmarks.gateways.meter import Count, metered, served
from benchmarks.gateways.rows import GatewayRow, compared
from benchmarks.gateways.upstream import REQUEST_TOKENS, Refusals, Upstream

AT_ONCE = (0.0, 0.0)


async def ask(url: str, times: int) -> list[tuple[int, str | None]]:
    """Return the status and the Retry-After of each answer."""
    answers = []
    async with aiohttp.ClientSession() as session:
        for _ in range(times):
            async with session.post(f"{url}/v1/chat/completions", json={}) as answer:
                answers.append((answer.status, answer.headers.get("Retry-After")))
    return answers


async def test_random_refusals_follow_the_seed_and_name_a_wait() -> None:
    refusals = Refusals(share=0.3, retry_after_s=1, seed=4)
    seen = []
    for _ in range(2):
        async with served(Upstream(refusals, AT_ONCE).answer) as url:
            seen.append(await ask(url, 40))
    assert seen[0] == seen[1]
    assert set(seen[0]) == {(200, None), (429, "1")}


async def test_an_upstream_with_a_window_refuses_what_is_above_it_without_a_hint() -> None:
    async with served(Upstream(Refusals(requests=3, window_s=3600), AT_ONCE).answer) as url:
        assert await ask(url, 5) == [(200, None)] * 3 + [(429, None)] * 2


async def test_the_meter_counts_what_passes_it_and_keeps_the_first_refusal() -> None:
    refusing = Upstream(Refusals(requests=2, window_s=3600, retry_after_s=7), AT_ONCE)
    async with served(refusing.answer) as target, metered(target) as (meter, url):
        assert await ask(url, 3) == [(200, None)] * 2 + [(429, "7")]
    assert (meter.count.answers, meter.count.refused, meter.count.failed) == (2, 1, 0)
    assert meter.count.first_refusal is not None
    assert "Too many requests" in str(meter.count.first_refusal["body"])


async def test_a_server_that_cannot_be_reached_counts_as_failed() -> None:
    async with served(Upstream(Refusals(), AT_ONCE).answer) as gone:
        pass
    async with metered(gone) as (meter, url):
        assert await ask(url, 1) == [(502, None)]
    assert meter.count.failed == 1


async def test_the_plain_loop_ends_when_everything_is_answered() -> None:
    async with served(Upstream(Refusals(), AT_ONCE).answer) as target, metered(target) as (meter, url):
        await PlainLoop(url, ["sk"], workers=4, seconds=30, answers=20).send()
    assert meter.count.answers == 20


@pytest.mark.parametrize("name", CASES)
def test_a_draw_is_a_function_of_its_seed_and_allows_at_least_one_request(name: str) -> None:
    for seed in range(20):
        drawn = draw(CASES[name], seed, 360)
        assert drawn == draw(CASES[name], seed, 360)
        assert drawn.seconds <= 360
        if CASES[name].kind == "random":
            continue
        assert WINDOWS_S[0] <= drawn.window_s <= WINDOWS_S[1]
        assert drawn.limit >= (REQUEST_TOKENS if CASES[name].kind == "tpm" else 1)
        assert drawn.truth_per_min
        assert CASES[name].kind == "max_parallel" or drawn.seconds == TRIAL_WINDOWS * drawn.window_s


def test_the_ratio_to_plain_is_to_the_better_of_both_loops() -> None:
    drawn, counts = draw(CASES["rpm_60"], 0, 60), [Count(), Count(), Count()]
    for count, answers in zip(counts, (ANSWERS // 2, ANSWERS, ANSWERS // 4), strict=True):
        count.statuses[200] = answers
    clients = ("ours, cold", "plain, 1", "plain, 16")
    rows = compared([GatewayRow.of(drawn, client, count, 60.0) for client, count in zip(clients, counts, strict=True)])
    assert [row.ratio_to_plain for row in rows] == [0.5, 1.0, 0.25]
