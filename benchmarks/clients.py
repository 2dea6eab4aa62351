"""The clients that `overhead` measures, one per process: our whole pipeline, the minimal client, and the openai SDK.

`python -m benchmarks.clients NAME '{"url": …}'` sends the requests of a job and prints the CPU time that they took. Every answer is parsed
and checked; a wrong answer ends the process with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import CLIENT_CORE, pin
from benchmarks.lean_server import ANSWER_TEXT, TARGET, TOTAL_TOKENS

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageParam

MODEL = "bench"
SYSTEM = "Reason briefly and end with the answer alone."
_PASSAGE = (
    "A passage of plain English that a question is asked about, as evaluation sets have them by the thousand. " * 12
)


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one client process."""

    url: str
    """Including /v1."""
    n: int
    in_flight: int
    tasks: str
    """JSONL file with at least `n` tasks, for our pipeline."""
    output: str
    """A folder for the runs."""


@dataclass(frozen=True, slots=True)
class Spent:
    """User and system time of the process with its threads, and wall time."""

    cpu_s: float
    wall_s: float


Check = Callable[[], object]
"""Raises where an answer was wrong; called after the measurement."""


def question(number: int) -> str:
    """Build a user message of about 1.3 KB; with the system message and JSON around both, the body has 1.46 KB."""
    return f"{_PASSAGE}\n\nQuestion {number:07}: why does the sky of this passage look the way it does?"


# ------------------------------------------------------------------ clients
def ours(job: Job) -> Check:
    """Run the whole pipeline through the public API: plan, permit, request, parse, score, journal with fsync, Parquet."""
    import orchestrator

    run = orchestrator.run_sync(
        {
            "providers": {"server": {"type": "openai", "base_url": job.url}},
            "models": {MODEL: {"provider": "server", "workers": job.in_flight}},
            "tasks": [{"path": job.tasks}],
            "sweep": {"limit": job.n},
            "run": {
                "rate_mode": "fixed",
                "scorer": "includes",
                "storage_format": "parquet",
                "stagger_s": [0],
                "display": "none",
                "output_dir": job.output,
            },
        }
    )
    return lambda: _require(sum(row["score"] == 1.0 for row in run.to_arrow().select(["score"]).to_pylist()), job.n)


def bare(job: Job) -> Check:
    """Send with aiohttp, orjson and a semaphore; nothing is planned, retried, scored or written."""
    answered = uvloop.run(_bare(job))
    return lambda: _require(answered, job.n)


async def _bare(job: Job) -> int:
    import aiohttp

    url, headers = f"{job.url}/chat/completions", {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(number: int) -> bool:
            payload = orjson.dumps({"model": MODEL, "messages": _messages(number)})
            async with session.post(url, data=payload, headers=headers) as response:
                answer = orjson.loads(await response.read())
            return _is_right(answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"])

        return await _send_all(job, send)


def sdk(job: Job) -> Check:
    """Send with the openai SDK and its default client."""
    from openai import AsyncOpenAI

    answered = uvloop.run(_create_all(job, lambda: AsyncOpenAI(base_url=job.url, api_key="none", max_retries=0)))
    return lambda: _require(answered, job.n)


def sdk_aiohttp(job: Job) -> Check:
    """Send with the openai SDK on its aiohttp client."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    def client() -> AsyncOpenAI:
        return AsyncOpenAI(base_url=job.url, api_key="none", max_retries=0, http_client=DefaultAioHttpClient())

    answered = uvloop.run(_create_all(job, client))
    return lambda: _require(answered, job.n)


async def _create_all(job: Job, open_client: Callable[[], AsyncOpenAI]) -> int:
    async with open_client() as client:

        async def send(number: int) -> bool:
            answer = await client.chat.completions.create(model=MODEL, messages=_messages(number))
            return _is_right(answer.choices[0].message.content, answer.usage.total_tokens if answer.usage else 0)

        return await _send_all(job, send)


async def _send_all(job: Job, send: Callable[[int], Awaitable[bool]]) -> int:
    """Send all requests under a semaphore and return the number of right answers."""
    slots, right = asyncio.Semaphore(job.in_flight), 0

    async def send_one(number: int) -> None:
        nonlocal right
        try:
            if await send(number):
                right += 1
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for number in range(job.n):
            await slots.acquire()
            group.create_task(send_one(number))
    return right


def _messages(number: int) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(number)}]


def _is_right(text: str | None, total_tokens: int) -> bool:
    return text is not None and len(text) == len(ANSWER_TEXT) and total_tokens == TOTAL_TOKENS


def _require(right: int, wanted: int) -> None:
    if right != wanted:
        raise SystemExit(f"{right} of {wanted} answers were right")


CLIENTS: dict[str, Callable[[Job], Check]] = {
    "ours": ours,
    "aiohttp + orjson": bare,
    "openai SDK": sdk,
    "openai SDK on aiohttp": sdk_aiohttp,
}
FLOOR = "aiohttp + orjson"


def task_line(number: int) -> bytes:
    """Build a line of the task file; its request has the same size as the other clients' requests."""
    messages = _messages(number)
    task = {"id": f"task-{number}", "messages": messages, "target": TARGET}
    return orjson.dumps(task, option=orjson.OPT_APPEND_NEWLINE)


def measure(client: Callable[[Job], Check], job: Job) -> Spent:
    """Run a job. The CPU time counts from the start of this process, so use the difference of two processes."""
    started = time.perf_counter()
    check = client(job)
    wall_s = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    check()
    return Spent(usage.ru_utime + usage.ru_stime, wall_s)


def main() -> None:
    """Run one client on one job and print what it spent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(CLIENTS), metavar="NAME", help=", ".join(CLIENTS))
    parser.add_argument("job", type=lambda text: Job(**orjson.loads(text)), metavar="JOB", help="as JSON")
    options = parser.parse_args()
    pin(CLIENT_CORE)
    spent = measure(CLIENTS[options.name], options.job)
    sys.stdout.buffer.write(orjson.dumps(spent))


if __name__ == "__main__":
    main()
