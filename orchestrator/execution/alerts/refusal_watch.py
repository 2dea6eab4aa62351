"""Watches whether a model's samples are refused, unreadable or ungradable more often than a sweep should accept."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping

from providers.errors import Malformed, Refused, RequestTooLarge
from providers.messages import JSON
from runners.dispatch.health import wording_of
from runners.samples.answer import Ungraded
from runners.samples.record import Record

WINDOW = 100
"""The last samples of a model that are counted."""
SHARE = 0.2
AT_LEAST = 5
"""The fewest samples that a share is computed from."""
KINDS = {
    Refused.error_class: "refused",
    RequestTooLarge.error_class: "refused",
    Malformed.error_class: "unreadable",
    Ungraded.error_class: "ungradable",
}
SENTENCE_LIMIT = 300
WORDINGS_LISTED = 5
WORDINGS_COUNTED = 200


class RefusalWatch:
    """An observer of every record of an execution, which reports a model once when its share passes the bound."""

    def __init__(self, tell: Callable[[Mapping[str, JSON]], None]) -> None:
        self._tell = tell
        self._last: defaultdict[str, deque[str | None]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._told: dict[str, str] = {}
        self._refused = Counter[str]()
        self._words: dict[str, str] = {}

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reports, one sentence per model."""
        return tuple(self._told.values())

    @property
    def listing(self) -> tuple[str, ...]:
        """What was refused most often, in the servers' words."""
        most = self._refused.most_common(WORDINGS_LISTED)
        return tuple(f"{count} refused: {self._words[wording]}" for wording, count in most)

    def note(self, record: Record) -> None:
        """Count a sample that has ended."""
        last, kind = self._last[record.model], KINDS.get(record.error_class or "")
        last.append(kind)
        if kind == "refused":
            self._list(record.error_message or "")
        if kind is None or record.model in self._told:
            return
        bad = [kind for kind in last if kind is not None]
        if len(bad) < AT_LEAST or len(bad) <= SHARE * len(last):
            return
        counts = {name: bad.count(name) for name in dict.fromkeys(bad)}
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        words = (record.error_message or "")[:SENTENCE_LIMIT]
        self._told[record.model] = sentence = f"of the last {len(last)} samples of {record.model} {shown}: {words}"
        self._tell({"model": record.model, "samples": len(last), **counts, "evidence": sentence})

    def _list(self, sentence: str) -> None:
        wording = wording_of(sentence)
        if wording in self._words or len(self._words) < WORDINGS_COUNTED:
            self._words.setdefault(wording, sentence[:SENTENCE_LIMIT])
            self._refused[wording] += 1
