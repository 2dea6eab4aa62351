from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from providers.errors import InputError
from sharding.tasks.formats.parquet_rows import BATCH_BYTES, KEPT_GROUPS, ParquetRows
from sharding.tasks.sources import SourceSpec, TaskPool

Opened = Callable[..., TaskPool]


def write(path: Path, columns: dict[str, list[object]], rows_per_group: int = 4) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def test_rows_are_read_in_any_order_across_row_groups(tmp_path: Path, active: Opened) -> None:
    inputs: list[object] = [f"question {number}" for number in range(30)]
    pool = active(SourceSpec(write(tmp_path / "a.parquet", {"question": inputs, "answer": list(range(30))})))
    rows = [29, 0, 13, 12, 4, 3, 28, 0]
    assert [pool[row].messages[0]["content"] for row in rows] == [f"question {row}" for row in rows]
    assert [pool[row].target for row in rows] == rows
    assert pool[5].task_id == "a-6"


def test_few_row_groups_stay_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"input": [str(number) for number in range(40)]})
    store = ParquetRows(path, {"input"}, [])
    assert [store.read(row)["input"] for row in range(40)] == [str(number) for number in range(40)]
    assert len(store._decoded) == KEPT_GROUPS
    store.close()


def test_nulls_inside_messages_are_dropped(tmp_path: Path, active: Opened) -> None:
    messages: list[object] = [
        [{"role": "user", "content": "hi"}],
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "there", "name": "bot"}],
    ]
    pool = active(SourceSpec(write(tmp_path / "a.parquet", {"messages": messages})))
    assert [list(pool[row].messages) for row in range(2)] == messages


def test_a_bad_row_is_named_by_its_number_with_every_column_of_the_file(tmp_path: Path, active: Opened) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["hi"], "answer": ["a"]})
    with pytest.raises(InputError, match=r"a\.parquet, row 1: has no input .*\(its columns: text, answer\)"):
        active(SourceSpec(path))


def test_a_mapped_column_must_be_in_the_schema(tmp_path: Path, active: Opened) -> None:
    path = write(tmp_path / "a.parquet", {"question": ["hi"]})
    with pytest.raises(InputError, match=r'the file has no column "questoin"; did you mean "question"\?'):
        active(SourceSpec(path, {"input": "questoin"}))


def test_a_target_that_is_a_date_is_refused(tmp_path: Path, active: Opened) -> None:
    path = write(tmp_path / "a.parquet", {"input": ["hi"], "target": [datetime.date(2025, 1, 1)]})
    with pytest.raises(InputError, match="row 1: target is a date, which JSON cannot hold"):
        active(SourceSpec(path))


def test_a_scan_of_long_prompts_decodes_few_rows_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    fifth = "x" * (BATCH_BYTES // 5 + 1)
    pq.write_table(pa.table({"input": [fifth] * 12}), path, use_dictionary=False)
    store = ParquetRows(path, {"input"}, [])
    assert [len(batch) for batch in store.batches()] == [4, 4, 4]
    store.close()
