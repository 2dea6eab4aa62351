"""The second level of the cache: answers on disk, in SQLite with a write-ahead log. Several processes may use one file.

Reads happen on the caller's thread, writes on a thread of their own, in groups. A kill loses the last group at most, which costs a
question. A damaged file is set aside; a full disk ends the writing, never the run.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from providers.errors import InputError

from .network_disk import network_file_system

log = logging.getLogger(__name__)

FILE = "answers.sqlite"
GROUP = 256
GROUP_S = 0.25
"""A group of answers is committed when it has so many, or this old."""
BUSY_S, ATTEMPTS = 10.0, 12
"""How long a process waits for the write of another, and how often."""
MOST_PENDING = 10_000
EVICTED_SHARE = 20
"""One in so many answers, the oldest, is dropped at once when the file is too large."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL, value BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON answers (at);
"""
_PUT = """
INSERT INTO answers (key, at, model, value) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET at = excluded.at, model = excluded.model, value = excluded.value WHERE excluded.at >= at
"""
"""An older answer, which is imported, does not replace a newer one."""
_FIND = "SELECT value FROM answers WHERE key = ? AND at >= ?"

Row = tuple[bytes, float, str, bytes]
"""Key, seconds since the epoch, the name of the model, and the value."""


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What a store holds. The times are seconds since the epoch, None where it is empty."""

    entries: int
    size: int
    """Bytes of the answers and their index; the file may be larger."""
    oldest: float | None
    newest: float | None
    by_model: tuple[tuple[str, int], ...]


class AnswerStore:
    """The answers in a folder, at most `limit_bytes` of them, none older than `max_age_s`.

    Opening raises InputError where the folder cannot hold it; `close` writes what is left.
    """

    def __init__(self, folder: Path, limit_bytes: int, max_age_s: float) -> None:
        self.path = folder / FILE
        self._limit_bytes = limit_bytes
        self._max_age_s = max_age_s
        self._reader: sqlite3.Connection | None = _open_whole(self.path)
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._pending: dict[bytes, bytes] = {}
        """The values that are not committed yet."""
        self._keeps = True
        self._writer: threading.Thread | None = None

    def find(self, key: bytes) -> bytes | None:
        """Return the value of a key; None where there is none, or it is too old, or the file cannot be read any more."""
        if (pending := self._pending.get(key)) is not None:
            return pending
        if self._reader is None:
            return None
        try:
            found = self._reader.execute(_FIND, (key, time.time() - self._max_age_s)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return None if found is None else bytes(found[0])

    def put(self, key: bytes, model: str, value: bytes, at: float | None = None) -> None:
        """Keep a value that was answered `at` (seconds since the epoch, now if None); the thread that writes takes it later."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="cache writer", daemon=True)
            self._writer.start()
        if self._keeps and len(self._pending) < MOST_PENDING:  # a disk that is far behind keeps fewer
            self._pending[key] = value
            self._rows.put((key, time.time() if at is None else at, model, value))

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._writer is not None:
            self._rows.put(None)
            self._writer.join()
            self._writer = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # ------------------------------------------------------------------ whole store
    def figures(self) -> StoreFigures:
        """Count what is kept."""
        with closing(_connect(self.path)) as connection:
            entries, oldest, newest = connection.execute("SELECT count(*), min(at), max(at) FROM answers").fetchone()
            models = connection.execute("SELECT model, count(*) FROM answers GROUP BY model ORDER BY model").fetchall()
            return StoreFigures(entries, _used_bytes(connection), oldest, newest, tuple(models))

    def clear(self, older_than_s: float = 0.0) -> int:
        """Drop the answers that are older; return how many there were."""
        with closing(_connect(self.path)) as connection:
            dropped = connection.execute("DELETE FROM answers WHERE at <= ?", (time.time() - older_than_s,)).rowcount
            connection.execute("VACUUM")
            return dropped

    # ------------------------------------------------------------------ writing
    def _write(self) -> None:
        """Commit groups until the end. After an error nothing more is kept; the run goes on without."""
        try:
            with closing(_connect(self.path)) as connection:
                while (group := self._next_group()) is not None:
                    _commit(connection, group)
                    for key, _, _, value in group:
                        if self._pending.get(key) is value:
                            del self._pending[key]
                    self._evict(connection)
        except sqlite3.Error as error:
            self._suspect(error)
            log.warning("the cache of answers keeps nothing more: %s (%s); the run goes on", error, self.path)
            self._keeps = False
            self._pending.clear()
            while self._rows.get() is not None:
                pass

    def _next_group(self) -> list[Row] | None:
        """Wait for the first row of a group, and a short time for more. Returns None at the end."""
        row = self._rows.get()
        if row is None:
            return None
        group, until = [row], time.monotonic() + GROUP_S
        while len(group) < GROUP:
            try:
                row = self._rows.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if row is None:
                self._rows.put(None)
                break
            group.append(row)
        return group

    def _evict(self, connection: sqlite3.Connection) -> None:
        while _used_bytes(connection) > self._limit_bytes:
            (entries,) = connection.execute("SELECT count(*) FROM answers").fetchone()
            if not entries:
                return
            oldest = "SELECT rowid FROM answers ORDER BY at LIMIT ?"
            connection.execute(f"DELETE FROM answers WHERE rowid IN ({oldest})", (-(-entries // EVICTED_SHARE),))

    def _suspect(self, error: sqlite3.Error) -> None:
        """Leave a mark where the file is damaged: the next opening sets it aside."""
        if not isinstance(error, sqlite3.OperationalError):
            with suppress(OSError):
                _mark(self.path).touch(0o600)

    def _give_up(self, error: sqlite3.Error) -> None:
        self._suspect(error)
        log.warning("the cache of answers can't be read any more: %s (%s); the run goes on without", error, self.path)
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _open_whole(path: Path) -> sqlite3.Connection:
    """Open the file for its owner alone; set a damaged one aside. Raises InputError."""
    kind = network_file_system(path.parent)
    if kind is not None:
        raise InputError(
            f"cache.dir: {path.parent} is on a network file system ({kind}), where SQLite's log is not safe; name a local folder"
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _mark(path).exists():
            log.warning("%s was found damaged by an earlier run: it is set aside as %s.damaged", path, path)
            _set_aside(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            return _prepared(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.warning("%s is damaged (%s): it is set aside as %s.damaged, and a new one begins", path, error, path)
            _set_aside(path)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return _prepared(path)
    except (OSError, sqlite3.Error) as error:
        raise InputError(
            f"cache.dir: {path} can't be opened ({error}); name another folder, or use no cache"
        ) from error


def _prepared(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        connection.executescript(SCHEMA)
        connection.execute("SELECT count(*) FROM (SELECT key FROM answers LIMIT 1)").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _used_bytes(connection: sqlite3.Connection) -> int:
    count, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((count - free) * size)


def _commit(connection: sqlite3.Connection, group: list[Row]) -> None:
    """Write a group, and wait while another process writes."""
    for attempt in range(ATTEMPTS):
        try:
            connection.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == ATTEMPTS - 1:
                raise
    connection.executemany(_PUT, group)
    connection.execute("COMMIT")


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


def _set_aside(path: Path) -> None:
    _mark(path).unlink(missing_ok=True)
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").replace(f"{path}.damaged{ending}")
