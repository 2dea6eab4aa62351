"""The clients: our program as a user starts it, and a loop in which only the refused request waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import yaml

from .cases import ANSWERS
from .meter import ANSWERED
from .processes import read_end, started
from .upstream import ANSWER_TOKENS, PROMPT_TOKENS

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 16
"""Per key."""
FIXED_QPS = 1_000
"""So that the workers alone bound a fixed run: its rate would be that of the profile."""
PLAIN_WAIT_S = 1.0
_ENDINGS = {0, 1, 3}
"""Exit codes of a run that finished or reached its time limit."""
_GRACE_S = 2
_PATIENCE_S = 60.0
_ASKED = "Which colour does the sky have at noon? Answer with one short sentence. "


def prompt(number: int) -> str:
    """Return a prompt with four characters per token, as LiteLLM estimates them."""
    return (f"Question {number:05}. " + _ASKED * 4)[: 4 * PROMPT_TOKENS]


@dataclass(frozen=True, slots=True)
class OurRun:
    """One run of our program. Runs in the same folder share what they learn."""

    url: str
    """Without a path."""
    keys: Sequence[str]
    folder: Path
    seconds: float
    rate_mode: str = "adaptive"

    async def send(self) -> None:
        """Run the samples to their end or to the time limit."""
        variables = {f"GATEWAYS_KEY_{number}": key for number, key in enumerate(self.keys)}
        self._write_sweep(list(variables))
        added = {**variables, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.folder / "state")}
        command, output = [sys.executable, "-m", "orchestrator", "run", "sweep.yaml"], self.folder / "ours.log"
        async with started(command, self.folder, output, added) as process:
            async with asyncio.timeout(self.seconds + _PATIENCE_S):
                code = await process.wait()
        if code not in _ENDINGS:
            raise SystemExit(f"our run ended with exit code {code}:\n{read_end(output)}")

    def _write_sweep(self, variables: Sequence[str]) -> None:
        tasks = ({"id": f"t{number}", "question": prompt(number), "answer": "blue"} for number in range(ANSWERS))
        (self.folder / "tasks.jsonl").write_bytes(b"\n".join(map(orjson.dumps, tasks)))
        rate = {"qps": FIXED_QPS} if self.rate_mode == "fixed" else {}
        gate = {"type": "gateway", "base_url": f"{self.url}/v1", "api_key_envs": list(variables)}
        sections = {
            "providers": {"gate": gate},
            "models": {"bench": {"provider": "gate", "workers": WORKERS, **rate}},
            "tasks": [{"path": "tasks.jsonl", "scorer": "includes"}],
            "generation": {"max_tokens": ANSWER_TOKENS},
            "run": {
                "rate_mode": self.rate_mode,
                "stagger_s": [0],
                "time_limit_s": self.seconds,
                "grace_s": _GRACE_S,
                "display": "none",
            },
        }
        (self.folder / "sweep.yaml").write_text(yaml.safe_dump(sections))


class PlainLoop:
    """Workers that send one request after the other; a refused request waits a second and is sent again."""

    def __init__(self, url: str, keys: Sequence[str], workers: int, seconds: float, answers: int = ANSWERS) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._keys = keys
        self._workers = workers
        self._seconds = seconds
        self._numbers = iter(range(answers))

    async def send(self) -> None:
        """Send until all requests are answered or the time is over."""
        with suppress(TimeoutError):
            async with aiohttp.ClientSession() as session, asyncio.timeout(self._seconds), asyncio.TaskGroup() as group:
                for worker in range(self._workers):
                    group.create_task(self._work(session, self._keys[worker % len(self._keys)]))

    async def _work(self, session: aiohttp.ClientSession, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        for number in self._numbers:
            messages = [{"role": "user", "content": prompt(number)}]
            body = {"model": "bench", "messages": messages, "max_tokens": ANSWER_TOKENS}
            while not await self._is_answered(session, headers, body):  # noqa: ASYNC110 - no event of this loop
                await asyncio.sleep(PLAIN_WAIT_S)

    async def _is_answered(
        self, session: aiohttp.ClientSession, headers: dict[str, str], body: dict[str, object]
    ) -> bool:
        async with session.post(self._url, json=body, headers=headers) as answer:
            await answer.read()
            return answer.status == ANSWERED
