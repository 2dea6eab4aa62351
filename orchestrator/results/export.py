"""A run's records as one file: JSONL, CSV, Parquet, or the output lines of the OpenAI Batch API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from providers.errors import InputError
from runners.durable import replace_file

from .run import Run


def export(run: Run, form: str, path: Path) -> int:
    """Write `run` as `form` (a key of WRITERS); returns the number of records. Raises InputError where `path` cannot be written."""
    records = run.to_arrow()
    try:
        replace_file(path, lambda file: WRITERS[form](records, file))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; check the folder") from error
    return int(records.num_rows)


def _jsonl(records: pa.Table, file: BinaryIO) -> None:
    for row in records.to_pylist():
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _openai_batch(records: pa.Table, file: BinaryIO) -> None:
    for row in records.to_pylist():
        file.write(orjson.dumps(batch_line(row), option=orjson.OPT_APPEND_NEWLINE))


def batch_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """One line of Batch output; `custom_id` is the sample's id, because one task has several samples in a sweep."""
    answered = row["output_text"] is not None
    error = {"code": row["error_class"], "message": row["error_message"]}
    return {
        "id": row["request_id"],
        "custom_id": row["sample_id"],
        "response": {"status_code": row["status"], "request_id": row["request_id"], "body": _completion(row)}
        if answered
        else None,
        "error": None if answered else error,
    }


def _completion(row: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": row["output_text"]}
    return {
        "id": row["response_id"],
        "object": "chat.completion",
        "model": row["response_model"],
        "system_fingerprint": row["system_fingerprint"],
        "choices": [{"index": 0, "message": message, "finish_reason": row["finish_reason"]}],
        "usage": {
            "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"],
            "total_tokens": row["input_tokens"] + row["output_tokens"],
        },
    }


WRITERS: Mapping[str, Callable[[pa.Table, BinaryIO], object]] = {
    "jsonl": _jsonl,
    "csv": lambda records, file: pyarrow.csv.write_csv(records, file),
    "parquet": lambda records, file: pq.write_table(records, file, compression="zstd"),
    "openai-batch": _openai_batch,
}
