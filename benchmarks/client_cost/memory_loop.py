"""An event loop on which every connection ends in a server of the same loop: no socket is opened, and the clock is virtual.

Time passes only where the loop waits, and by a fixed amount per iteration, so that two runs of a program are alike call by call. Work that
is sent to a thread runs at once. Timers have milliseconds, as those of uvloop have.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from contextvars import Context
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ITERATION_S = 20e-6
"""Time that an iteration of the loop takes."""
TIMER_S = 1e-3
"""Resolution of the clock and of timers."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory: what is written arrives at the other end in the next iteration of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._is_closing = False
        self.peer: MemoryTransport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self._loop.call_soon(self.peer.deliver, bytes(data))

    def deliver(self, data: bytes) -> None:
        """Hand data to the protocol of this end."""
        if not self._is_closing and isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._loop.call_soon(self.peer.close)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore the limits: nothing is buffered."""

    def pause_reading(self) -> None:
        """Ignore it: an answer is smaller than any buffer."""

    def resume_reading(self) -> None:
        """Ignore it, as reading is never paused."""


class _JumpingSelector(selectors.SelectSelector):
    """A selector that advances the clock instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("every task waits and no timer is set")
        self.now_s += max(timeout or 0.0, ITERATION_S) if not ready else ITERATION_S
        return ready


class MemoryLoop(asyncio.SelectorEventLoop):
    """The event loop; `serve` builds the server's protocol of a new connection."""

    def __init__(self, serve: Callable[[], asyncio.Protocol]) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._serve = serve

    def time(self) -> float:
        return self._jumping.now_s // TIMER_S * TIMER_S

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_later(round(delay / TIMER_S) * TIMER_S, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(round(when / TIMER_S) * TIMER_S, callback, *args, context=context)

    async def sock_connect(self, sock: socket.socket, address: object) -> None:
        """Do nothing: the connection is made in memory."""

    async def create_connection(  # type: ignore[override]  # a TCP connection to anywhere, and nothing else
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,  # noqa: ARG002 - asyncio's signature
        port: int | None = None,  # noqa: ARG002 - asyncio's signature
        *,
        sock: socket.socket | None = None,
        **options: object,  # noqa: ARG002 - asyncio's signature
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        """Connect the client's protocol with a new connection of the server."""
        if sock is not None:
            sock.close()
        protocol, served = protocol_factory(), self._serve()
        near, far = MemoryTransport(self, protocol), MemoryTransport(self, served)
        near.peer, far.peer = far, near
        served.connection_made(far)
        protocol.connection_made(near)
        return near, protocol

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - asyncio's signature
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run the function at once; its result is there in the next iteration."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(run_off_loop(func, args))
        except Exception as error:  # noqa: BLE001 - the caller's to handle, as with a thread
            done.set_exception(error)
        return done


def run_off_loop(work: Callable[..., T], arguments: Sequence[object]) -> T:
    """Do what a thread would do; a frame of its own, so that a profiler can tell it from the loop's work."""
    return work(*arguments)


def run_in_memory(main: Coroutine[object, object, T], serve: Callable[[], asyncio.Protocol]) -> T:
    """Run `main` to its end on a new loop."""
    with asyncio.Runner(loop_factory=lambda: MemoryLoop(serve)) as runner:
        return runner.run(main)
