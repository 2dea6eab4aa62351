"""The choice between the two sinks; the one that is not chosen is not imported."""

from __future__ import annotations

from pathlib import Path

from ...durable import make_directory
from .sink import Sink, StorageFormat


def sink_over(storage_format: StorageFormat, results: Path) -> Sink:
    """Build the sink over a folder that may not exist."""
    if storage_format == "json":
        from .jsonl import JsonlSink

        return JsonlSink(results)
    from .parquet import ParquetSink

    return ParquetSink(results)


def open_sink(storage_format: StorageFormat, results: Path) -> Sink:
    """Build the sink over the folder `results`, and create the folder if it does not exist."""
    make_directory(results)
    return sink_over(storage_format, results)
