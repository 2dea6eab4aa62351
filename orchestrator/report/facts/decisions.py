"""The decisions of a run, read from decisions.jsonl: as text, on the time axis, and the time under each gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from runners.decisions.sentences import sentence

Line = Mapping[str, Any]
MOST_KEPT = 4_000
"""Only the first decisions are kept; decisions.jsonl contains all."""
HEALTH = ("health", "instance_lost")
END = "end"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about an instance."""

    at: float
    """Seconds since the epoch."""
    instance: str
    event: str
    words: str
    state: str
    """The instance's health from this decision on; empty where the decision does not change it."""


@dataclass(frozen=True, slots=True)
class GateTimes:
    """Totals of the instances' end events over all executions."""

    sent: Mapping[str, int]
    """Requests by instance, without instances whose limiter does not count them (fixed mode)."""
    refused: Mapping[str, int]
    time_under_s: Mapping[str, Mapping[str, float]]
    """By instance and gate. The gates of an instance add up to the time for which it was in use."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of a run and what follows from them."""

    total: int
    kept: tuple[Decision, ...]
    states: Mapping[str, str]
    """The last known health of each instance, with the evidence."""
    ledger: GateTimes


def read_decisions(path: Path) -> Decisions:
    """Read the file line by line. A line that a crash cut off is left out."""
    total, kept, states = 0, list[Decision](), dict[str, str]()
    sent, refused, gates = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    for line in _lines(path):
        total += 1
        instance = str(line["instance"])
        if line["event"] in HEALTH:
            states[instance] = _health(line)
        if line["event"] == END:
            if "sent" in line:
                sent[instance] += int(line["sent"])
                refused[instance] += int(line.get("throttled", 0))
            gates.setdefault(instance, Counter()).update(line.get("time_under", {}))
        if len(kept) < MOST_KEPT or line["event"] in HEALTH:
            kept.append(_decision(line))
    return Decisions(
        total,
        tuple(kept),
        states,
        GateTimes(sent, refused, {name: seconds_by_gate for name, seconds_by_gate in gates.items() if seconds_by_gate}),
    )


def _lines(path: Path) -> Iterator[Line]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict) and {"at", "instance", "event"} <= record.keys():
                yield record


def _decision(line: Line) -> Decision:
    event = str(line["event"])
    state = str(line.get("state", "")) if event in HEALTH else ""
    return Decision(float(line["at"]), str(line["instance"]), event, _in_words(event, line), state)


def _in_words(event: str, line: Line) -> str:
    words = line.get("why") or sentence(event, line)
    if words:
        return str(words)
    evidence = {name: value for name, value in line.items() if name not in {"time", "at", "instance", "event", "why"}}
    return orjson.dumps(evidence).decode()  # a line of another version is shown unchanged


def _health(line: Line) -> str:
    return f"{line.get('state', '')}: {line['evidence']}" if line.get("evidence") else str(line.get("state", ""))


def lanes(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """Group the decisions by instance, in the order of the names."""
    by_instance: dict[str, list[Decision]] = {
        name: [] for name in sorted({decision.instance for decision in decisions})
    }
    for decision in decisions:
        by_instance[decision.instance].append(decision)
    return by_instance
