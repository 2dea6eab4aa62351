"""A provider without network, for measuring everything else: it answers at once, and can kill its own process.

It is installed through the entry-point group `orchestrator.providers`, as any third party's provider.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from providers.adapters.registry import AdapterContext, AdapterType
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from providers.provider import Adapter, RouteSpec


class InstantSettings(BaseModel):
    """Settings of the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["instant"]
    first_send: str
    """File for the wall-clock time of the first request and the CPU time used until then."""
    answer_bytes: int = 0
    """Length of the text before the number in every answer."""
    die_after: int | None = None
    """Number of requests after which the process ends by SIGKILL."""


class InstantAdapter:
    """An adapter whose every answer is 42, after as much text as is wanted."""

    def __init__(self, name: str, settings: InstantSettings) -> None:
        self._name = name
        self._settings = settings
        self._sent = 0

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """Return one instance per deployment."""
        names = spec.deployments or (model,)
        return [
            Instance(f"{self._name}/{deployment}", model, deployment, self._name, f"{self._name}/{deployment}")
            for deployment in names
        ]

    def identity(self, on: Instance) -> str | None:  # noqa: ARG002 - nothing lasts
        """Return no identity: nothing outlives the run."""
        return None

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:  # noqa: ARG002 - Sender's signature
        """Return the answer at once; end the process after the configured number of requests."""
        if not self._sent:
            _note_now(self._settings.first_send)
        self._sent += 1
        if self._sent == self._settings.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0)
        text = f"{'word ' * (self._settings.answer_bytes // 5)}42"
        return ChatResponse(text, (), "stop", Usage(20, 2), Timing(0.0, None, 0.0), None, request_id, on.model, None)

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""


def _note_now(path: str) -> None:
    Path(path).write_text(f"{time.time()} {time.process_time()}")


def open_instant(name: str, settings: InstantSettings, adapter_context: AdapterContext) -> Adapter:  # noqa: ARG001 - AdapterType's signature
    """Open the provider."""
    return InstantAdapter(name, settings)


INSTANT = AdapterType(InstantSettings, open_instant)
