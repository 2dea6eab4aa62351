"""`cache import`: keep the answers of a run as if it had been started with a cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from providers.errors import InputError
from providers.instance import Instance
from providers.messages import Adaptation, ChatRequest, ChatResponse, Usage
from runners.cache.kept_answer import UNTIMED, encode_answer
from runners.cache.request_key import CachedModel, Draws
from runners.calls.client import generation_of
from runners.samples.answer import REFUSAL

from ..config.loading import LoadedConfig
from ..execution.answer_cache import cached_model, open_store
from ..execution.owner import asking_of
from ..open_sweep import open_sweep
from ..results.run import Run
from .stored_answers import Row, StoredSamples, rows_of


@dataclass(frozen=True, slots=True)
class Kept:
    """How many answers were kept, and where."""

    path: Path
    answers: int
    others: int
    """Samples whose answers were not kept."""


def keep_answers(path: Path, loaded: LoadedConfig) -> Kept:
    """Keep the answers of a run. Raises InputError where the run's solver is not `single_turn`, or its tasks have changed."""
    if loaded.config.run.solver != "single_turn":
        raise InputError(
            f"{path}: its solver is {loaded.config.run.solver}, whose requests are not stored; only answers of single_turn are kept"
        )
    run, open_ = Run.load(path), open_sweep(loaded)
    answers = others = 0
    with closing(open_.tasks), closing(open_store(loaded)) as store:
        samples, models = StoredSamples(run.manifest, open_, {}), dict[str, CachedModel]()
        for row in (row for table in run.tables() for row in rows_of(table)):
            sample, _ = samples.sample_of(row)
            if not _is_plain(row) or sample.task.tools:
                others += 1
                continue
            model = row["model"]
            instance = Instance(row["instance"], model, row["deployment"], row["provider"], row["instance"])
            if model not in models:
                models[model] = cached_model(loaded, model, [instance])
            request = ChatRequest(sample.task.messages, (), generation_of(asking_of(loaded.config, model), sample))
            key = Draws(sample).key(model, models[model], request)
            at = datetime.fromisoformat(row["completed_at"]).timestamp()
            store.put(
                key,
                model,
                encode_answer(_response(row), models[model].servers[instance.provider], instance.deployment),
                at,
            )
            answers += 1
    return Kept(store.path, answers, others)


def _is_plain(row: Mapping[str, Any]) -> bool:
    """Return whether the record holds all of its only answer."""
    is_whole = row["turns"] == 1 and not row["tool_calls"] and row["messages"] is None and row["reasoning_text"] is None
    is_kept_whole = row["score_error"] != REFUSAL and '"dropped":["' not in (row["adaptation"] or "")
    return is_whole and is_kept_whole and row["outcome"] == "ok" and row["instance"] is not None


def _response(row: Row) -> ChatResponse:
    adaptation = row["adaptation"]
    counts = (row["input_tokens"], row["output_tokens"], row["cached_tokens"], row["reasoning_tokens"])
    return ChatResponse(
        text=row["output_text"],
        tool_calls=(),
        finish_reason=row["finish_reason"] or "",
        usage=Usage(*counts, estimated=row["usage_estimated"]),
        timing=UNTIMED,
        hint=None,
        response_id=row["response_id"] or "",
        response_model=row["response_model"] or "",
        system_fingerprint=row["system_fingerprint"],
        assistant={"role": "assistant", "content": row["output_text"]},
        adaptation=None if adaptation is None else Adaptation(**orjson.loads(adaptation)),
    )
