"""The simulator of a run in a separate process, which ends when its parent ends.

As a program (`python -m orchestrator.simulation.process`) it reads one JSON line from standard input, writes its address to standard
output, and serves until standard input ends. Keys are passed through that pipe only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from providers.errors import InputError
from providers.simulator.settings.provider import SimulatorSettings
from runners.event_loop.run_loop import run_loop

from ..config.environment import Environment
from ..config.loading import LoadedConfig, load_config

if TYPE_CHECKING:
    from providers.simulator.server import Launch

START_S = 60.0
"""Longest time for imports and the scan of the task files; after that, the start has failed."""
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class SimulatorAssignment:
    """The parameters that the process reads from standard input."""

    raw: Mapping[str, object]
    base: str
    provider: str
    secrets: Mapping[str, str] = field(repr=False)
    log: str | None
    host: str = "127.0.0.1"
    port: int = 0


@asynccontextmanager
async def simulator_process(assignment: SimulatorAssignment) -> AsyncIterator[str]:
    """Start the process, yield its address, and stop it. Raises InputError with its message where it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "orchestrator.simulation.process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C must not reach it: it still answers requests in flight
    )
    assert process.stdin is not None
    try:
        yield _address(await _first_line(process, assignment), assignment.provider)
    finally:
        process.stdin.close()
        await _ended(process)


async def _first_line(process: asyncio.subprocess.Process, assignment: SimulatorAssignment) -> bytes:
    """Read the first line of output: the address, or the reason of a failure. Kill the process where the wait is cut short."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(orjson.dumps(assignment, option=orjson.OPT_APPEND_NEWLINE))
    try:
        async with asyncio.timeout(START_S):
            return await process.stdout.readline()
    except BaseException:
        process.kill()
        raise


def _address(line: bytes, provider: str) -> str:
    answer = orjson.loads(line) if line else {"error": "it ended at once"}
    if "url" not in answer:
        raise InputError(f"the simulator {provider} did not start: {answer['error']}")
    return str(answer["url"])


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def serve_assignment(assignment: SimulatorAssignment) -> None:
    """Run the server in the child process until standard input ends."""
    from providers.simulator.server import serve

    async with await serve(_launch(assignment)) as running:
        _say({"url": running.url})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


async def serve_until_interrupted(loaded: LoadedConfig, environment: Environment, port: int, log: str | None) -> int:
    """Serve all simulators of a file in this process, the first on `port`; return the exit code."""
    from providers.simulator.server import serve

    names = [name for name, settings in loaded.providers.items() if isinstance(settings, SimulatorSettings)]
    if not names:
        raise InputError("the configuration has no provider of type simulator; add one under providers")
    async with AsyncExitStack() as stack:
        for index, name in enumerate(names):
            settings = simulator_settings(loaded, name)
            keys = {key: environment.key_or(key, otherwise=key).secret for key in key_names(settings)}
            assignment = SimulatorAssignment(loaded.raw, str(loaded.base), name, keys, log, port=0 if index else port)
            running = await stack.enter_async_context(await serve(_launch(assignment)))
            addresses = {"endpoint": running.url} if settings.deployments else {}
            addresses |= {"base_url": f"{running.url}/v1"} if settings.keys else {}
            _say({"provider": name, "url": running.url, **addresses, "keys": sorted(keys)})
        await _interrupted()
    return 0


async def _interrupted() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def key_names(settings: SimulatorSettings) -> list[str]:
    """List the names of the keys, and the one key of all deployments."""
    return [*settings.keys, "SIMULATOR_KEY"]


def _launch(assignment: SimulatorAssignment) -> Launch:
    from providers.simulator.server import Launch

    from ..open_sweep import open_sweep
    from .answers import sweep_answers

    loaded = load_config(assignment.raw, Environment({}), base=Path(assignment.base), is_stored=True)
    settings = simulator_settings(loaded, assignment.provider)
    return Launch(
        settings,
        assignment.secrets,
        sweep_answers(loaded, open_sweep(loaded, is_shown=False).sweep, settings),
        Path(assignment.log) if assignment.log else None,
        host=assignment.host,
        port=assignment.port,
    )


def simulator_settings(loaded: LoadedConfig, provider: str) -> SimulatorSettings:
    """Return the settings of a simulated provider. Raises InputError where its type is another."""
    settings = loaded.providers[provider]
    if not isinstance(settings, SimulatorSettings):
        raise InputError(f"the provider {provider} is not a simulator")
    return settings


def _say(answer: Mapping[str, object]) -> None:
    """Answer the parent; if it has ended, standard input has ended, too, and so does the server."""
    with suppress(BrokenPipeError):
        os.write(1, orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))


def main() -> None:
    """Serve the assignment on standard input; exit with 2 where that is impossible."""
    assignment = SimulatorAssignment(**orjson.loads(sys.stdin.buffer.readline()))
    try:
        run_loop(serve_assignment(assignment))
    except (InputError, OSError) as error:
        _say({"error": str(error)})
        sys.exit(2)


if __name__ == "__main__":
    main()
