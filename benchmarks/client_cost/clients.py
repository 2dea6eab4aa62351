"""The clients that `overhead` measures, one per process: our whole pipeline, and the minimal client, which is the floor.

`python -m benchmarks.client_cost.clients NAME '{"url": …}'` sends the requests of a job and prints the readings of its CPU clock. Every
answer is parsed and checked; a wrong answer ends the process with an error. `peers.py` has the clients that live in virtual environments
of their own.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import orjson
import uvloop

from ..cores import CLIENT_CORE, pin
from .job import PART_RECORDS, Check, Client, Job, measure, require, send_all

if TYPE_CHECKING:
    import aiohttp

OURS = "ours"
FLOOR = "aiohttp"


def ours(job: Job) -> Check:
    """Run the whole pipeline through the public API: plan, permit, request, parse, score, journal with fsync, Parquet."""
    import orchestrator

    run = orchestrator.run_sync(our_sweep(job))
    return lambda: require(sum(row["score"] == 1.0 for row in run.to_arrow().select(["score"]).to_pylist()), job.n)


def our_sweep(job: Job) -> dict[str, object]:
    """Build the sweep of a job."""
    deployments = [f"bench-{number}" for number in range(job.instances)]
    workers = max(1, job.in_flight // job.instances)
    return {
        "providers": {"server": {"type": "openai", "base_url": job.url}},
        "models": {"bench": {"provider": "server", "deployments": deployments, "workers": workers}},
        "tasks": [{"path": job.tasks}],
        "generation": {"stream": bool(job.kind.chunks)},
        "sweep": {"limit": job.n},
        "run": {
            "rate_mode": job.mode,
            "scorer": job.kind.scorer,
            "storage_format": "parquet",
            "part_records": PART_RECORDS,
            "stagger_s": [0],
            "display": "none",
            "cold": True,
            "output_dir": job.output,
        },
    }


def bare(job: Job) -> Check:
    """Send with aiohttp, orjson and a semaphore; nothing is planned, retried, scored or written."""
    answered = uvloop.run(send_bare(job))
    return lambda: require(answered, job.n)


async def send_bare(job: Job) -> int:
    """Send all requests of a job with aiohttp and return the number of right answers."""
    import aiohttp

    url, headers, kind = f"{job.url}/chat/completions", {"Content-Type": "application/json"}, job.kind
    read = _read_stream if kind.chunks else _read_whole
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(number: int) -> bool:
            async with session.post(url, data=kind.payload(number), headers=headers) as response:
                return kind.is_right(*await read(response.content))

        return await send_all(job, send)


async def _read_whole(content: aiohttp.StreamReader) -> tuple[str, int]:
    answer = orjson.loads(await content.read())
    return answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"]


async def _read_stream(content: aiohttp.StreamReader) -> tuple[str, int]:
    """Read the events of a stream line by line, as a minimal client does."""
    texts: list[str] = []
    total_tokens = 0
    async for line in content:
        if not line.startswith(b"data: {"):
            continue
        event = orjson.loads(line[6:])
        if event["choices"]:
            texts.append(event["choices"][0]["delta"].get("content", ""))
        if usage := event.get("usage"):
            total_tokens = usage["total_tokens"]
    return "".join(texts), total_tokens


CLIENTS: dict[str, Client] = {OURS: ours, FLOOR: bare}


def main() -> None:
    """Run one client on one job and print the readings of its CPU clock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(CLIENTS), metavar="NAME", help=", ".join(CLIENTS))
    parser.add_argument("job", type=lambda text: Job(**orjson.loads(text)), metavar="JOB", help="as JSON")
    options = parser.parse_args()
    pin(CLIENT_CORE)
    readings = measure(CLIENTS[options.name], options.job)
    sys.stdout.buffer.write(orjson.dumps(readings))


if __name__ == "__main__":
    main()
