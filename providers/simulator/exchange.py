"""Performs an admitted request: its time, its fault and its bytes.

Everything is decided before anything is awaited. A client that disconnects cancels the exchange and frees the endpoint at once.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from .limits.latency import draw_extra_s, draw_noise
from .protocol.bodies import whole_body
from .protocol.streams import Script, write_script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoint import Endpoint
    from .limits.service import Work
    from .protocol.calls import SimulatedCall, SimulatedReply
    from .protocol.dialects import Dialect, ErrorAnswer

JSON_TYPE = "application/json"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """An admitted request and its reply."""

    http: web.Request
    call: SimulatedCall
    reply: SimulatedReply
    endpoint: Endpoint
    dialect: Dialect
    headers: Mapping[str, str]

    async def perform(self, seed: int) -> web.StreamResponse:
        """Send the reply after the time that the endpoint takes."""
        factor = draw_noise(seed, self.call.request_id, self.endpoint.settings.latency.noise)
        error = self._error()
        if error is not None or self.reply.fault == "reset":
            await self._spend([self.endpoint.settings.latency.ttft_s * factor])
            return cut_connection(self.http) if error is None else error_response(error, self.headers)
        first_s = self.endpoint.settings.latency.ttft_s + self._extra_s(seed)
        if self.call.request.generation.stream:
            return await self._stream(first_s, factor)
        return await self._answer_whole(first_s, factor)

    def _extra_s(self, seed: int) -> float:
        return draw_extra_s(seed, self.call.request_id, self.endpoint.settings.latency)

    def _error(self) -> ErrorAnswer | None:
        if self.reply.fault == "error_500":
            return self.dialect.server_error(self.reply.error)
        if self.reply.fault == "content_filter" and self.dialect.filters_by_status:
            return self.dialect.filtered()
        return None

    async def _answer_whole(self, first_s: float, factor: float) -> web.Response:
        latency = self.endpoint.settings.latency
        if self.reply.fault == "stall":
            await asyncio.sleep(self.endpoint.faults.stall_s)
        await self._spend([(first_s + latency.itl_s * self.reply.output_tokens) * factor])
        body = whole_body(self.reply, self.dialect, self.endpoint.settings)
        if self.reply.fault == "early_end":
            return _cut_short(body, self.headers)
        return web.Response(body=body, headers=self.headers, content_type=JSON_TYPE)

    async def _spend(self, milestones_s: list[float]) -> None:
        work = self.endpoint.service.begin(milestones_s)
        try:
            await work.reach(len(milestones_s) - 1)
        finally:
            work.leave()

    async def _stream(self, first_s: float, factor: float) -> web.StreamResponse:
        settings = self.endpoint.settings
        script = write_script(self.reply, self.dialect, settings, wants_usage=self.call.wants_usage)
        work = self.endpoint.service.begin(self._milestones(len(script.events), first_s, factor))
        try:
            response = web.StreamResponse(headers={**self.headers, "Content-Type": "text/event-stream; charset=utf-8"})
            await response.prepare(self.http)
            await self._play(script, response, work)
        finally:
            work.leave()
        return response

    def _milestones(self, events: int, first_s: float, factor: float) -> list[float]:
        """Compute when each event is due, and the end: the first after first_s, the end at the time of a whole answer."""
        end_s = first_s + self.endpoint.settings.latency.itl_s * self.reply.output_tokens
        step = (end_s - first_s) / events if events else 0.0
        return [*((first_s + step * index) * factor for index in range(events)), end_s * factor]

    async def _play(self, script: Script, response: web.StreamResponse, work: Work) -> None:
        await response.write(script.opening)
        sent, total = 0, len(script.events)
        silent_before = script.silent_before
        while sent < total:
            if sent == silent_before:
                await asyncio.sleep(self.endpoint.faults.stall_s)
                silent_before = None
            until = total if silent_before is None else silent_before
            due = min(await work.reach(sent), until)  # a late loop catches up in one write
            await response.write(b"".join(script.events[sent:due]))
            sent = due
        await work.reach(total)
        await response.write_eof(script.closing)


def error_response(error: ErrorAnswer, headers: Mapping[str, str]) -> web.Response:
    """Send an error as JSON."""
    return web.Response(status=error.status, body=orjson.dumps(error.body), headers=headers, content_type=JSON_TYPE)


def cut_connection(http: web.Request) -> web.Response:
    """Reset the connection (RST, not FIN) before any header."""
    transport = http.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)  # not sent: the transport is closed


def _cut_short(body: bytes, headers: Mapping[str, str]) -> web.Response:
    """Send half of the body under its full content-length, then close the connection."""
    response = web.Response(body=body[: len(body) // 2], headers=headers, content_type=JSON_TYPE)
    response.headers["Content-Length"] = str(len(body))
    response.force_close()
    return response
