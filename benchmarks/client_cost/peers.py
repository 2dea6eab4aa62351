"""Peers that `overhead` compares with; each runs with the Python of a virtual environment that has it installed.

`PYTHON -m benchmarks.client_cost.peers NAME '{"url": …}'` is run by `overhead --peer NAME=PYTHON`. It needs the peer, uvloop and orjson.
Every answer is checked where the peer hands answers out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import uvloop

from ..cores import CLIENT_CORE, pin
from .job import Check, Client, Job, measure, require, send_all
from .workloads import MODEL

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def openai_sdk(job: Job) -> Check:
    """Send with the openai SDK and its default client."""
    from openai import AsyncOpenAI

    return _sent_by_sdk(job, lambda: AsyncOpenAI(base_url=job.url, api_key="none", max_retries=0))


def openai_sdk_on_aiohttp(job: Job) -> Check:
    """Send with the openai SDK on its aiohttp client."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    def client() -> AsyncOpenAI:
        return AsyncOpenAI(base_url=job.url, api_key="none", max_retries=0, http_client=DefaultAioHttpClient())

    return _sent_by_sdk(job, client)


def _sent_by_sdk(job: Job, open_client: Callable[[], AsyncOpenAI]) -> Check:
    async def create_all() -> int:
        async with open_client() as client:

            async def send(number: int) -> bool:
                answer = await client.chat.completions.create(model=MODEL, messages=job.kind.messages(number))  # type: ignore[arg-type]  # plain dicts, which it takes
                return job.kind.is_right(
                    answer.choices[0].message.content, answer.usage.total_tokens if answer.usage else 0
                )

            return await send_all(job, send)

    right = uvloop.run(create_all())
    return lambda: require(right, job.n)


def litellm_router(job: Job) -> Check:
    """Send with LiteLLM's router over one deployment."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices
    from litellm import Router

    parameters = {"model": f"openai/{MODEL}", "api_base": job.url, "api_key": "none"}

    async def complete_all() -> int:
        router = Router(model_list=[{"model_name": MODEL, "litellm_params": parameters}], num_retries=0)

        async def send(number: int) -> bool:
            answer = await router.acompletion(model=MODEL, messages=job.kind.messages(number))
            return job.kind.is_right(answer.choices[0].message.content, answer.usage.total_tokens)

        return await send_all(job, send)

    right = uvloop.run(complete_all())
    return lambda: require(right, job.n)


def evalscope_perf(job: Job) -> Check:
    """Run `evalscope perf` over a file of request bodies; it keeps every answer in its own database and checks none."""
    from evalscope.perf.arguments import Arguments
    from evalscope.perf.main import run_perf_benchmark

    requests = Path(job.output) / "requests.jsonl"
    requests.write_bytes(b"\n".join(map(job.kind.payload, range(job.n))))
    results = run_perf_benchmark(
        Arguments(
            model=MODEL,
            url=f"{job.url}/chat/completions",
            api="openai",
            dataset="line_by_line",
            dataset_path=str(requests),
            number=[job.n],
            parallel=[job.in_flight],
            stream=False,
            outputs_dir=job.output,
            no_test_connection=True,
        )
    )
    return lambda: require(sum(result["metrics"].succeed_requests for result in results.values()), job.n)


PEERS: dict[str, Client] = {
    "openai": openai_sdk,
    "openai-aiohttp": openai_sdk_on_aiohttp,
    "litellm": litellm_router,
    "evalscope": evalscope_perf,
}


def main() -> None:
    """Run one peer on one job and print the readings of its CPU clock, as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("job", type=lambda text: Job(**orjson.loads(text)), metavar="JOB", help="as JSON")
    options = parser.parse_args()
    pin(CLIENT_CORE)
    readings = measure(PEERS[options.name], options.job)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n" + orjson.dumps(readings) + b"\n")


if __name__ == "__main__":
    main()
