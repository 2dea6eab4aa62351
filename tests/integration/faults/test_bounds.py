"""What no server can make the program do: fill the memory, send the key elsewhere, follow the environment, or trust the wall clock."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from providers.errors import Malformed

from .answers import answer as answered
from .answers import completion, http
from .server import FaultServer, serving
from .table import BODY, GOOD, SECRET, Fault
from .trial import TRANSPORTS, try_out

GIANTS = {fault.name: [fault.script] for fault in BODY if re.search("bomb|50 MB|endless", fault.name)}
CLIENT = """
import asyncio, sys
from pathlib import Path
from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest
from providers.route import Route, Timeouts
from tests.integration.faults.trial import TRANSPORTS

def peak_mb():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024  # getrusage would count what the parent had before the fork

async def ask(transport, name):
    instance = Instance(name, "m", name, "east", name)
    deadline = asyncio.get_running_loop().time() + 60
    try:
        await transport.send(Route(instance, sys.argv[2], None), ChatRequest([]), request_id="r", deadline=deadline)
    except ProviderError:
        return
    raise AssertionError(name)

async def main():
    transport = TRANSPORTS[sys.argv[1]](Timeouts())
    await ask(transport, sys.argv[3])
    before = peak_mb()
    for name in sys.argv[4:]:
        await ask(transport, name)
    print(peak_mb() - before)
    await transport.aclose()

asyncio.run(main())
"""
"""A client alone: its server is another process, this one."""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel keeps the peak")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_answer_fills_the_memory(transport: str) -> None:
    """16 MB of answer, and what is on its way in buffers and decoders."""
    async with serving({**GIANTS, "small": [(http(b""),)]}) as server:
        command = [sys.executable, "-c", CLIENT, transport, f"http://127.0.0.1:{server.port}/v1", "small", *GIANTS]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 64


@pytest.fixture
async def other() -> AsyncIterator[FaultServer]:
    """Another host, which nobody has named: it would answer well, and remembers what it was sent."""
    async with serving({"m-deployed": [(GOOD,)]}) as server:
        yield server


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
async def test_a_key_never_reaches_the_host_that_a_redirect_names(
    other: FaultServer, transport: str, status: str
) -> None:
    target = f"http://127.0.0.1:{other.port}/v1/chat/completions"
    ended = await try_out(
        Fault("a redirect", (http(b"", status, Location=target),), Malformed, 307, "to 127.0.0.1"), transport
    )
    assert ended.error_class == "malformed"
    assert "127.0.0.1" in ended.sentence
    assert (other.heads, ended.requests) == ([], 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proxy_in_the_environment_is_not_used(
    other: FaultServer, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    ended = await try_out(Fault("no fault", (GOOD,), None, 200, "42"), transport)
    assert (ended.outcome, ended.requests, other.heads) == ("ok", 1, [])


# ------------------------------------------------------------------ a wall clock that jumps
STEPPED = """
import itertools, sys, time
steps, real = itertools.cycle([0.0, 7200.0, -7200.0, 86400.0]), time.time
time.time = lambda: real() + next(steps)
from orchestrator.__main__ import main
sys.argv[0] = "orchestrator"
sys.exit(main())
"""
"""A machine whose clock is set by hours between any two readings."""


async def test_a_wall_clock_that_jumps_disturbs_no_deadline_and_no_duration(tmp_path: Path) -> None:
    scripts = {"m": [(answered(completion()),), (http(b"", "500 Oops"),), (answered(completion()),)]}
    async with serving(scripts) as server:
        config = {
            "providers": {
                "east": {"type": "openai", "base_url": f"http://127.0.0.1:{server.port}/v1", "api_key_env": "PLANTED"}
            },
            "models": {"m": {"provider": "east"}},
            "tasks": [{"path": "tasks.jsonl", "scorer": "numeric"}],
            "run": {"storage_format": "json", "stagger_s": [0]},
        }
        (tmp_path / "sweep.yaml").write_text(json.dumps(config))
        (tmp_path / "tasks.jsonl").write_text(
            "".join(json.dumps({"id": n, "input": f"{n}?", "target": 42}) + "\n" for n in range(8))
        )
        done = await asyncio.to_thread(_run_stepped, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = _results(tmp_path)
    assert [line["outcome"] for line in lines] == ["ok"] * 8
    for line in lines:
        require_sound_times(line)


def _results(folder: Path) -> list[dict[str, object]]:
    return [
        json.loads(line) for path in folder.glob("runs/*/results/*.jsonl") for line in path.read_text().splitlines()
    ]


def _run_stepped(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PLANTED": SECRET, "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.run(
        [sys.executable, "-c", STEPPED, "run", "sweep.yaml", "--display", "none"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def require_sound_times(line: Mapping[str, object]) -> None:
    durations = [value for name, value in line.items() if name.endswith("_s") and isinstance(value, float | int)]
    assert all(0 <= value < 60 for value in durations), line
    instants = [
        datetime.fromisoformat(str(line[name])).astimezone(UTC) for name in ("queued_at", "started_at", "completed_at")
    ]
    assert instants == sorted(instants)
