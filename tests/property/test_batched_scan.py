"""The scan of whole batches keeps and refuses what the scan of single rows does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import InputError
from sharding.tasks.columns import Columns
from sharding.tasks.formats.json_rows import BATCH_BYTES, JsonLines
from sharding.tasks.formats.parquet_rows import ParquetRows
from sharding.tasks.scan.duplicate_ids import TaskIds
from sharding.tasks.scan.file_scan import FileScan, RowStore

Found = tuple[list[str], list[tuple[str, str]], list[int]] | str
USER = {"role": "user", "content": "2 + 2?"}
MESSAGES = [[USER], [{"role": "system", "content": ""}, USER]]
ODD_MESSAGES: list[Any] = [
    [],
    None,
    "[]",
    [{"role": "user"}],
    [{"role": "robot", "content": "x"}],
    [{"role": "assistant", "content": None}],
    [{"role": "user", "content": 4}],
    [{"role": ["user"], "content": "x"}],
    [USER | {"name": "ann"}],
    ["hi", "ho"],
    [None],
    {"role": 1},
]
LABELS = ["easy", "hard", None, 3, 0.5, True]
TARGETS = ["4", "", " ", 4, 4.5, None, False]
DEEP: Any = None
for _ in range(300):
    DEEP = [DEEP]


def rows(usual_input: st.SearchStrategy[dict[str, Any]], odd: dict[str, list[Any]]) -> st.SearchStrategy[list[Any]]:
    """Draw rows of which most are usual."""
    usual = st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "b", "c", 4, None]), "target": st.sampled_from(TARGETS)},
        optional={"difficulty": st.sampled_from(LABELS), "metadata": st.sampled_from([{"x": 1}, None])},
    )
    change = st.one_of([st.tuples(st.just(name), st.sampled_from(values)) for name, values in odd.items()])
    one = st.tuples(usual, usual_input, st.lists(change, max_size=1)).map(
        lambda parts: parts[0] | parts[1] | dict(parts[2])
    )
    return st.lists(one, min_size=1, max_size=6)


ODD: dict[str, list[Any]] = {
    "id": ["", [1]],
    "target": [[1], {"a": 1}, DEEP],
    "family": ["f", "", {}],
    "difficulty": ["", []],
    "system": ["Be brief.", 3, None],
    "metadata": ["{}", "no JSON", 3, {"x": DEEP}],
    "tools": [[], None, [{"name": "f"}], 3],
    "task_id": ["other"],
    "note": ["an unused column"],
}
TEXTS = rows(st.sampled_from(["2 + 2?", "é", ""]).map(lambda text: {"question": text}), ODD | {"question": [None, 4]})
CHATS = rows(
    st.sampled_from(MESSAGES).map(lambda chat: {"messages": chat}),
    ODD | {"messages": ODD_MESSAGES, "question": ["x", None]},
)


class RecordedIds(TaskIds):
    """A check for duplicate ids that remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def add(self, task_id: str) -> None:
        """Remember an id."""
        self.seen.append(task_id)

    def extend(self, task_ids: Iterable[str]) -> None:
        """Remember ids."""
        self.seen.extend(task_ids)


class SingleRows:
    """A store that yields its rows one by one only."""

    def __init__(self, store: RowStore) -> None:
        self.scan, self.read, self.where = store.scan, store.read, store.where
        self.share, self.close = store.share, store.close


def scanned(path: Path, store: RowStore, fields: dict[str, str]) -> Found:
    """Scan a store; return what was kept, or the error."""
    ids = RecordedIds()
    try:
        scan = FileScan(path, "tasks", store, Columns(fields), ids)
        scan.run()
    except InputError as error:
        return str(error)
    finally:
        store.close()
    return ids.seen, list(scan.kinds), list(scan.unusual_targets)


def assert_alike(path: Path, opened: Callable[[], RowStore], fields: dict[str, str]) -> None:
    """Compare both ways."""
    assert scanned(path, opened(), fields) == scanned(path, SingleRows(opened()), fields)


FIELDS = st.sampled_from([{}, {}, {"difficulty": "difficulty"}, {"id": "{id}.{target}"}, {"target": "metadata.x"}])


@given(st.one_of(TEXTS, CHATS), FIELDS, st.sampled_from(["", "\n", "[1]\n", "{\n"]))
def test_lines_are_scanned_alike(table: list[Any], fields: dict[str, str], end: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.jsonl"
        path.write_text("\n\n".join(map(json.dumps, table)) + "\n" + end)
        assert_alike(path, lambda: JsonLines(path), fields)


@given(st.one_of(TEXTS, CHATS), FIELDS)
def test_columns_are_scanned_alike(table: list[Any], fields: dict[str, str]) -> None:
    try:
        columns = pa.Table.from_pylist(table)
    except (pa.ArrowException, TypeError, ValueError):
        return  # values of several types in one column
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.parquet"
        try:
            pq.write_table(columns, path)
        except pa.ArrowException:
            return  # an object without fields
        names = Columns(fields)
        if set(names.named) <= set(columns.column_names):
            assert_alike(path, lambda: ParquetRows(path, names.used, names.named), fields)


def test_a_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tasks.parquet"
    texts = pa.array([b"good", b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"question": texts}), path)
    found = scanned(path, ParquetRows(path, Columns({}).used, []), {})
    assert "is damaged or holds values that cannot be read" in found
    assert_alike(path, lambda: ParquetRows(path, Columns({}).used, []), {})


@pytest.mark.parametrize("number", ["1234567890123456789012", "0.12345678901234567890"])
def test_long_numbers_are_found_wherever_they_stand(tmp_path: Path, number: str) -> None:
    path = tmp_path / "tasks.jsonl"
    for shift in range(5):
        path.write_text(f'{{"question": "{"x" * shift}", "target": {number}}}\n')
        store = JsonLines(path)
        assert [row["target"] for row in store.scan()] == [number]
        store.close()


def test_a_long_number_is_found_in_a_later_batch(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    short = f'{{"question": "{"x" * 1000}", "target": 1}}\n' * (BATCH_BYTES // 1000)
    path.write_text(f'{short}{{"question": "q", "target": 1234567890123456789012}}\n')
    store = JsonLines(path)
    assert [row["target"] for row in store.scan()][-2:] == [1, "1234567890123456789012"]
    assert store.read(0)["target"] == 1
    store.close()
