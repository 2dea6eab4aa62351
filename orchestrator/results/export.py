"""Export of a run's records to one file, table by table: JSONL, CSV, Parquet, or the output lines of the OpenAI Batch API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from providers.messages import JSON
from runners.durable import replace_file, writing
from runners.journal.sinks.record_table import record_schema

from .run import Run
from .spreadsheet_text import as_plain_cells


def export(run: Run, form: str, path: Path) -> int:
    """Write `run` in the format `form` (a key of WRITERS) and return the number of records.

    Raises InputError where `path` cannot be written, StorageError where the disk fails.
    """
    written = 0

    def count(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        nonlocal written
        for table in tables:
            written += table.num_rows
            yield table

    with writing(path, "check the path and its permissions"):
        replace_file(path, lambda file: WRITERS[form](run, count(run.tables()), file), opener=None)
    return written


def _jsonl(_run: Run, tables: Iterable[pa.Table], file: BinaryIO) -> None:
    for table in tables:
        for row in table.to_pylist():
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _csv(_run: Run, tables: Iterable[pa.Table], file: BinaryIO) -> None:
    with pyarrow.csv.CSVWriter(file, record_schema()) as writer:
        for table in tables:
            writer.write(as_plain_cells(table))


def _parquet(_run: Run, tables: Iterable[pa.Table], file: BinaryIO) -> None:
    with pq.ParquetWriter(file, record_schema(), compression="zstd") as writer:
        for table in tables:
            writer.write(table)


def _openai_batch(run: Run, tables: Iterable[pa.Table], file: BinaryIO) -> None:
    task_ids = run.to_arrow(["task_id"])["task_id"]
    named_by = "task_id" if len(task_ids.unique()) == len(task_ids) else "sample_id"
    for table in tables:
        for row in table.to_pylist():
            file.write(orjson.dumps(batch_line(row, named_by), option=orjson.OPT_APPEND_NEWLINE))


def batch_line(row: Mapping[str, JSON], named_by: str = "sample_id") -> dict[str, JSON]:
    """Build one line of Batch output. `custom_id` is the task's id, or the sample's where a task has several samples in the run."""
    answered = row["output_text"] is not None
    error = {"code": row["error_class"], "message": row["error_message"]}
    return {
        "id": row["request_id"],
        "custom_id": row[named_by],
        "response": {"status_code": row["status"], "request_id": row["request_id"], "body": _completion(row)}
        if answered
        else None,
        "error": None if answered else error,
    }


def _completion(row: Mapping[str, JSON]) -> dict[str, JSON]:
    counts = (row["input_tokens"], row["output_tokens"])
    message: dict[str, JSON] = {"role": "assistant", "content": row["output_text"] or None}
    if calls := _tool_calls(row):
        message["tool_calls"] = calls
    elif message["content"] is None:
        message["content"] = ""
    return {
        "id": row["response_id"],
        "object": "chat.completion",
        "model": row["response_model"],
        "system_fingerprint": row["system_fingerprint"],
        "choices": [{"index": 0, "message": message, "finish_reason": row["finish_reason"]}],
        "usage": {
            "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"],
            "total_tokens": sum(count for count in counts if isinstance(count, int)),
        },
    }


def _tool_calls(row: Mapping[str, JSON]) -> list[JSON]:
    """Return the calls that the last reply made, in the form of the API, from the record's trace of calls."""
    trace = orjson.loads(row["tool_trace"]) if isinstance(row["tool_trace"], str) else []
    calls = [call for call in trace if call.get("turn") == row["turns"]]
    return [
        {"id": f"call_{number}", "type": "function", "function": _function(call)} for number, call in enumerate(calls)
    ]


def _function(call: Mapping[str, JSON]) -> JSON:
    arguments = call.get("arguments")
    return {
        "name": call.get("name"),
        "arguments": arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode(),
    }


WRITERS: Mapping[str, Callable[[Run, Iterable[pa.Table], BinaryIO], object]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "openai-batch": _openai_batch,
}
