"""A provider type as a third party installs it: answers at once, and notes in a file when it is opened and closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from providers.adapters.registry import AdapterContext, AdapterType
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from providers.provider import Adapter, RouteSpec


class NotingSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["noting"]
    notes: Path
    key_env: str


class NotingAdapter:
    def __init__(self, name: str, settings: NotingSettings, adapter_context: AdapterContext) -> None:
        self._name = name
        self._notes = settings.notes
        self._note(f"open with {adapter_context.key(settings.key_env).secret}")

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        self._note(f"instances of {model}")
        names = spec.deployments or (model,)
        return [Instance(f"{self._name}/{name}", model, name, self._name, f"{self._name}/{name}") for name in names]

    def identity(self, on: Instance) -> str | None:
        return None

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        return ChatResponse("42", (), "stop", Usage(20, 2), Timing(0.0, None, 0.0), None, request_id, on.model, None)

    async def aclose(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(f"{self._name}: {what}\n")


def open_noting(name: str, settings: NotingSettings, adapter_context: AdapterContext) -> Adapter:
    return NotingAdapter(name, settings, adapter_context)


NOTING = AdapterType(NotingSettings, open_noting)
