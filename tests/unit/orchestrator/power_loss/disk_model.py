"""What a power cut leaves of recorded operations, under several models of a disk.

A file has its bytes at its last sync, and a folder its names; what came later is there, or not, or in part:

synced        nothing of it
prefix        all of it: the order of the operations is kept, and the cut is the end
torn          as `prefix`, but of the last write only half
renames       of the names only what was renamed; files are as they were synced
deletions     of the names only what was deleted
names         all names; files are as they were synced
zeroed        all names and sizes; what was not synced of the bytes is zero
mixed         any choice: of each folder some changes of names, of each file some writes, the last of them torn or zeroed
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from .recorded_disk import ROOT, Operation

Model = Literal["synced", "prefix", "torn", "renames", "deletions", "names", "zeroed", "mixed"]
CERTAIN: tuple[Model, ...] = ("synced", "prefix", "torn", "renames", "deletions", "names", "zeroed")
"""The models that leave nothing to chance."""
Tree = Mapping[str, bytes | None]
"""The content of files by path; None for a folder."""
Names = dict[str, int]


class DiskModel:
    """A disk to which operations are applied one after the other. Syncs asked for by `without` do nothing."""

    def __init__(self, initial: Iterable[Operation], without: str = "") -> None:
        self._names: dict[int, Names] = {ROOT: {}}
        self._bytes: dict[int, bytes] = {}
        self._without = without
        for operation in initial:
            self.apply(operation)
        self._synced_names = {node: dict(names) for node, names in self._names.items()}
        self._synced_bytes = dict(self._bytes)
        self._pending: dict[int, list[Operation]] = {}
        """The changes of each file and folder since its last sync."""
        self._last: Operation | None = None

    def apply(self, operation: Operation) -> bool:
        """Apply an operation. Returns whether a cut after it may leave something else than one before it."""
        if operation.kind == "count":
            return True
        if operation.kind == "sync" and operation.name == self._without:
            return False
        self._last, node = operation, operation.node
        if operation.kind == "sync":
            self._pending.pop(node, None)
            if node in self._names:
                self._synced_names[node] = dict(self._names[node])
            else:
                self._synced_bytes[node] = self._bytes.get(node, b"")
            return True
        if hasattr(self, "_pending"):
            self._pending.setdefault(node, []).append(operation)
        if operation.kind in {"write", "truncate"}:
            self._bytes[node] = _written(self._bytes.get(node, b""), operation)
        else:
            _rename(self._names[node], operation)
            if operation.kind == "make":
                self._names[operation.target] = {}
        return True

    def after_cut(self, model: Model, seed: int) -> Tree:
        """Return what a machine would find at its next start."""
        rng, tree = random.Random(seed), dict[str, bytes | None]()
        self._collect(ROOT, "", tree, _NAMES[model], _BYTES[model], rng)
        return tree

    def _collect(
        self, folder: int, path: str, tree: dict[str, bytes | None],
        keeps: Callable[[Operation, random.Random], bool], written: Callable[[DiskModel, int, random.Random], bytes], rng: random.Random,
    ) -> None:  # fmt: skip
        names = dict(self._synced_names.get(folder, {}))
        for operation in self._pending.get(folder, ()):
            if keeps(operation, rng):
                _rename(names, operation)
        for name, node in sorted(names.items()):
            below = f"{path}{name}"
            if node in self._names:
                tree[below] = None
                self._collect(node, f"{below}/", tree, keeps, written, rng)
            else:
                tree[below] = written(self, node, rng)

    # ------------------------------------------------------------------ bytes of a file, by model
    def synced(self, node: int, _: random.Random) -> bytes:
        """Return the bytes at the last sync."""
        return self._synced_bytes.get(node, b"")

    def all(self, node: int, _: random.Random) -> bytes:
        """Return all bytes."""
        return self._bytes.get(node, b"")

    def torn(self, node: int, _: random.Random) -> bytes:
        """Return all bytes, but of the very last write of the disk only half."""
        last = self._last
        if last is None or last.kind != "write" or last.node != node:
            return self._bytes.get(node, b"")
        return self._bytes[node][: last.at + len(last.data) // 2]

    def zeroed(self, node: int, _: random.Random) -> bytes:
        """Return the synced bytes in the size of all bytes, with zeros for the rest."""
        return self._with_zeros(self.synced(node, _), self._bytes.get(node, b""))

    def mixed(self, node: int, rng: random.Random) -> bytes:
        """Return a random prefix of the writes since the last sync, the last of them torn or followed by zeros."""
        content, pending = self.synced(node, rng), self._pending.get(node, [])
        for operation in pending[: rng.randint(0, len(pending))]:
            content = _written(content, operation)
        ending = rng.choice(["whole", "torn", "zeroed"])
        if ending == "torn" and len(content) > len(self.synced(node, rng)):
            content = content[: rng.randint(len(self.synced(node, rng)), len(content))]
        return self._with_zeros(content, self._bytes.get(node, b"")) if ending == "zeroed" else content

    @staticmethod
    def _with_zeros(content: bytes, whole: bytes) -> bytes:
        return content[: len(whole)].ljust(len(whole), b"\0")


def _written(content: bytes, operation: Operation) -> bytes:
    if operation.kind == "truncate":
        return content[: operation.at].ljust(operation.at, b"\0")
    before = content[: operation.at].ljust(operation.at, b"\0")
    return before + operation.data + content[operation.at + len(operation.data) :]


def _rename(names: Names, operation: Operation) -> None:
    if operation.kind == "rename":
        names.pop(operation.name, None)
        names[operation.to] = operation.target
    elif operation.kind == "leave":
        names.pop(operation.name, None)
    else:
        names[operation.name] = operation.target


_NAMES: Mapping[Model, Callable[[Operation, random.Random], bool]] = {
    "synced": lambda *_: False,
    "prefix": lambda *_: True,
    "torn": lambda *_: True,
    "renames": lambda operation, _: operation.kind == "rename",
    "deletions": lambda operation, _: operation.kind == "leave",
    "names": lambda *_: True,
    "zeroed": lambda *_: True,
    "mixed": lambda _, rng: rng.random() < 0.5,
}
_BYTES: Mapping[Model, Callable[[DiskModel, int, random.Random], bytes]] = {
    "synced": DiskModel.synced,
    "prefix": DiskModel.all,
    "torn": DiskModel.torn,
    "renames": DiskModel.synced,
    "deletions": DiskModel.synced,
    "names": DiskModel.synced,
    "zeroed": DiskModel.zeroed,
    "mixed": DiskModel.mixed,
}


def write_tree(tree: Tree, to: Path) -> None:
    """Write a tree as files."""
    to.mkdir(parents=True)
    for path, content in tree.items():  # a folder comes before what is in it
        if content is None:
            (to / path).mkdir()
        else:
            (to / path).write_bytes(content)
