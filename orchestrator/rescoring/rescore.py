"""`rescore`: grade the stored answers of a run with other scorers, targets or weights, into a new run directory beside the old one.

The new directory has the records of the old one with new scores and the run id of its own; every command reads it. Its manifest names the
run that the answers are from, and it cannot be resumed.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import orjson
import pyarrow as pa

from providers.errors import InputError
from providers.messages import JSON
from runners.durable import make_directory, replace_file
from runners.journal.frames import JournalRow, frame, rows
from runners.journal.pieces import in_pieces, text_size
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.record_table import record_table
from runners.samples.bitmap import Bitmap
from runners.samples.record import FINAL
from sharding.planner import fingerprint

from ..config.extras import DISTRIBUTION, is_installed
from ..config.own_code import code_parts
from ..execution.history.resumption import differences
from ..execution.history.trust import is_trusted, trust_run
from ..execution.prepare import code_name
from ..open_sweep import OpenSweep, method_parts, open_sweep, own_scorers
from ..results.compare.comparison import Comparison
from ..results.run import Run
from ..results.run_directory.directory import Manifest, RunDirectory
from ..results.verify.verifier import verify
from .grading import Grading, OnBlocked, scorer_of_row
from .new_directory import new_directory_beside, new_run_id
from .request import Request
from .stored_answers import Row, StoredSamples

MAY_CHANGE = frozenset({"tasks", "scorers", "num_instances", "limit", "difficulties", "task_types", "task_count"})
"""The parts of a configuration that the answers do not depend on: the grading, and which tasks were chosen."""
PART_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Rescored:
    """The result: the old run, the new one, and how they differ."""

    before: Run
    after: Run
    differences: tuple[str, ...]
    """What has changed in the configuration."""
    changes: Mapping[tuple[str, str], int]
    """Answers by their grade before and now."""
    without_answer: int
    """Samples that have no stored answer, for want of one or because the run did not reach them."""

    @property
    def graded(self) -> int:
        """The number of answers that were graded."""
        return sum(self.changes.values())

    def comparison(self) -> Comparison | str:
        """Compare the new scores with the old ones, paired by sample, for each model; a sentence where that cannot be done."""
        if not (is_installed("numpy") and is_installed("scipy")):
            return f"a paired comparison with the old scores needs: pip install '{DISTRIBUTION}[analysis]'"
        if not self.before.summary(["model"]):
            return "no paired comparison: the old run was killed, and its records are still in its journal"
        by = ["model"] if len(self.after.summary(["model"])) > 1 else []
        return self.before.compare(self.after, axis="run", baseline=self.before.path.resolve().name, by=by)

    def weighted_scores(self) -> list[str]:
        """Say for each model how its weighted score has changed."""
        old, new = (
            {row["model"]: row["weighted_score"] for row in run.summary(["model"])} for run in (self.before, self.after)
        )
        return [
            f"weighted score of {model}: {_shown(old[model])} → {_shown(new[model])}"
            for model in new
            if model in old and old[model] != new[model]
        ]

    def as_json(self) -> dict[str, JSON]:
        """Return the figures as JSON values."""
        return {
            "run": str(self.before.path),
            "rescored": str(self.after.path),
            "graded": self.graded,
            "without_answer": self.without_answer,
            "differences": list(self.differences),
            "changes": [
                {"before": old, "now": new, "answers": count} for (old, new), count in sorted(self.changes.items())
            ],
        }


def _shown(score: JSON) -> str:
    return f"{score:.3f}" if isinstance(score, float) else "none"


def rescore(path: Path, request: Request, on_blocked: OnBlocked) -> Rescored:
    """Grade every stored answer of a run into a new directory.

    Raises InputError where the answers cannot be graded so, StorageError where the disk fails; both leave nothing behind.
    """
    source = RunDirectory(path)
    manifest = source.read_manifest()
    _require_sound(source)
    open_ = open_sweep(request.loaded)
    try:
        scorer_of = scorer_of_row(request.loaded.config, open_, request.scorer, has_targets=bool(request.targets))
        parts = _parts(manifest, request, open_)
        samples = StoredSamples(manifest, open_, request.targets)
        parent = request.output_dir or (path.resolve() if path.name in {"", ".."} else path).parent
        with new_directory_beside(source, parent, locks=request.loaded.config.run.lock) as pending:
            run_id = new_run_id(pending)
            grading = Grading(run_id, samples, scorer_of, on_blocked)
            _write(source, manifest, pending, grading)
            changed = tuple(_differences(manifest, parts, grading))
            _write_identity(pending, manifest, request, parts, changed)
            _require_sound(pending)
    finally:
        open_.tasks.close()
    after = Run.load(parent / run_id)
    if is_trusted(source):
        trust_run(RunDirectory(after.path))
    without = manifest.total - sum(grading.changes.values())
    return Rescored(Run.load(path), after, changed, Counter(grading.changes), without)


def _require_sound(directory: RunDirectory) -> None:
    verification = verify(directory.path)
    if not verification.is_sound:
        raise InputError(
            f"{directory.path}/{verification.damages[0]}; see: python -m orchestrator verify {directory.path}"
        )


# ------------------------------------------------------------------ the configuration
def _parts(manifest: Manifest, request: Request, open_: OpenSweep) -> dict[str, str]:
    """Return the parts of the new fingerprint. Raises InputError where what the answers depend on is not what it was."""
    config = request.loaded.config
    name = code_name(request.scorer) if request.scorer else None
    method = {**method_parts(config, name), **open_.sweep.fingerprint_parts}
    wrong = [name for name in method if name not in MAY_CHANGE and method[name] != manifest.parts.get(name)]
    if wrong:
        shown = differences({n: manifest.parts.get(n, "not set") for n in wrong}, {n: method[n] for n in wrong})
        raise InputError(
            f"the answers of {manifest.run_id} belong to another configuration ({'; '.join(shown)}); restore it, or start a new run"
        )
    kept = {name: part for name, part in manifest.parts.items() if name not in {"source of your scorer", "targets"}}
    graded = {name: method[name] for name in ("tasks", "scorers")}
    targets = {"targets": hashlib.sha256(orjson.dumps(request.targets)).hexdigest()[:16]} if request.targets else {}
    return {**kept, **graded, **targets, **code_parts(own_scorers(config, request.scorer))}


def _differences(manifest: Manifest, parts: Mapping[str, str], grading: Grading) -> Iterator[str]:
    """Say what has changed, in the words of people: that a digest of targets is another tells nobody how many."""
    names = [name for name in parts if name not in {"tasks", "targets"}]
    yield from differences({n: manifest.parts[n] for n in names if n in manifest.parts}, {n: parts[n] for n in names})
    if grading.new_targets:
        yield f"{grading.new_targets:,} answers have another target"


def _write_identity(
    pending: RunDirectory, manifest: Manifest, request: Request, parts: Mapping[str, str], changed: tuple[str, ...]
) -> None:
    """Write the manifest, the summary and a note that says where the answers are from."""
    new = replace(
        manifest,
        run_id=new_run_id(pending),
        raw=request.loaded.raw,
        base=str(request.loaded.base),
        fingerprint=fingerprint(parts),
        parts=parts,
        rescored_from=manifest.run_id,
    )
    pending.write_manifest(new)
    pending.write_summary(Run.load(pending.path).summary())
    reason = f"rescored from {manifest.run_id}: {'; '.join(changed) or 'nothing has changed'}"
    pending.note_execution({"started_at": time.time(), "ended_at": time.time(), "exit_code": 0, "reason": reason})


# ------------------------------------------------------------------ the records
def _write(source: RunDirectory, manifest: Manifest, pending: RunDirectory, grading: Grading) -> None:
    """Write final records to parts and the others to the unresolved file, as streams."""
    sink = open_sink(manifest.storage_format, pending.results)
    final = chain.from_iterable(map(grading.graded, _tables(source)))
    number = 1
    while (first := next(final, None)) is not None:
        sink.write_part(number, chain([first], islice(final, PART_ROWS - 1)))
        number += 1
    sink.write_unresolved(_waiting(source, grading))
    make_directory(pending.journal)
    waiting = map(frame, _waiting(source, grading))
    replace_file(pending.journal / "unresolved.log", lambda file: file.writelines(waiting))


def _waiting(source: RunDirectory, grading: Grading) -> Iterator[Row]:
    return chain.from_iterable(map(grading.ungraded, _tables(source)))


def _tables(source: RunDirectory) -> Iterator[pa.Table]:
    """Yield every record once: the results, then what the journal of a killed run still holds."""
    run = Run.load(source.path)
    in_journal = {row["ordinal"]: number for number, row in enumerate(_journal_rows(source.journal))}
    """The number of the last record of each sample."""
    known = Bitmap(run.manifest.total)
    for table in run.tables():
        is_valid = [
            ordinal not in in_journal or outcome in FINAL
            for ordinal, outcome in zip(table["ordinal"].to_pylist(), table["outcome"].to_pylist(), strict=True)
        ]
        kept = table.filter(pa.array(is_valid, pa.bool_()))
        for ordinal in kept["ordinal"].to_pylist():
            known.add(ordinal)
        yield kept
    left = (
        dict(row)
        for number, row in enumerate(_journal_rows(source.journal))
        if in_journal[row["ordinal"]] == number and row["ordinal"] not in known
    )
    yield from map(record_table, in_pieces(left, text_size))


def _journal_rows(journal: Path) -> Iterator[JournalRow]:
    """Yield the records of the journal; where a sample has several, its final one comes last."""
    for path in [journal / "unresolved.log", *sorted(journal.glob("[0-9]*.log"))]:
        if path.exists():
            yield from (row for row in rows(path) if "outcome" in row)
