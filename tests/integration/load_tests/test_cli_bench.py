"""`bench run` against a server that does, in turn, what servers do: answer, say nothing, fall silent, break off, refuse."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from itertools import count
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from tests.integration.conftest import Program

THOUGHT_S = 0.25
KINDS = ("answers", "is empty", "falls silent", "breaks off", "refuses")
METRICS = (
    'vllm:num_requests_running{engine="0"} 2\nvllm:num_requests_waiting{engine="0"} 7\nvllm:kv_cache_usage_perc 0.5\n'
)


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'id': 'x', 'model': 'm', 'choices': [choice]})}\n\n".encode()


@pytest.fixture
async def moody() -> AsyncIterator[str]:
    numbers = count()

    async def answer(request: web.Request) -> web.StreamResponse:
        kind = KINDS[next(numbers) % len(KINDS)]
        if kind == "refuses":
            return web.json_response({"error": {"message": "slow down"}}, status=429)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(event({"role": "assistant", "content": ""}))
        await asyncio.sleep(THOUGHT_S)
        if kind != "is empty":
            await response.write(event({"content": "one "}) + event({"content": "two"}))
        if kind == "falls silent":
            await asyncio.sleep(60)
        if kind != "breaks off":
            await response.write(event({}, "stop"))
            usage = {"prompt_tokens": 9, "completion_tokens": 2}
            await response.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())
        return response

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=METRICS)

    site = web.Application()
    site.router.add_post("/v1/chat/completions", answer)
    site.router.add_get("/metrics", metrics)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


async def test_only_answers_that_are_whole_count_and_no_role_is_a_first_token(program: Program, moody: str) -> None:
    target = ("--base-url", moody, "--model", "m", "--set", "providers.endpoint.timeouts.between_tokens_s=0.6")
    flags = ("--max-concurrency", "1", "--num-prompts", "10", "--no-calibration", "--display", "none")
    files = ("--result-filename", "out/result.json", "--save-requests", "out/requests.csv")
    done = await asyncio.to_thread(program, "bench", "run", *target, *flags, *files, "--json")
    assert done.code == 1, done.err
    result = json.loads(done.out)
    assert result == json.loads((program.folder / "out/result.json").read_text())
    measures = result["measures"]
    assert result["success_rate"] == 0.2
    assert (measures["attempted"], measures["succeeded"], measures["throttled"]) == (10, 2, 2)
    assert measures["failures"] == {"empty": 2, "timeout": 2, "malformed": 2}
    assert measures["finish_reasons"] == {"stop": 2}
    assert measures["ttft_s"]["n"] == 2
    assert measures["ttft_s"]["p50"] > 0.9 * THOUGHT_S
    assert result["slots"]["waits_ended_by"] == {"place": 10}
    assert result["server"]["peak_waiting"] == 7
    with (program.folder / "out/requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["how"] for row in rows[:5]] == ["ok", "empty", "failed", "failed", "throttled"]


async def test_the_table_says_what_was_asked_and_what_came(program: Program, moody: str) -> None:
    flags = ("--request-rate", "20", "--num-prompts", "1", "--no-calibration", "--display", "none")
    done = await asyncio.to_thread(program, "bench", "run", "--base-url", moody, "--model", "m", *flags)
    assert done.code == 0, done.err
    assert "first chunk with content − send" in done.out
    assert "the server says of itself" in done.out
    assert "price unknown" in done.err


def _is_key_held(program: Program) -> bool:
    return any(one.stat().st_size for one in program.folder.glob("state/**/*.lock"))


async def test_a_key_under_load_is_refused_to_another_load_test(program: Program, moody: str) -> None:
    program.variables["A_KEY"] = "secret"
    target = ("bench", "run", "--base-url", moody, "--model", "m", "--api-key-env", "A_KEY", "--max-concurrency", "4")
    flags = ("--no-calibration", "--display", "none", "--no-server-metrics")
    process = program.start(*target, *flags, "--duration", "600")
    await asyncio.to_thread(program.wait_for, lambda: _is_key_held(program))
    refused = await asyncio.to_thread(program, *target, *flags, "--num-prompts", "1")
    assert refused.code == 2
    assert "is in use by the run bench run" in refused.err
    shared = await asyncio.to_thread(program, *target, *flags, "--num-prompts", "1", "--share")
    assert "Carried" in shared.out
    process.kill()


def test_what_a_person_got_wrong_is_one_sentence(program: Program) -> None:
    target = ("bench", "run", "--base-url", "http://127.0.0.1:9/v1")
    for arguments, complaint in (
        (target, "--base-url needs --model"),
        ((*target, "--model", "m"), "say how hard"),
        ((*target, "--model", "m", "--extra-body", "[1]"), "is not a JSON object"),
        ((*target, "--model", "m", "--workload", "tasks"), "needs a file"),
        ((*target, "--model", "m", "--max-concurrency", "1", "--cost-limit", "1"), "nobody knows what m costs"),
        (
            (*target, "--model", "m", "--preset", "quick", "--result-filename", "/dev/null/x"),
            "cannot write /dev/null/x",
        ),
        (("bench", "run"), "name one sweep file"),
        (("bench", "plot", "."), "ladder.json"),
    ):
        done = program(*arguments)
        assert done.code == 2, done
        assert complaint in done.err
        assert "Traceback" not in done.err


def test_nothing_is_sent_that_costs_much_before_somebody_agrees(program: Program) -> None:
    (program.folder / "paid.yaml").write_text(
        "providers: {box: {type: openai, base_url: 'http://127.0.0.1:9/v1'}}\n"
        "models: {m: {provider: box}}\n"
        "tasks: [{path: none.jsonl}]\n"
        "prices: {m: {input_per_million: 10, output_per_million: 10}}\n"
    )
    done = program("bench", "run", "paid.yaml", "--workload", "content")
    assert done.code == 2
    assert "may cost 20.48 USD: agree with --yes" in done.err
