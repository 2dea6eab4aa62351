"""Whatever is appended, whenever the process dies: every sample has one record in the end."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.instants import instant
from runners.journal.compaction import Compactor
from runners.journal.frames import frame, frame_record, read_lines, rows
from runners.journal.kept_rows import KeptRows, row_of
from runners.journal.sinks.jsonl import JsonlSink
from runners.journal.sinks.parquet import ParquetSink
from runners.samples.record import FINAL, Record
from tests.unit.runners.doubles import ListSink, a_record

SAMPLES = 6
OUTCOMES = ["ok", "model_failure", "infra_failure", "not_run"]

texts = st.text(max_size=40)
values = {
    "str": texts,
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "Instant": st.floats(0, 4e9).map(instant),
}


def _of(annotation: str) -> st.SearchStrategy[Any]:
    strategy = values[annotation.removesuffix(" | None")]
    return st.none() | strategy if annotation.endswith(" | None") else strategy


records = st.builds(Record, **{field.name: _of(str(field.type)) for field in dataclasses.fields(Record)})


@contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# ------------------------------------------------------------------ lines and rows
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | values["float"] | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(texts, json, max_size=4), max_size=5))
@settings(max_examples=60)
def test_lines_hold_any_json_and_are_told_apart(wanted: list[dict[str, Any]]) -> None:
    with a_folder() as folder:
        path = folder / "log"
        path.write_bytes(b"".join(map(frame, wanted)))
        assert list(rows(path)) == wanted
        assert not any(line.is_torn for line in read_lines(path))


@given(st.binary(max_size=200), st.lists(st.dictionaries(texts, json, max_size=2), max_size=2))
@settings(max_examples=60)
def test_no_bytes_whatever_are_an_exception(noise: bytes, before: list[dict[str, Any]]) -> None:
    with a_folder() as folder:
        path = folder / "log"
        path.write_bytes(b"".join(map(frame, before)) + noise)
        assert list(rows(path))[: len(before)] == before


@given(st.lists(records, max_size=4))
@settings(max_examples=40, deadline=None)
def test_both_sinks_hold_every_record_as_it_was(wanted: list[Record]) -> None:
    with a_folder() as folder:
        log = folder / "log"
        log.write_bytes(b"".join(map(frame, wanted)))
        for sink in (ParquetSink(folder), JsonlSink(folder)):
            sink.write_part(1, rows(log))
        expected = [dataclasses.asdict(record) for record in wanted]
        assert [_untyped(row) for row in pq.read_table(folder / "part-000001.parquet").to_pylist()] == expected
        assert [orjson.loads(line) for line in (folder / "results.jsonl").read_bytes().splitlines()] == expected


def _untyped(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


# ------------------------------------------------------------------ rows in memory and rows of the file
odd_texts = st.sampled_from(["half \ud800", "🙂", "long " * 400]) | st.text(
    st.characters(exclude_categories=()), max_size=10
)
odd_records = st.builds(
    dataclasses.replace,
    records,
    ordinal=st.integers(0, SAMPLES - 1),
    outcome=st.sampled_from(OUTCOMES),
    score=st.sampled_from([None, math.nan, math.inf, 1, 0.5]),
    output_text=odd_texts,
)


@given(
    st.lists(st.tuples(st.lists(odd_records, max_size=3), st.floats(0, 4e9)), max_size=3),
    st.booleans(),
    st.just(1_000_000) | st.integers(0, 20_000),
)
@settings(max_examples=40, deadline=None)
def test_a_part_is_the_same_from_memory_as_from_the_file(
    groups: list[tuple[list[Record], float]], is_late: bool, limit_bytes: int
) -> None:
    """The clock of the marks is free, or a second after the last record of the group, so that write times are measured, too."""
    with a_folder() as folder:
        kept = KeptRows(1, limit_bytes)
        segment, record_bytes = frame({"started": [0, 1]}), 0
        for group, clock in groups:
            committed_at = _end_of(group) + 1.0 if is_late and group else clock
            framed = [frame_record(record) for record in group]
            lines = b"".join(line for line, _ in framed)
            kept.add([encoded for _, encoded in framed], len(lines), committed_at)
            record_bytes += len(lines)
            segment += lines + frame({"committed": committed_at})
        assert kept.is_complete == (record_bytes <= limit_bytes)
        assert kept.is_complete or not list(kept)
        for sink_class in (ParquetSink, JsonlSink):
            of_file = _compacted(folder / f"file-{sink_class.__name__}", segment, sink_class, None)
            assert _compacted(folder / f"kept-{sink_class.__name__}", segment, sink_class, kept) == of_file


def _end_of(group: list[Record]) -> float:
    return max(datetime.fromisoformat(record.completed_at).timestamp() for record in group)


def _compacted(
    folder: Path, segment: bytes, sink_class: type[ParquetSink | JsonlSink], kept: KeptRows | None
) -> dict[str, bytes]:
    """Compact the segment, and return every file that is left."""
    folder.mkdir()
    (folder / "000001.log").write_bytes(segment)
    Compactor(folder, sink_class(folder)).compact(1, kept)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(st.lists(odd_records, max_size=4))
@settings(max_examples=80, deadline=None)
def test_a_kept_row_is_the_row_that_its_line_decodes_to(wanted: list[Record]) -> None:
    with a_folder() as folder:
        path = folder / "log"
        framed = [frame_record(record) for record in wanted]
        path.write_bytes(b"".join(line for line, _ in framed))
        assert [list(row_of(record).items()) for _, record in framed] == [list(row.items()) for row in rows(path)]


# ------------------------------------------------------------------ executions that are killed
@dataclasses.dataclass(frozen=True)
class Execution:
    """What one execution appended, in segments, and how it died."""

    outcomes: Sequence[str]
    per_segment: int
    torn: int
    """Bytes of the journal that the crash took away."""
    keeps_compacted: bool
    """Whether the crash came before a compacted segment was deleted."""
    ends_well: bool


executions = st.builds(
    Execution,
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=SAMPLES, max_size=SAMPLES),
    per_segment=st.integers(1, SAMPLES),
    torn=st.integers(0, 3000),
    keeps_compacted=st.booleans(),
    ends_well=st.booleans(),
)


def execute(folder: Path, sink: ListSink, execution: Execution) -> None:
    """One execution over what is not done: written as the journal writes, ended as told."""
    compactor = Compactor(folder, sink)
    done = compactor.replay(SAMPLES).done
    todo = [ordinal for ordinal in range(SAMPLES) if ordinal not in done]
    number = compactor.next_number()
    for at in range(0, len(todo), execution.per_segment):
        path = folder / f"{number:06d}.log"
        group = todo[at : at + execution.per_segment]
        content = frame({"started": group})
        for ordinal in group:
            content += frame(a_record(ordinal, execution.outcomes[ordinal]))
            if execution.outcomes[ordinal] in FINAL:
                done.add(ordinal)
        is_last = at + execution.per_segment >= len(todo)
        if is_last and not execution.ends_well:
            path.write_bytes(content[: max(0, len(content) - execution.torn)])
            return
        path.write_bytes(content)
        if not is_last:
            compactor.compact(number)
            if execution.keeps_compacted and not execution.ends_well:
                path.write_bytes(content)
                return
        number += 1
    compactor.finish(done)


@given(st.lists(executions, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_sample_ends_in_exactly_one_record(history: list[Execution]) -> None:
    with a_folder() as folder:
        sink = ListSink()
        for execution in history:
            execute(folder, sink, execution)
            assert len(sink.found) == len(set(sink.found))
        compactor = Compactor(folder, sink)
        replay = compactor.replay(SAMPLES)
        compactor.finish(replay.done)
        unresolved = [row["ordinal"] for row in sink.unresolved]
        assert len(sink.found) == len(set(sink.found)) == replay.done.count
        assert len(unresolved) == len(set(unresolved))
        assert not set(sink.found) & set(unresolved)
        execute(folder, sink, Execution(["ok"] * SAMPLES, SAMPLES, 0, keeps_compacted=False, ends_well=True))
        assert sorted(sink.found) == list(range(SAMPLES))
        assert sink.unresolved == []


# ------------------------------------------------------------------ a disk that lies
@dataclasses.dataclass(frozen=True)
class Damage:
    """What the disk did to a segment: bytes overwritten, put in or taken away somewhere."""

    at: int
    taken: int
    put: bytes

    def done_to(self, content: bytes) -> bytes:
        at = self.at % (len(content) + 1)
        return content[:at] + self.put + content[at + self.taken :]


damages = st.builds(
    Damage,
    at=st.integers(0, 10**6),
    taken=st.integers(0, 40) | st.just(10**6),
    put=st.binary(max_size=40) | st.just(b"\n"),
)


@given(st.lists(st.sampled_from(OUTCOMES), min_size=SAMPLES, max_size=SAMPLES), st.lists(damages, max_size=4))
def test_a_damaged_segment_loses_lines_and_invents_none(outcomes: list[str], blows: list[Damage]) -> None:
    whole = [frame({"started": list(range(SAMPLES))})]
    whole += [frame(a_record(ordinal, outcome)) for ordinal, outcome in enumerate(outcomes)]
    content = b"".join(whole)
    for blow in blows:
        content = blow.done_to(content)
    intact = {ordinal for ordinal, line in enumerate(whole[1:]) if line in content}
    with a_folder() as folder:
        (folder / "000001.log").write_bytes(content)
        sink = ListSink()
        compactor = Compactor(folder, sink)
        replay = compactor.replay(SAMPLES)
        compactor.finish(replay.done)
        found = [*sink.found, *(row["ordinal"] for row in sink.unresolved)]
        assert sorted(found) == sorted(set(found))
        assert set(found) == intact
        assert replay.done.count == len(sink.found)
        assert {ordinal for ordinal in intact if outcomes[ordinal] in FINAL} == set(sink.found)
        lost = content.count(b"\n") - len(intact) - (whole[0] in content)
        assert replay.damaged == max(0, lost)


@given(
    st.binary(max_size=300),
    st.binary(max_size=300),
    st.sampled_from(["1.log", "12x.log", "0.log.tmp", "9" * 30 + ".log"]),
)
def test_a_journal_of_any_bytes_is_an_empty_one(segment: bytes, unresolved: bytes, stray: str) -> None:
    with a_folder() as folder:
        (folder / "000001.log").write_bytes(segment)
        (folder / "unresolved.log").write_bytes(unresolved)
        (folder / stray).write_bytes(segment)
        sink = ListSink()
        compactor = Compactor(folder, sink)
        replay = compactor.replay(SAMPLES)
        compactor.finish(replay.done)
        assert (sink.found, sink.unresolved, replay.done.count, replay.possibly_billed_twice) == ([], [], 0, 0)
        assert compactor.next_number() < 10**6
