"""Starts and stops the simulator's HTTP server on loopback. The orchestrator package starts its process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiohttp import web

from .answers.source import AnswerSource, EchoAnswers
from .app import LARGEST_BODY, SimulatorApp
from .endpoint import EndpointRegistry
from .log import AnswerLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from .settings.provider import SimulatorSettings

KEEP_ALIVE_S = 3600.0
"""Longer than any wait for a quota, so that closing an idle connection is never an unintended fault."""
SHUTDOWN_S = 0.1
"""Seconds that answers in progress get at shutdown; stalled ones would take ten minutes."""
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Launch:
    """Parameters of a server."""

    settings: SimulatorSettings
    secrets: Mapping[str, str] = field(repr=False)
    """From the key's name to its value; "SIMULATOR_KEY" is the key of the deployments."""
    answers: AnswerSource | None = None
    """None: filler text."""
    log_path: Path | None = None
    """None: no log."""
    logs_text: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""


class RunningServer:
    """A running simulator. Close it with `async with` or `aclose`."""

    def __init__(self, runner: web.AppRunner, registry: EndpointRegistry, log: AnswerLog) -> None:
        self._runner = runner
        self._registry = registry
        self._log = log

    @property
    def port(self) -> int:
        """Return the port that the server listens on."""
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """Build the address without a trailing slash, for `AdapterContext.simulator_url`."""
        host = str(self._runner.addresses[0][0])
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def aclose(self) -> None:
        """Stop listening, close open connections and write the rest of the log."""
        try:
            await self._runner.cleanup()
        finally:
            self._registry.close()
            self._log.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def serve(launch: Launch) -> RunningServer:
    """Start a server on the running loop. Raises InputError where secrets are missing or equal, OSError where the port is taken."""
    settings = launch.settings
    registry = EndpointRegistry(settings, launch.secrets)
    answers = launch.answers or EchoAnswers(settings.answers.output_tokens, settings.seed)
    log = AnswerLog(launch.log_path)
    app = SimulatorApp(registry, answers, log, settings, logs_text=launch.logs_text)
    site = web.Application(client_max_size=LARGEST_BODY)
    site.add_routes(app.routes())
    runner = web.AppRunner(
        site, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    running = RunningServer(runner, registry, log)
    try:
        await web.TCPSite(runner, launch.host, launch.port, backlog=BACKLOG).start()
    except BaseException:
        await running.aclose()
        raise
    return running
