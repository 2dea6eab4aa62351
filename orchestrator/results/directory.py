"""A run directory: what lies where, and the manifest that says which configuration its results belong to.

manifest.json        the merged configuration (names of variables, never keys) and its fingerprint, part by part
executions.jsonl     one line per run or resume: when, how it ended
journal/             records on their way, and those that are not final
results/             part-*.parquet or results.jsonl; unresolved.*
superseded/          records that `resume --only refused` took back, as they were
decisions.jsonl      what the run decided and why
summary.json         the table that was printed
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from filelock import lock_descriptor
from pydantic import TypeAdapter, ValidationError

from providers.errors import InputError
from providers.messages import JSON
from runners.durable import LineFile, replace_file, storing
from runners.journal.sinks.sink import StorageFormat

from ..config.extras import DISTRIBUTION


@dataclass(frozen=True, slots=True)
class Manifest:
    run_id: str
    raw: Mapping[str, Any]
    base: str
    storage_format: StorageFormat
    total: int
    fingerprint: str
    parts: Mapping[str, str]


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    path: Path

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def superseded(self) -> Path:
        return self.path / "superseded"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    def simulator_log(self, provider: str) -> Path:
        return self.path / f"simulator-{provider}.jsonl"

    def write_manifest(self, manifest: Manifest) -> None:
        document = {"version": version(DISTRIBUTION), "created_at": datetime.now(UTC).isoformat(), "manifest": manifest}
        path = self.path / "manifest.json"
        try:
            replace_file(path, lambda file: file.write(orjson.dumps(document, option=_PRETTY)))
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; make room or choose another --output-dir"
            ) from error

    def read_manifest(self) -> Manifest:
        try:
            document = orjson.loads((self.path / "manifest.json").read_bytes())
        except OSError as error:
            raise InputError(f"{self.path} is not a run directory: it has no manifest.json that can be read") from error
        except orjson.JSONDecodeError as error:
            raise InputError(f"{self.path}/manifest.json is damaged: {error}") from error
        try:
            return _MANIFEST.validate_python(document["manifest"])
        except (ValidationError, KeyError, TypeError) as error:
            raise InputError(f"{self.path}/manifest.json is damaged: it does not say what the run was") from error

    def write_summary(self, rows: Sequence[Mapping[str, JSON]]) -> None:
        path = self.path / "summary.json"
        with storing(path):
            replace_file(path, lambda file: file.write(orjson.dumps(rows, option=_PRETTY)))

    def note_execution(self, line: Mapping[str, JSON]) -> None:
        path = self.path / "executions.jsonl"
        with storing(path), closing(LineFile(path)) as file:
            file.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def executions(self) -> list[dict[str, Any]]:
        """Those that were noted in full: a line that a crash cut off is left out."""
        path = self.path / "executions.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [line for line in map(_decoded, lines) if line is not None]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from running this run, for as long as the block lasts or the process lives. Raises InputError."""
        if not os.access(self.path, os.W_OK):
            raise InputError(
                f"{self.path} is read-only; a run can go on only where it may write: copy the folder or change its rights"
            )
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        if not lock_descriptor(descriptor, blocking=False):
            raise InputError(f"{self.path} is being run by another process; wait for its end or stop it")


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def new_directory(output_dir: Path) -> RunDirectory:
    """`output_dir/20261121-093000-3f9a`: sorted by time, never taken twice."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        (output_dir / name).mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"cannot make the run directory {output_dir / name}: {error.strerror}; choose another --output-dir"
        ) from error
    return RunDirectory(output_dir / name)
