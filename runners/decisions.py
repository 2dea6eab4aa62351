"""What the run decided and why: one JSON line a decision in `decisions.jsonl`, never one a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from providers.messages import JSON

Decide = Callable[[str, str, Mapping[str, JSON]], None]
"""instance, event, evidence"""


class DecisionLog:
    """Appends and flushes each line: decisions are rare and wanted after a crash."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def __call__(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        line = {"at": time.time(), "instance": instance, "event": event, **evidence}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()
