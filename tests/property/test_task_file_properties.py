"""Whatever stands in a task file: tasks that can be sent, or one InputError in one line."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given
from hypothesis import strategies as st

from providers.errors import InputError
from sharding.tasks.sources import SourceSpec, open_tasks

NAMES = ("id", "custom_id", "input", "messages", "target", "tools", "task_type", "family", "system", "metadata", "body")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("role", "content", "text")), inner),
    max_leaves=6,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(("user", "system", "assistant", "tool")), "content": json_values | st.text()}
    ),
    max_size=3,
)
rows = st.dictionaries(st.sampled_from(NAMES), json_values | messages, max_size=6)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def require_a_sentence(error: InputError, path: Path) -> None:
    assert str(path) in str(error)
    assert "\n" not in str(error)


def require_tasks_or_a_sentence(content: bytes, suffix: str, fields: dict[str, str] | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"tasks{suffix}"
        path.write_bytes(content)
        try:
            tasks = open_tasks([SourceSpec(path, fields or {})])
        except InputError as error:
            require_a_sentence(error, path)
            return
        for row in range(len(tasks)):
            task = tasks[row]
            orjson.dumps([task.messages, task.tools, task.target, task.metadata])
        tasks.close()


@given(st.binary(max_size=200), st.sampled_from((".jsonl", ".json", ".csv", ".parquet")))
@example(b'{"input": "' + b"\xff" + b'"}', ".jsonl")
@example(b'{"input": "x", "metadata": {"a": ' + deep(600) + b"}}", ".jsonl")
@example(b'[{"input": "x", "target": ' + deep(400) + b"}]", ".json")
@example(deep(100_000), ".json")
@example(b"[" + b"1" * 10_000 + b"]", ".json")
@example(b'[{"input": NaN}]', ".json")
@example(b'input\r\n"a\x00b"\r\n', ".csv")
@example(b'input,tools\nx,"' + deep(400) + b'"\n', ".csv")
@example(b"PAR1PAR1", ".parquet")
def test_bytes_of_any_kind(content: bytes, suffix: str) -> None:
    require_tasks_or_a_sentence(content, suffix)


@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from((".jsonl", ".json")))
def test_rows_of_any_shape(wanted: Sequence[dict[str, Any]], suffix: str) -> None:
    lines = [_dumps(row) for row in wanted]
    require_tasks_or_a_sentence(b"\n".join(lines) if suffix == ".jsonl" else b"[" + b",".join(lines) + b"]", suffix)


def _dumps(row: object) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:  # an integer of more than 64 bits
        return orjson.dumps(str(row).encode("utf-8", "replace").decode())


columns = st.sampled_from(NAMES)
arrays = st.one_of(
    st.lists(st.text(max_size=5) | st.none(), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.string())),
    st.lists(st.binary(max_size=5), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.binary())),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.timestamp("us"))),
    st.lists(st.floats(), min_size=2, max_size=2).map(lambda v: pa.array(v, pa.float64())),
    st.just(pa.array([[{"role": "user", "content": "x"}], None])),
    st.just(pa.array([{"a": b"\xff"}, {"a": None}])),
    st.just(pa.array([b"\xff\xfe", b"fine"]).view(pa.string())),
)


damages = st.none() | st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))


@given(st.dictionaries(columns, arrays, min_size=1, max_size=4), damages)
def test_parquet_of_any_type_whole_or_damaged(table: dict[str, pa.Array], damage: tuple[int, bytes] | None) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table(table), file)
    content = bytearray(file.getvalue())
    if damage is not None:
        at = damage[0] % len(content)
        content[at : at + len(damage[1])] = damage[1]
    require_tasks_or_a_sentence(bytes(content), ".parquet")
