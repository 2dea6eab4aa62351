"""The layout of a run directory, and the manifest, which holds the configuration of the run.

manifest.json        the merged configuration (names of variables, never keys) and its fingerprint, part by part
executions.jsonl     one line per run or resume: its times and how it ended
journal/             records that are not yet in a result file, those that are not final, and what may have been spent
results/             part-*.parquet or results.jsonl; unresolved.*
superseded/          the original records that `resume --only refused` replaced
decisions.jsonl      decisions of the run with their reasons
summary.json         the table that was printed
.lock                locked while a process runs the run
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from providers.errors import InputError
from providers.file_modes import PRIVATE_FOLDER
from providers.messages import JSON
from runners.durable import LineFile, fsync_directory, make_directory, replace_file, storing
from runners.journal.sinks.sink import StorageFormat
from runners.locks import lock_file, lock_folder

from ...config.extras import DISTRIBUTION
from .older_manifests import with_old_defaults

NO_LOCK_REMEDY = (
    "move the run to another one (run.output_dir), or set run.lock: off (--no-lock, or ORCHESTRATOR_RUN__LOCK=off); "
    "then make sure yourself that no second process runs this run: both would pay for the same samples"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The identity of a run: its configuration, its size and its fingerprint."""

    run_id: str
    raw: Mapping[str, object]
    """The merged configuration, with names of variables and never with keys."""
    base: str
    """The folder that relative paths of the configuration start from."""
    storage_format: StorageFormat
    total: int
    """The number of planned samples."""
    fingerprint: str
    parts: Mapping[str, str]
    """The values that the fingerprint is computed from."""
    rescored_from: str | None = None
    """The run whose answers were graded again; None for a run of its own."""


class ExecutionNote(TypedDict, total=False):
    """The fields of a line of `executions.jsonl` that are read."""

    started_at: float
    ended_at: float
    exit_code: int
    reason: str
    spent_tokens: int
    spent_usd: float
    drifts: list[str]
    drift_checked: bool
    refusals: list[str]


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run: their paths, and how they are read and written."""

    path: Path

    @property
    def results(self) -> Path:
        """The folder of the result files."""
        return self.path / "results"

    @property
    def superseded(self) -> Path:
        """The folder of the records that `resume --only refused` replaced."""
        return self.path / "superseded"

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.path / "journal"

    @property
    def decisions(self) -> Path:
        """The file of the run's decisions."""
        return self.path / "decisions.jsonl"

    def simulator_log(self, provider: str) -> Path:
        """Return the path of the log of one embedded simulator."""
        return self.path / f"simulator-{provider}.jsonl"

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `manifest.json`. Raises InputError where it cannot be written."""
        document = {"version": version(DISTRIBUTION), "created_at": datetime.now(UTC).isoformat(), "manifest": manifest}
        path = self.path / "manifest.json"
        try:
            replace_file(path, lambda file: file.write(orjson.dumps(document, option=_PRETTY)))
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; free some space or choose another run.output_dir"
            ) from error

    def read_manifest(self) -> Manifest:
        """Read `manifest.json`. Raises InputError where it is missing or damaged."""
        try:
            document = orjson.loads((self.path / "manifest.json").read_bytes())
        except OSError as error:
            raise InputError(f"{self.path} is not a run directory: it has no manifest.json that can be read") from error
        except orjson.JSONDecodeError as error:
            raise InputError(f"{self.path}/manifest.json is damaged: {error}") from error
        try:
            manifest = _MANIFEST.validate_python(document["manifest"])
        except (ValidationError, KeyError, TypeError) as error:
            raise InputError(f"{self.path}/manifest.json is damaged: it does not describe a run") from error
        return replace(manifest, raw=with_old_defaults(manifest.raw, str(document.get("version"))))

    def write_summary(self, rows: Sequence[Mapping[str, JSON]]) -> None:
        """Write `summary.json`. Raises StorageError where it cannot be written."""
        path = self.path / "summary.json"
        with storing(path):
            replace_file(path, lambda file: file.write(orjson.dumps(rows, option=_PRETTY)))

    def note_execution(self, line: Mapping[str, JSON]) -> None:
        """Append a line to `executions.jsonl`. Raises StorageError where it cannot be written."""
        path = self.path / "executions.jsonl"
        with storing(path), closing(LineFile(path)) as file:
            file.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            file.sync()

    def executions(self) -> list[ExecutionNote]:
        """Read `executions.jsonl`, oldest first. A line that a crash cut off is left out."""
        path = self.path / "executions.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [line for line in map(_decoded, lines) if line is not None]

    @contextmanager
    def held(self, *, locks: bool = True) -> Iterator[None]:
        """Lock the run against other processes until the block or the process ends; only check it where `locks` is false.

        Raises InputError where the directory is read-only, has no locks or another process runs this run.
        """
        if not os.access(self.path, os.W_OK):
            raise InputError(
                f"{self.path} is read-only, so the run cannot continue; copy the folder or change its permissions"
            )
        if not locks:
            yield
            return
        with lock_file(self.path / ".lock", NO_LOCK_REMEDY) as lock, lock_folder(self.path) as is_free:
            if lock is None or not is_free:
                raise InputError(f"{self.path} is being run by another process; wait for its end or stop it")
            yield


def _decoded(line: bytes) -> ExecutionNote | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return cast("ExecutionNote", document) if isinstance(document, dict) else None


_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def new_directory(output_dir: Path, mode: int = PRIVATE_FOLDER) -> RunDirectory:
    """Make a new directory such as `output_dir/20261121-093000-3f9a`; names sort by time. Raises InputError where that fails.

    What is made in it later is as open as `mode` and the umask let it be.
    """
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        make_directory(output_dir)
        (output_dir / name).mkdir(mode)
        fsync_directory(output_dir)
    except OSError as error:
        raise InputError(
            f"cannot make the run directory {output_dir / name}: {error.strerror}; choose another run.output_dir"
        ) from error
    return RunDirectory(output_dir / name)
