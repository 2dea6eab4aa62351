"""The samples that a report page contains, compressed.

All samples that did not pass come first, then a seeded random draw of the others, up to limits of number and size. The page gets them
column by column as gzipped JSON.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from runners.journal.sinks.record_table import record_schema

from ...results.run import Run

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MOST_SAMPLES = 20_000
MOST_TEXT_BYTES = 96_000_000
"""Before compression: what a browser decompresses in one or two seconds, also on a phone."""
LONGEST_TEXT = 50_000
"""Characters of one field."""
SEED = 0

TEXTS = ("input", "target", "output_text", "messages", "tool_trace", "error_message", "raw_response", "score_details")
COLUMNS = [
    *(
        "ordinal",
        "sample_id",
        "task_id",
        "epoch",
        "model",
        "prompt_type",
        "tool_success_rate",
        "difficulty",
        "task_type",
    ),
    *("instance", "planned_instance", "moved_reason", "outcome", "grade", "score", "error_class", "score_error"),
    *("status", "finish_reason", "attempts", "throttles", "turns", "tool_calls", "tool_failures"),
    *("input_tokens", "output_tokens", "cost_usd", "started_at", "queue_s", "rate_wait_s", "retry_wait_s"),
    *("connect_s", "ttft_s", "generation_s", "parse_s", "write_s", "total_s", "working_s"),
    *("request_id", "response_id", "response_model", *TEXTS),
]


@dataclass(frozen=True, slots=True)
class SamplePack:
    """The selected samples of a run and their counts."""

    total: int
    held: int
    not_passed: int
    """In the whole run."""
    not_passed_held: int
    payload: str
    """Base64 of gzipped JSON: {"name": [...]} or, where values repeat, {"name": {"values": [...], "at": [...]}}."""

    def in_words(self) -> str:
        """Describe the selection in one sentence."""
        if self.held == self.total:
            return f"All {self.total:,} samples."
        passed_held = self.held - self.not_passed_held
        failed = "all" if self.not_passed_held == self.not_passed else f"{self.not_passed_held:,} of"
        return (
            f"{self.held:,} of {self.total:,} samples: {failed} {self.not_passed:,} that did not pass "
            f"and {passed_held:,} of the others, drawn with seed {SEED}."
        )


def pack_samples(run: Run, most: int = MOST_SAMPLES) -> SamplePack:
    """Select and compress samples. The run is read twice in parts: for the sizes, then for the selected samples."""
    ordinals, passed, text_bytes = _measure(run)
    drawn = np.random.default_rng(SEED).permutation(len(ordinals))
    order = np.concatenate([drawn[~passed[drawn]], drawn[passed[drawn]]])
    fits = np.cumsum(text_bytes[order]) <= MOST_TEXT_BYTES
    kept = order[: min(most, int(fits.sum()))]
    chosen = read_samples(run, pa.array(ordinals[kept], pa.int64()))
    return SamplePack(
        total=len(ordinals),
        held=len(kept),
        not_passed=int((~passed).sum()),
        not_passed_held=int((~passed[kept]).sum()),
        payload=base64.b64encode(_compress(chosen)).decode("ascii"),
    )


def _measure(run: Run) -> tuple[Numbers, Flags, Numbers]:
    """Return each sample's ordinal, whether it passed, and an upper bound of the bytes of its texts."""
    ordinals, passed, text_bytes = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)], [np.zeros(0, np.int64)]
    for table in run.tables(["ordinal", "passed", *TEXTS]):
        ordinals.append(table["ordinal"].to_numpy())
        passed.append(pc.fill_null(table["passed"], False).to_numpy())
        lengths = (pc.fill_null(pc.binary_length(table[name]), 0).to_numpy() for name in TEXTS)
        text_bytes.append(
            sum(
                (np.minimum(text_lengths, 4 * LONGEST_TEXT) for text_lengths in lengths),
                np.zeros(table.num_rows, np.int64),
            )
        )
    return np.concatenate(ordinals), np.concatenate(passed), np.concatenate(text_bytes)


def read_samples(run: Run, ordinals: pa.Array) -> pa.Table:
    """Read the selected samples, their texts shortened."""
    empty = record_schema().empty_table().select(COLUMNS)
    return pa.concat_tables([empty, *(_chosen(table, ordinals) for table in run.tables(COLUMNS))])


def _chosen(table: pa.Table, ordinals: pa.Array) -> pa.Table:
    chosen = table.filter(pc.is_in(table["ordinal"], value_set=ordinals))
    return pa.table([_shortened(chosen[name]) for name in COLUMNS], schema=chosen.schema)


def _compress(chosen: pa.Table) -> bytes:
    """Return the columns, ordered by ordinal, as gzipped JSON. One column at a time is in memory as Python objects."""
    order, compressed = pc.sort_indices(chosen["ordinal"]), BytesIO()
    with gzip.GzipFile(fileobj=compressed, mode="wb", compresslevel=6, mtime=0) as file:
        for number, name in enumerate(COLUMNS):
            file.write(b"%b%b:" % (b"," if number else b"{", orjson.dumps(name)))
            file.write(orjson.dumps(_packed(chosen[name].take(order))))
        file.write(b"}")
    return compressed.getvalue()


def _shortened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(column.type):
        return column
    is_long = pc.greater(pc.utf8_length(column), LONGEST_TEXT)
    if not pc.any(is_long).as_py():
        return column
    cut = pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(column, 0, LONGEST_TEXT), " … (cut here; export has all of it)", ""
    )
    return pc.if_else(is_long, cut, column)


def _packed(column: pa.ChunkedArray) -> list[Any] | Mapping[str, list[Any]]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.int64())
    if pa.types.is_floating(column.type):
        column = pc.round(column, 6)
    values: list[Any]
    if pa.types.is_string(column.type) and len(column):
        coded = column.combine_chunks().dictionary_encode()
        if 2 * len(coded.dictionary) < len(column):
            return {"values": coded.dictionary.to_pylist(), "at": coded.indices.to_pylist()}
    values = column.to_pylist()
    return values
