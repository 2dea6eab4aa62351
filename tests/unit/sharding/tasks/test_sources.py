from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.errors import InputError
from sharding.tasks.sources import SourceSpec, TaskPool, open_tasks
from sharding.tasks.task import Task

Opened = Callable[..., TaskPool]
GSM8K = Path(__file__).parents[3].parent / "shared" / "data" / "gsm8k_test.jsonl"


def write_rows(path: Path, count: int, prefix: str) -> Path:
    rows = (json.dumps({"id": f"{prefix}{number}", "input": f"{prefix} {number}?"}) for number in range(count))
    path.write_text("\n".join(rows))
    return path


def every_task(pool: TaskPool) -> list[Task]:
    return [pool[row] for row in range(len(pool))]


def test_several_files_are_one_pool_with_consecutive_rows(tmp_path: Path, active: Opened) -> None:
    first = SourceSpec(write_rows(tmp_path / "a.jsonl", 3, "a"), scorer="numeric")
    second = SourceSpec(write_rows(tmp_path / "b.jsonl", 2, "b"))
    pool = active(first, second)
    assert [task.task_id for task in every_task(pool)] == ["a0", "a1", "a2", "b0", "b1"]
    assert [pool.scorer(row) for row in range(5)] == ["numeric"] * 3 + [None] * 2
    assert list(pool.kinds()) == [pool.kind(row) for row in range(5)]
    assert pool.origin(4) == f"{tmp_path}/b.jsonl, line 2"


def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path, active: Opened) -> None:
    pool = active(SourceSpec(write_rows(tmp_path / "a.jsonl", 3, "a")))
    for row in (3, -1):
        with pytest.raises(IndexError):
            pool[row]


def test_an_id_used_in_two_files_is_refused_naming_both_places(tmp_path: Path) -> None:
    specs = [
        SourceSpec(write_rows(tmp_path / "a.jsonl", 3, "x")),
        SourceSpec(write_rows(tmp_path / "b.jsonl", 1, "x")),
    ]
    with pytest.raises(InputError) as caught:
        open_tasks(specs)
    assert str(caught.value) == (
        f'the task id "x0" is used twice: {tmp_path}/a.jsonl, line 1 and {tmp_path}/b.jsonl, line 1; '
        'give every task a unique id, e.g. with fields: {id: "{id}.{file}"}'
    )


def test_an_id_used_twice_in_one_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "input": "1"}\n\n{"id": "x", "input": "2"}\n')
    with pytest.raises(InputError, match=r"line 1 and .*a\.jsonl, line 3"):
        open_tasks([SourceSpec(path)])


def test_bad_row_731_is_told_in_one_sentence_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("tasks") / "a.jsonl"
    path.parent.mkdir()
    rows = [json.dumps({"input": f"What is {number}?"}) for number in range(1000)]
    rows[730] = rows[730][:-1]
    path.write_text("\n".join(rows))
    with pytest.raises(InputError) as caught:
        open_tasks([SourceSpec(path)])
    reason = str(caught.value)
    assert reason.startswith("tasks/a.jsonl, line 731: not valid JSON (")
    assert reason.endswith("); fix or remove the line")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jsonl", b"", "holds no tasks"),
        ("blank.jsonl", b"\n \n", "holds no tasks"),
        ("header.csv", b"id,input\n", "holds no tasks"),
        ("empty.csv", b"", "holds no tasks"),
        ("empty.json", b"[]", "holds no tasks"),
        ("tasks.txt", b"x", "also with .gz or .zst; others need a reader"),
        ("latin.jsonl", b'{"input": "caf\xe9"}', "line 1: not UTF-8 text"),
        ("latin.csv", b"input\nfine\ncaf\xe9\n", "line 3: not UTF-8 text"),
        ("latin.json", b'[{"input": "caf\xe9"}]', "not UTF-8 text"),
        ("fake.parquet", b"no", "not a Parquet file"),
        ("list.jsonl", b"[1]", "line 1: not a JSON object"),
    ],
)
def test_a_file_that_is_no_task_set_is_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_tasks([SourceSpec(path)])
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; check the path"):
        open_tasks([SourceSpec(tmp_path / "gone.jsonl")])
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        open_tasks([SourceSpec(tmp_path / "folder.jsonl")])
    with pytest.raises(InputError, match="no task set is given"):
        open_tasks([])


def test_an_unknown_field_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", 1, "a")
    with pytest.raises(InputError, match=r'a\.jsonl: fields: unknown name "inptu"; did you mean "input"\?'):
        open_tasks([SourceSpec(path, {"inptu": "question"})])


def test_the_fingerprint_covers_bytes_fields_and_scorer_but_not_the_folder(tmp_path: Path, active: Opened) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = write_rows(tmp_path / "a.jsonl", 2, "a")
    print_of = active(SourceSpec(path)).fingerprint
    assert active(SourceSpec(write_rows(elsewhere / "a.jsonl", 2, "a"))).fingerprint == print_of
    others = {
        active(SourceSpec(write_rows(tmp_path / "b.jsonl", 2, "a"))).fingerprint,
        active(SourceSpec(path, {"input": "input"})).fingerprint,
        active(SourceSpec(path, scorer="exact")).fingerprint,
        active(SourceSpec(write_rows(path, 3, "a"))).fingerprint,
    }
    assert len(others | {print_of}) == 5


def test_a_file_that_changes_while_it_is_read_is_reported(tmp_path: Path, active: Opened) -> None:
    path = write_rows(tmp_path / "a.jsonl", 3, "a")
    pool = active(SourceSpec(path))
    path.write_text("x" * path.stat().st_size)
    with pytest.raises(InputError, match="changed while it was in use"):
        pool[1]


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    pool = open_tasks([SourceSpec(write_rows(tmp_path / "a.jsonl", 3, "a"))])
    pool.close()
    pool.close()


@pytest.mark.skipif(not GSM8K.exists(), reason=f"the GSM8K test split is not at {GSM8K}")
def test_gsm8k_is_read_as_it_was_published(active: Opened) -> None:
    pool = active(SourceSpec(GSM8K, {"input": "question", "target": "answer"}, scorer="numeric"))
    assert len(pool) == 1319
    first, last = pool[0], pool[1318]
    assert first.task_id == "gsm8k_test-1"
    assert last.task_id == "gsm8k_test-1319"
    assert str(first.messages[0]["content"]).startswith("Janet\u2019s ducks lay 16 eggs per day.")
    assert str(first.target).endswith("#### 18")
    rows = [json.loads(line) for line in GSM8K.read_text(encoding="utf-8").splitlines()]
    assert [task.messages[0]["content"] for task in every_task(pool)] == [row["question"] for row in rows]
