"""The key of a request: everything that changes an answer, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from providers.messages import ChatRequest
from sharding.plan import Sample

KEY_FORMAT = 1
"""Of keys and stored answers; a new format finds no answer of an older one."""
KEY_BYTES = 16
SEPARATOR = b"\0"


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model whose answers are kept: what distinguishes it from others, and who may have given its answers."""

    operation: str
    namespace: str
    """What else changes its answers: of a simulator, the digest of its settings; empty for a real model."""
    servers: Mapping[str, str]
    """By the provider's name: what tells its server from others, the digest of its address."""
    deployments: frozenset[tuple[str, str]]
    """Server and deployment of each of its instances. A kept answer of another server or deployment is not its answer."""


@dataclass(slots=True)
class Draws:
    """The draws of one sample: each of its equal calls is a draw of its own, and so are the epochs."""

    sample: Sample
    calls: dict[bytes, int] = field(default_factory=dict)
    """The number of calls so far, by the digest of the request."""

    def key(self, model: str, cached: CachedModel, request: ChatRequest) -> bytes:
        """Compute the key of the next call of the sample. Tasks and cells with equal prompts share answers at temperature 0 only."""
        state = hashlib.blake2b(_written(model, cached, request), digest_size=KEY_BYTES)
        digest = state.digest()
        number = self.calls[digest] = self.calls.get(digest, 0) + 1
        state.update(f"{self.sample.epoch}\n{number}\n".encode())
        if not _is_repeatable(request):
            cell = self.sample.cell
            state.update(f"{self.sample.task.task_id}\n{cell.prompt_type}\n{cell.tool_success_rate:g}".encode())
        return state.digest()


def _written(model: str, cached: CachedModel, request: ChatRequest) -> bytes:
    """Write what the model is asked; whether it streams changes no answer."""
    parts: Mapping[str, object] = {
        "format": KEY_FORMAT,
        "operation": cached.operation,
        "namespace": cached.namespace,
        "model": model,
        "messages": request.messages,
        "tools": request.tools,
        "generation": replace(request.generation, stream=False),
    }
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS) + SEPARATOR


def _is_repeatable(request: ChatRequest) -> bool:
    generation = request.generation
    temperature = (generation.extra_body or {}).get("temperature", generation.temperature)
    return isinstance(temperature, int | float) and temperature == 0
