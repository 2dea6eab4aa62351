"""The decision log of a run: one JSON line per decision in `decisions.jsonl`, with its reason in words and the evidence.

Requests are not logged here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from providers.messages import JSON

from ..durable import LineFile, storing
from .sentences import sentence

log = logging.getLogger(__name__)

Decide = Callable[[str, str, Mapping[str, JSON]], None]
"""Takes the instance, the event and the evidence."""


class DecisionLog:
    """The file of the decisions. Each line is written at once: decisions are rare and needed after a crash.

    Opening raises StorageError. After a write error the log warns and writes no more lines; the run continues.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storing(path):
            self._file = LineFile(path)
        self._is_full = False

    def __call__(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        if self._is_full:
            return
        at = time.time()
        shown_at = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        line = {"time": shown_at, "instance": instance, "event": event, "why": sentence(event, evidence), "at": at}
        try:
            self._file.append(orjson.dumps({**line, **evidence}, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            self._is_full = True
            log.warning("cannot write %s: %s; no more decisions are logged in this run", self._path, error.strerror)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
