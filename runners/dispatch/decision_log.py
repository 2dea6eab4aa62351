"""What the run decided and why: one JSON line a decision in `decisions.jsonl`, never one a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from providers.messages import JSON

from ..durable import LineFile, storing

log = logging.getLogger(__name__)

Decide = Callable[[str, str, Mapping[str, JSON]], None]
"""instance, event, evidence"""


class DecisionLog:
    """Appends each line at once: decisions are rare and wanted after a crash. One that the disk refuses is the last: the run is worth more.

    Opening raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storing(path):
            self._file = LineFile(path)
        self._is_full = False

    def __call__(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        if self._is_full:
            return
        line = {"at": time.time(), "instance": instance, "event": event, **evidence}
        try:
            self._file.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            self._is_full = True
            log.warning("cannot write %s: %s; decisions are not written down any more", self._path, error.strerror)

    def close(self) -> None:
        self._file.close()
