"""A LiteLLM proxy in an environment of its own, over one upstream, with limits by key."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import socket
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from .processes import read_end, started

_START_S = 180.0
_POLL_S = 0.25
_RUN = "from litellm.proxy.proxy_cli import run_server; run_server()"
_VERSION = "from importlib.metadata import version; print(version('litellm'))"
KeyLimits = Mapping[str, Mapping[str, object]]


def litellm_version(python: str) -> str:
    """Return the version of LiteLLM in an environment. Raises CalledProcessError where there is none."""
    return subprocess.run([python, "-c", _VERSION], check=True, capture_output=True, text=True).stdout.strip()


@asynccontextmanager
async def litellm_proxy(
    python: str, folder: Path, upstream: str, key_limits: KeyLimits, window_s: int
) -> AsyncIterator[str]:
    """Start a proxy whose windows take `window_s` seconds, and yield its address without a path once it is alive."""
    port = _free_port()
    _write_settings(folder, upstream, key_limits)
    command = [python, "-c", _RUN, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    added = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_RATE_LIMIT_WINDOW_SIZE": str(window_s),
        "LITELLM_KEYS_FILE": str(folder / "keys.json"),
        "LITELLM_LOG": "ERROR",
    }
    output = folder / "litellm.log"
    async with started([*command, "--telemetry", "False"], folder, output, added) as process:
        url = f"http://127.0.0.1:{port}"
        if not await _is_alive(process, url):
            raise SystemExit(f"the LiteLLM proxy ended:\n{read_end(output)}")
        yield url


def _write_settings(folder: Path, upstream: str, key_limits: KeyLimits) -> None:
    parameters = {"model": "openai/bench", "api_base": f"{upstream}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "bench", "litellm_params": parameters}],
        "general_settings": {
            "master_key": f"sk-{secrets.token_hex(16)}",
            "custom_auth": "litellm_keys.user_api_key_auth",
        },
        "litellm_settings": {"num_retries": 0},
        "router_settings": {"num_retries": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "keys.json").write_text(json.dumps(key_limits))
    shutil.copy(Path(__file__).with_name("litellm_keys.py"), folder)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


async def _is_alive(process: Process, url: str) -> bool:
    """Wait until the proxy answers, or has ended."""
    async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"{url}/health/liveliness") as answer:
                    if answer.status == 200:
                        return True
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(_POLL_S)
    return False
