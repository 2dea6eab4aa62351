"""What outlives a run, in the user's state directory: learned limits, and locks on keys that are in use. Never a secret.

limits.json     by identity (endpoint, deployment, name of the key's variable): what was learned, and when
locks/          one file per identity, locked while a run uses it, with the name of the run inside
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NotRequired, TypedDict

import orjson
from platformdirs import user_state_path

from providers.errors import InputError
from providers.file_modes import PRIVATE_FOLDER
from providers.messages import JSON
from runners.durable import make_directory, replace_file, storing
from runners.locks import lock_file, queued_at

log = logging.getLogger(__name__)

NAME = "llm-batch-orchestrator"
NO_LOCK_REMEDY = (
    "set XDG_STATE_HOME to a folder on another one, or set run.lock: off (--no-lock, or ORCHESTRATOR_RUN__LOCK=off); "
    "then make sure yourself that no two runs use one key: they would throttle each other"
)


class LearnedLimits(TypedDict):
    """What was learned of one instance, and when. `limits` is empty where nothing was."""

    learned_at: str
    limits: Mapping[str, JSON]
    ended_at: NotRequired[str]
    """The end of the last run that used the instance."""


@dataclass(frozen=True, slots=True)
class UserState:
    """The user's state folder, which keeps learned limits and locks between runs."""

    path: Path

    # ------------------------------------------------------------------ learned limits
    def limits(self) -> dict[str, LearnedLimits]:
        """Return all learned limits by identity; empty if there are none or the file is damaged."""
        try:
            stored = orjson.loads(self._limits.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def learned(self, identities: Mapping[str, str], *, is_cold: bool = False) -> dict[str, Mapping[str, JSON]]:
        """Return what is known of each instance, by the names in `identities`, with the seconds since its last use in `idle_s`.

        A cold start gets only those: requests of the last run may still count.
        """
        known = self.limits()
        return {
            name: {**({} if is_cold else known[identity]["limits"]), "idle_s": _idle_s(known[identity])}
            for name, identity in identities.items()
            if identity in known
        }

    def remember(self, learned: Mapping[str, Mapping[str, JSON]], used: Collection[str] = ()) -> None:
        """Add what a run has learned of identities, and that it `used` these; other runs may do so concurrently.

        If the disk fails, only the next run's warm start is lost.
        """
        if not learned and not used:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with self._changing():
                merged = self.limits()
                for name in {*learned, *used}:
                    before: LearnedLimits = merged.get(name, {"learned_at": now, "limits": {}})
                    at, what = (now, learned[name]) if name in learned else (before["learned_at"], before["limits"])
                    merged[name] = {"learned_at": at, "limits": what, "ended_at": now}
                replace_file(self._limits, lambda file: file.write(orjson.dumps(merged, option=orjson.OPT_INDENT_2)))
        except OSError as error:
            log.warning("cannot write %s: %s; the next run learns its limits anew", self._limits, error.strerror)

    def forget(self, matching: str = "") -> int:
        """Drop what was learned of identities that contain `matching`; returns how many."""
        with storing(self._limits), self._changing():
            before = self.limits()
            kept = {name: what for name, what in before.items() if matching not in name}
            replace_file(self._limits, lambda file: file.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2)))
        return len(before) - len(kept)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Wait for other processes that change the limits. Without locks the last one to write wins, and the others learn anew."""
        self._locks.mkdir(parents=True, exist_ok=True)
        with queued_at(self._locks / "limits.lock"):
            yield

    # ------------------------------------------------------------------ locks
    @contextmanager
    def locked(self, identities: Sequence[str], owner: str) -> Iterator[None]:
        """Hold every identity while the block runs. Raises InputError that names the run if another one holds it."""
        with ExitStack() as stack:
            for identity in sorted(set(identities)):
                stack.enter_context(self._lock(identity, owner))
            yield

    @contextmanager
    def _lock(self, identity: str, owner: str) -> Iterator[None]:
        path = self._locks / f"{hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()}.lock"
        with _opened_lock(path) as lock:
            if lock is None:
                holder = path.read_text(encoding="utf-8") or "another run"
                raise InputError(
                    f"{identity} is in use by the run {holder}; two runs on one key throttle each other: "
                    f"wait for its end and resume {owner}, or pass --share"
                )
            _name_owner(lock, owner)
            yield
            _name_owner(lock, "")

    @property
    def _limits(self) -> Path:
        return self.path / "limits.json"

    @property
    def _locks(self) -> Path:
        return self.path / "locks"


def _idle_s(entry: LearnedLimits) -> float:
    """Return the seconds since the end of the last run that used an instance; 0 where that is unknown."""
    try:
        ended_at = datetime.fromisoformat(entry.get("ended_at", entry["learned_at"]))
        return max(0.0, (datetime.now(UTC) - ended_at).total_seconds())
    except (TypeError, ValueError):
        return 0.0


@contextmanager
def _opened_lock(path: Path) -> Iterator[int | None]:
    """Open and lock the file of a key. Raises InputError where the state directory cannot be written or has no locks."""
    with ExitStack() as stack:
        try:
            make_directory(path.parent)
            lock = stack.enter_context(lock_file(path, NO_LOCK_REMEDY))
        except OSError as error:
            raise InputError(
                f"cannot lock keys in {path.parent}: {error.strerror}; make room, set XDG_STATE_HOME, or pass --share"
            ) from error
        yield lock


def _name_owner(lock: int, owner: str) -> None:
    """Write who holds the lock. On a full disk the next one is refused without a name."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.write(lock, owner.encode())


def user_state() -> UserState:
    """Return the user state in the operating system's folder for it (`XDG_STATE_HOME` on Linux)."""
    path = user_state_path(NAME)
    with suppress(OSError):  # what is written there says so
        path.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    return UserState(path)
