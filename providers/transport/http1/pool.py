"""The connections of one origin: idle ones are used again, the last one first. `ConnectionLimit` bounds those of all origins in use."""

from __future__ import annotations

import asyncio

from .connection import Connection
from .connector import Connector
from .deadlines import DeadlineSweep
from .limit import ConnectionLimit


class ConnectionPool:
    """Keeps the connections of one origin. Implements ConnectionOwner."""

    def __init__(self, connector: Connector, sweep: DeadlineSweep, limit: ConnectionLimit) -> None:
        self._connector = connector
        self._sweep = sweep
        self._limit = limit
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._emptied: asyncio.Future[None] | None = None
        """Set while the pool closes."""

    def take(self) -> Connection | None:
        """Take an idle connection without waiting; None where there is none, or no place under the limit."""
        if not self._idle or not self._limit.take():
            return None
        connection = self._pop_idle()
        if connection is None:
            self._limit.release()
        return connection

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """Wait for a place; take an idle connection, or open one where there is none. Raises TransferFailed."""
        await self._limit.wait()
        connection = None if fresh else self._pop_idle()
        if connection is not None:
            return connection
        connection = Connection(self._sweep, self)
        self._used.add(connection)
        try:
            await self._connector.open(connection)
        except BaseException:
            connection.abort()
            self._release(connection)
            raise
        if self._emptied is not None:
            connection.abort()
        return connection

    def put_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        self._idle.append(connection)
        self._release(connection)
        if self._emptied is not None:
            connection.abort()

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has ended."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._release(connection)

    async def aclose(self) -> None:
        """Close every connection and wait until the loop has let go of them."""
        self._emptied = asyncio.get_running_loop().create_future()
        for connection in (*self._idle, *self._used):
            connection.abort()
        if self._idle or self._used:
            await self._emptied

    def _pop_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                self._used.add(connection)
                return connection
        return None

    def _release(self, connection: Connection) -> None:
        """Give the slot back, once."""
        if connection in self._used:
            self._used.remove(connection)
            self._limit.release()
        if self._emptied is not None and not self._emptied.done() and not (self._idle or self._used):
            self._emptied.set_result(None)
