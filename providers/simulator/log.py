"""The server's log of answers, one JSON line per request; a run's records are checked against it. It names keys, never secrets."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from ..file_modes import as_its_folder

log = logging.getLogger(__name__)

FLUSH_AFTER_S = 0.2
"""Longest delay of a line in the file."""


@dataclass(slots=True)
class AnswerLogEntry:
    """The log entry of one request; its fields are set while the request is answered."""

    request_id: str
    deployment: str
    key: str | None
    """Name of the key, "SIMULATOR_KEY" for deployments, None where the secret was unknown."""
    status: int | None = None
    """None where the connection was cut without an answer, 499 where the client disconnected first."""
    right: bool | None = None
    fault: str | None = None
    corruption: str | None = None
    response_id: str | None = None
    tokens: int = 0
    """Input plus output tokens, as they would be billed."""
    text: str | None = None

    @property
    def sample_id(self) -> str:
        """Return the id of the sample, which is the first part of the request's id."""
        return self.request_id.rsplit("/", 2)[0]


class AnswerLog:
    """The writer of the log: it collects lines and writes them every FLUSH_AFTER_S and at the end.

    Without a path, or after an error of the disk, it drops them: a log must not disturb the measured client.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: BinaryIO | None = _opened(path) if path is not None else None
        self._path = path
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, entry: AnswerLogEntry) -> None:
        """Add a line, which is written within FLUSH_AFTER_S."""
        if self._file is None:
            return
        self._lines.append(_line(entry))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self.flush)

    def flush(self) -> None:
        """Write the collected lines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None and self._lines:
            data, self._lines = memoryview(b"".join(self._lines)), []
            try:
                while data:
                    data = data[self._file.write(data) :]
            except OSError as error:
                log.warning("cannot write %s: %s; later answers are not logged", self._path, error.strerror)
                self._file.close()
                self._file = None

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(path: Path) -> BinaryIO:
    """Open the file and terminate a line that a crash cut off."""
    file = open(path, "a+b", buffering=0, opener=as_its_folder)  # noqa: SIM115 - the log closes it
    size = file.seek(0, os.SEEK_END)
    if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
        file.write(b"\n")
    return cast(BinaryIO, file)


def _line(entry: AnswerLogEntry) -> bytes:
    row: dict[str, object] = {
        "request_id": entry.request_id,
        "sample_id": entry.sample_id,
        "deployment": entry.deployment,
        "key": entry.key,
        "status": entry.status,
        "right": entry.right,
        "fault": entry.fault,
        "corruption": entry.corruption,
        "response_id": entry.response_id,
        "tokens": entry.tokens,
        "at": time.time(),
    }
    if entry.text is not None:
        row["text"] = entry.text
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
