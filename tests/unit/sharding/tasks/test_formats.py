"""Every form in which people keep tasks gives the same tasks."""

from __future__ import annotations

import decimal
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from providers.errors import InputError
from sharding.tasks.locations.files import find_files
from sharding.tasks.locations.hub import HubFiles, choose_files, parse_address
from sharding.tasks.sources import STORES, SourceSpec, TaskPool

Opened = Callable[..., TaskPool]
ROWS: list[dict[str, Any]] = [
    {"question": f"{n} + {n}?", "subject": "sums", "choices": ["1", str(2 * n)], "answer": 2 * n} for n in range(5)
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = pa.Table.from_pylist(ROWS)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(data)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def feather(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=2)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def save_to_disk(folder: Path, table: pa.Table) -> Path:
    """Write what `save_to_disk` of a data set writes, in two files."""
    folder.mkdir(parents=True)
    files = [f"data-0000{n}-of-00002.arrow" for n in range(2)]
    (folder / files[0]).write_bytes(stream(table.slice(0, 2)))
    (folder / files[1]).write_bytes(stream(table.slice(2)))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", LINES),
        ("t.jsonl.gz", gzip.compress(LINES)),
        ("two.jsonl.gz", gzip.compress(LINES[:100]) + gzip.compress(LINES[100:])),
        ("t.jsonl.zst", zstd(LINES)),
        ("two.jsonl.zst", zstd(LINES[:100]) + zstd(LINES[100:])),
        ("t.json", json.dumps(ROWS).encode()),
        ("t.json.gz", gzip.compress(json.dumps(ROWS).encode())),
        ("t.parquet", parquet(TABLE)),
        ("t.parquet.zst", zstd(parquet(TABLE))),
        ("t.arrow", stream(TABLE)),
        ("t.feather", feather(TABLE)),
    ],
)
def test_every_form_gives_the_same_tasks(tmp_path: Path, active: Opened, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    pool = active(SourceSpec(path))
    assert [pool[n].messages[0]["content"] for n in (4, 0)] == ["4 + 4?", "0 + 0?"]
    assert [pool[n].columns for n in range(5)] == ROWS
    assert pool[1].task_id == f"{name.partition('.')[0]}-2"
    assert pool[4].target == 8


def test_a_saved_data_set_is_read_in_the_order_of_its_files(tmp_path: Path, active: Opened) -> None:
    save_to_disk(tmp_path / "saved" / "test", TABLE)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["test"]}')
    (file,) = find_files("saved#test", tmp_path, STORES).files
    pool = active(SourceSpec(file.path))
    assert [pool[n].columns for n in range(5)] == ROWS
    assert pool.origin(3).endswith("test, row 4")


def test_a_selection_that_was_saved_without_its_rows_is_refused(tmp_path: Path, active: Opened) -> None:
    folder = save_to_disk(tmp_path / "saved", TABLE)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(
        InputError, match=r"saved: holds a selection of rows; save it again after dataset\.flatten_indices"
    ):
        active(SourceSpec(folder))


