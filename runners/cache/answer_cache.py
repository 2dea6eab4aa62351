"""The cache of answers: memory, then disk, then the model, which is asked once for equal requests at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse

from .answer_store import AnswerStore
from .kept_answer import decode_answer, encode_answer
from .recent_answers import RecentAnswers
from .request_key import CachedModel, Draws

CacheMode = Literal["on", "read", "refresh"]
"""on: find and keep. read: find only. refresh: ask every request anew, and keep the answer in the place of the old one."""

MOST_FOLLOWERS = 1_000
"""Samples that wait for an equal request of another, which bounds the open samples; more of them ask by themselves."""

Ask = Callable[[], Awaitable[tuple[ChatResponse, Instance | None]]]
"""Asks the model; the instance is the one that answered."""
Waiting = Callable[[], AbstractContextManager[object]]
"""Gives the worker's place back within the block."""


@dataclass(slots=True)
class CacheCounts:
    """How the requests of a run were answered."""

    memory_hits: int = 0
    disk_hits: int = 0
    asked: int = 0
    """Requests that went to a model."""

    @property
    def hits(self) -> int:
        """Requests that were answered from the cache."""
        return self.memory_hits + self.disk_hits


@dataclass(slots=True)
class AnswerCache:
    """The two levels of a run. It never fails a request: what cannot be kept is asked again."""

    mode: CacheMode
    models: Mapping[str, CachedModel]
    store: AnswerStore
    recent: RecentAnswers
    counts: CacheCounts = field(default_factory=CacheCounts)
    _asking: dict[bytes, asyncio.Future[None]] = field(default_factory=dict)
    _refreshed: set[bytes] = field(default_factory=set)
    _followers: int = 0

    async def answer(
        self, draws: Draws, model: str, request: ChatRequest, ask: Ask, waiting: Waiting
    ) -> tuple[ChatResponse, bool]:
        """Return the answer to a request, and whether it was kept. Raises what `ask` raises: an error is never shared and never kept.

        Equal requests wait for the one that asks; if that fails, the next of them asks.
        """
        cached = self.models[model]
        key = draws.key(model, cached, request)
        while True:
            found = self._find(key, cached)
            if found is not None:
                return found, True
            leader = self._asking.get(key)
            if leader is None or self._followers >= MOST_FOLLOWERS:
                return await self._ask(key, model, ask), False
            self._followers += 1
            try:
                with waiting():
                    await asyncio.wait([leader])
            finally:
                self._followers -= 1

    def _find(self, key: bytes, cached: CachedModel) -> ChatResponse | None:
        if self.mode == "refresh" and key not in self._refreshed:
            return None
        value, is_recent = self.recent.find(key), True
        if value is None:
            value, is_recent = self.store.find(key), False
        kept = None if value is None else decode_answer(value)
        if value is None or kept is None or (kept.server, kept.deployment) not in cached.deployments:
            return None
        self.counts.memory_hits += is_recent
        self.counts.disk_hits += not is_recent
        if not is_recent:
            self.recent.put(key, value)
        return kept.response

    async def _ask(self, key: bytes, model: str, ask: Ask) -> ChatResponse:
        self.counts.asked += 1
        is_shared = self.mode != "read" and key not in self._asking
        done = asyncio.get_running_loop().create_future() if is_shared else None
        if done is not None:
            self._asking[key] = done
        try:
            response, instance = await ask()
            if instance is not None and self.mode != "read":
                self._keep(key, model, response, instance)
            return response
        finally:
            if done is not None:
                del self._asking[key]
                done.set_result(None)

    def _keep(self, key: bytes, model: str, response: ChatResponse, instance: Instance) -> None:
        if response.adaptation is not None and response.adaptation.dropped:
            return  # it answers another request than the one that was made
        try:
            value = encode_answer(response, self.models[model].servers[instance.provider], instance.deployment)
        except TypeError:  # nested more deeply than JSON is written
            return
        self.recent.put(key, value)
        self.store.put(key, model, value)
        if self.mode == "refresh":
            self._refreshed.add(key)

    def close(self) -> None:
        """Write what is left and close the store."""
        self.store.close()
