"""Processes that end with the block that started them, by their id, also when the program is interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_END_S = 5.0


def plain_environment(added: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without settings of Python, of this project and of proxies, and with what is added."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "ORCHESTRATOR_", "LITELLM_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, **added}


@asynccontextmanager
async def started(
    command: Sequence[str], folder: Path, output: Path, added: Mapping[str, str]
) -> AsyncIterator[Process]:
    """Start a process in a session of its own, with both outputs to a file, and end it with the block."""
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=plain_environment(added),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


def read_end(output: Path) -> str:
    """Read the last lines that a process wrote."""
    return output.read_text(errors="replace")[-2_000:]


async def _end(process: Process) -> None:
    """Ask a process to end, and kill its session after some seconds or at another interruption."""
    try:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _END_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