def test_a_folder_gives_its_task_files_and_tells_what_it_leaves(tmp_path: Path) -> None:
    for name in ("b.jsonl", "deep/a.jsonl.gz", "README.md", ".hidden.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_files(".", tmp_path, STORES)
    assert [file.path.name for file in found.files] == ["b.jsonl", "a.jsonl.gz"]
    assert found.notes == [f"{tmp_path}: README.md: no task file, not read"]


@pytest.mark.parametrize("rows", ["data.tasks", "data.deep.er"])
def test_rows_names_the_list_in_a_document(tmp_path: Path, active: Opened, rows: str) -> None:
    path = tmp_path / "t.json"
    document = {
        "n": [{"a": "}]"}],
        "data": {"tasks": ROWS, "deep": {"er": ROWS, "after": {"b": [1]}}},
        "end": {"x": {}},
    }
    path.write_text(json.dumps(document, indent=1))
    pool = active(SourceSpec(path, rows=rows))
    assert [pool[n].columns for n in range(5)] == ROWS


def test_numbers_keep_every_digit(open_text: Callable[..., TaskPool]) -> None:
    rows = (
        '{"id": 12345678901234567890123, "input": "q", "target": 100000000000000000000001, "x": 0.12345678901234567890}\n'
        '{"id": 18446744073709551615, "input": "a 12345678901234567890123", "target": 0.1}\n'
    )
    pool = open_text("big.jsonl", rows)
    assert [pool[n].task_id for n in range(2)] == ["12345678901234567890123", "18446744073709551615"]
    assert [pool[n].target for n in range(2)] == ["100000000000000000000001", 0.1]
    assert pool[0].columns["x"] == "0.12345678901234567890"
    assert pool[1].messages[0]["content"] == "a 12345678901234567890123"


def test_decimals_of_parquet_keep_every_digit(tmp_path: Path, active: Opened) -> None:
    values = [decimal.Decimal("1.10"), decimal.Decimal("12345678901234567890.12")]
    table = pa.table({"input": ["a", "b"], "target": values, "nested": [[value] for value in values]})
    (tmp_path / "t.parquet").write_bytes(parquet(table))
    pool = active(SourceSpec(tmp_path / "t.parquet"))
    assert [pool[n].target for n in range(2)] == ["1.10", "12345678901234567890.12"]
    assert pool[1].columns["nested"] == ["12345678901234567890.12"]


SAMPLE: dict[str, Any] = {
    "doc_id": 7,
    "doc": {"question": "2 + 2?"},
    "target": "4",
    "arguments": {
        "gen_args_0": {"arg_0": "Q: 2 + 2?", "arg_1": {"until": ["\n"], "max_gen_toks": 9, "do_sample": False}}
    },
    "resps": [["4"]],
    "filter": "strict",
}


def test_samples_of_lm_eval_are_tasks_with_their_prompt_and_parameters(tmp_path: Path, active: Opened) -> None:
    path = tmp_path / "samples_gsm8k_2025-01-02T03-04-05.678.jsonl"
    more = {**SAMPLE, "doc_id": 8, "arguments": [['[{"role": "user", "content": "hi"}]', {"temperature": 0.5}]]}
    path.write_text("".join(json.dumps(row) + "\n" for row in (SAMPLE, {**SAMPLE, "filter": "flexible"}, more)))
    pool = active(SourceSpec(path))
    assert [note.partition(": ")[2] for note in pool.notes] == [
        "the lines of the filter flexible are not read: the same questions as those of strict"
    ]
    assert [pool[n].task_id for n in range(len(pool))] == ["gsm8k-7", "gsm8k-8"]
    assert [pool[n].messages[0]["content"] for n in range(2)] == ["Q: 2 + 2?", "hi"]
    assert pool[0].parameters == {"max_tokens": 9, "temperature": 0, "stop": ["\n"]}
    assert (pool[0].target, pool[0].task_type, pool.origin(1)) == ("4", "gsm8k", f"{path}, line 3")


CONFIGS = {"main": {"test": ["main/test-*"], "train": ["main/train-*"]}, "socratic": {"test": ["socratic/test-*"]}}
NAMES = ["README.md", "main/test-0.parquet", "main/train-0.parquet", "socratic/test-0.parquet"]


@pytest.mark.parametrize(
    ("address", "configs", "chosen"),
    [
        ("hf://openai/gsm8k/main@main#test", CONFIGS, ["main/test-0.parquet"]),
        ("hf://openai/gsm8k/socratic", CONFIGS, ["socratic/test-0.parquet"]),
        ("hf://openai/gsm8k/main#test", {}, ["main/test-0.parquet"]),
        (
            "hf://openai/gsm8k#test",
            CONFIGS,
            "has the configs main, socratic; name one: hf://openai/gsm8k/main@main#test",
        ),
        ("hf://openai/gsm8k/main@v1", CONFIGS, "has the splits test, train; name one: hf://openai/gsm8k/main@v1#test"),
        ("hf://openai/gsm8k/man#test", CONFIGS, 'has no config "man"; did you mean "main"?'),
        ("hf://openai/gsm8k/main#tset", CONFIGS, 'has no split "tset"; did you mean "test"?'),
        ("hf://openai/gsm8k#test", {}, "has the configs main, socratic; name one"),
        ("hf://openai/gsm8k", {}, "name the split: hf://openai/gsm8k@main#test"),
        ("hf://openai/gsm8k/main#dev", {}, "no file of this split can be read (the set holds README.md"),
    ],
)
def test_an_address_of_the_hub_names_files_or_what_is_missing(
    address: str, configs: dict[str, dict[str, list[str]]], chosen: list[str] | str
) -> None:
    held = HubFiles("c0ffee", NAMES, configs, None)
    if isinstance(chosen, list):
        assert choose_files(parse_address(address), held, STORES) == chosen
        return
    with pytest.raises(InputError) as caught:
        choose_files(parse_address(address), held, STORES)
    assert chosen in str(caught.value)
