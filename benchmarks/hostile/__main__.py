"""A trial of the native transport against a server that resets, stalls, sends bombs, splits heads, closes early and answers early.

`python -m benchmarks.hostile --seconds 3600` prints one row as JSON. It ends with an error where a request hung, an answer belonged
to another request, or a socket or a task was left over. A part of the requests is cancelled, and a part has a body of half a megabyte.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.hostile.server import __file__ as _server_file
from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, Generation
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport

_ATTEMPT_S = 2.0
_GRACE_S = 20.0
"""A call that lasts this much longer than its deadline hangs; a busy machine may need seconds."""
_TIMEOUTS = Timeouts(connect_s=5.0, first_token_s=1.0, between_tokens_s=0.5)
_LARGE_PROMPT = "x" * 2**19


@dataclass(slots=True)
class TrialCounts:
    """What came of the requests."""

    requests: int = 0
    answers: int = 0
    cancelled: int = 0
    resent: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wrong_answers: int = 0
    hangs: int = 0
    leaked_sockets: int = 0
    leaked_tasks: int = 0
    peak_mb: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether nothing happened that must not happen."""
        is_clean = not (self.wrong_answers or self.hangs or self.leaked_sockets or self.leaked_tasks)
        return is_clean and self.answers > 0 and set(self.errors) <= _EXPECTED


_EXPECTED = frozenset({"connection", "malformed", "timeout", "server_error", "throttled", "refused", "empty"})
"""Classes of errors that the server's faults lead to. An early answer to a large body may look like a lost connection."""


class HostileTrial:
    """Sends requests for some seconds and counts what comes of them."""

    def __init__(self, port: int, seconds: float) -> None:
        self._route = Route(Instance("e/m", "m", "m", "e", "e/m"), f"http://127.0.0.1:{port}/v1", None)
        self._transport = NativeTransport(_TIMEOUTS, connections=80)
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + seconds
        self.counts = TrialCounts()

    async def run(self, in_flight: int) -> None:
        """Send until the time is over, then close the transport."""
        async with asyncio.TaskGroup() as group:
            for number in range(in_flight):
                group.create_task(self._send_many(number))
        await self._transport.aclose()

    async def _send_many(self, number: int) -> None:
        turn = 0
        while self._loop.time() < self._ends_at:
            turn += 1
            self.counts.requests += 1
            await self._send(f"w{number}/{turn}/1")

    async def _send(self, name: str) -> None:
        call = asyncio.create_task(self._call(name))
        patience_s = random.random() * 0.05 if random.random() < 0.05 else _ATTEMPT_S + _GRACE_S
        done, _ = await asyncio.wait([call], timeout=patience_s)
        if not done:
            if patience_s > _ATTEMPT_S:
                self.counts.hangs += 1
            else:
                self.counts.cancelled += 1
            call.cancel()
            await asyncio.wait([call])

    async def _call(self, name: str) -> None:
        content = _LARGE_PROMPT if random.random() < 0.02 else "6 × 7?"
        generation = Generation(stream=random.random() < 0.5)
        request = ChatRequest([{"role": "user", "content": content}], generation=generation)
        deadline = self._loop.time() + _ATTEMPT_S
        try:
            response = await self._transport.send(self._route, request, request_id=name, deadline=deadline)
        except ProviderError as error:
            self.counts.errors[error.error_class] += 1
            self.counts.resent += error.evidence.resent
            return
        self.counts.answers += 1
        self.counts.resent += response.timing.resent
        self.counts.wrong_answers += response.text != name


async def run_trial(port: int, seconds: float, in_flight: int) -> TrialCounts:
    """Run a trial and count what is left over behind it."""
    before = _open_sockets()
    trial = HostileTrial(port, seconds)
    await trial.run(in_flight)
    for _ in range(10):
        await asyncio.sleep(0.01)
    gc.collect()
    counts = trial.counts
    counts.leaked_sockets = _open_sockets() - before
    counts.leaked_tasks = len(asyncio.all_tasks()) - 1
    counts.peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return counts


def _open_sockets() -> int:
    """Count the sockets of this process; the loop keeps other descriptors of its own."""
    return sum(
        str(path.readlink()).startswith("socket:") for path in Path("/proc/self/fd").iterdir() if path.is_symlink()
    )


def try_out(seconds: float, in_flight: int, *, is_uvloop: bool) -> TrialCounts:
    """Start the server in its own process and run a trial."""
    with subprocess.Popen([sys.executable, _server_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        run = uvloop.run if is_uvloop else asyncio.run
        counts = run(run_trial(port, seconds, in_flight))
        server.terminate()
    return counts


def main() -> None:
    """Print the row of one trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = parser.parse_args()
    counts = try_out(options.seconds, options.in_flight, is_uvloop=options.loop == "uvloop")
    print(orjson.dumps(asdict(counts) | {"errors": dict(counts.errors), "is_sound": counts.is_sound}).decode())
    raise SystemExit(0 if counts.is_sound else 1)


if __name__ == "__main__":
    main()
