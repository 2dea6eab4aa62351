"""Alerts: an instance lost or ill or drifted, a run stalled, its loop blocked, a budget nearly used up, a run finished.

To a callback from Python, to a command of the user's from the shell.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from providers.messages import JSON

log = logging.getLogger(__name__)

OnEvent = Callable[[Mapping[str, JSON]], None]
NOTIFY_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Events:
    """The events of a run, passed to a callback and a notify command. The command gets JSON on standard input and delays nothing."""

    on_event: OnEvent | None = None
    notify: str | None = None
    _has_warned: bool = False
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def emit(self, event: str, details: Mapping[str, JSON]) -> None:
        """Pass an event to the callback and start the notify command with it."""
        payload = {"event": event, **details}
        if self.on_event is not None:
            self._tell(self.on_event, payload)
        if self.notify is not None:
            self._start(self.notify, payload)

    def emit_from_thread(self, event: str, details: Mapping[str, JSON]) -> None:
        """Emit from a thread while the loop is blocked: the callback runs at once in this thread, the command when the loop continues."""
        payload = {"event": event, **details}
        if self.on_event is not None:
            self._tell(self.on_event, payload)
        if self.notify is not None:
            self._loop.call_soon_threadsafe(self._start, self.notify, payload)

    def _start(self, notify: str, payload: Mapping[str, JSON]) -> None:
        task = self._loop.create_task(self._notify(notify, payload), name=f"notify {payload['event']}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _tell(self, on_event: OnEvent, payload: Mapping[str, JSON]) -> None:
        try:
            on_event(payload)
        except Exception:  # the user's callback; the run is worth more than the alert
            log.exception("on_event raised on %s; it is not called again", payload["event"])
            self.on_event = None

    async def _notify(self, notify: str, payload: Mapping[str, JSON]) -> None:
        try:
            await _tell_command(notify, payload)
        except (
            OSError
        ) as error:  # it was checked when the run began; a run does not end because an alert cannot be sent
            if not self._has_warned:
                log.warning("the notify command cannot be run (%s): %s may not have been told", error, payload["event"])
            self._has_warned = True

    async def aclose(self) -> None:
        """Wait for the commands that are still running; each has its own bound."""
        if self._running:
            await asyncio.wait(self._running)


async def _tell_command(command: str, event: Mapping[str, JSON]) -> None:
    """Run the command with the event on its standard input. Raises OSError if the command cannot be started."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), stdin=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(NOTIFY_TIMEOUT_S):
            await process.communicate(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
    except TimeoutError:
        process.kill()
        await process.wait()
