"""The cache of answers of a run, opened from its configuration, and what it told the user at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import orjson
from platformdirs import user_cache_path

from providers.instance import Instance
from runners.cache.answer_cache import AnswerCache, CacheCounts
from runners.cache.answer_store import AnswerStore
from runners.cache.recent_answers import RecentAnswers
from runners.cache.request_key import CachedModel

from ..config.loading import LoadedConfig
from .context import RunContext
from .limits.user_state import NAME

DIGEST_BYTES = 8


def open_cache(context: RunContext) -> AnswerCache | None:
    """Open the cache; None where the configuration wants none. Raises InputError that names `cache.dir`."""
    settings = context.config.cache
    if settings.mode == "off":
        return None
    models = {model: cached_model(context.loaded, model, own) for model, own in context.instances.items()}
    store = open_store(context.loaded)
    return AnswerCache(settings.mode, models, store, RecentAnswers(round(settings.memory_mb * 2**20)))


def open_store(loaded: LoadedConfig) -> AnswerStore:
    """Open the answers on disk. Raises InputError."""
    settings = loaded.config.cache
    folder = default_folder() if settings.dir is None else loaded.base / Path(settings.dir).expanduser()
    return AnswerStore(folder, round(settings.max_size_gb * 2**30), settings.max_age)


def default_folder() -> Path:
    """Return the folder of the answers of all runs of this user."""
    return user_cache_path(NAME, appauthor=False)


def cached_model(loaded: LoadedConfig, model: str, instances: Sequence[Instance]) -> CachedModel:
    """Describe a model to the cache by its instances."""
    return CachedModel(
        operation=loaded.config.models[model].operation,
        servers={one.provider: _server(loaded, one.provider) for one in instances},
        namespace="".join(_simulated(loaded, name) for name in sorted({one.provider for one in instances})),
        deployments=frozenset((_server(loaded, one.provider), one.deployment) for one in instances),
    )


def _server(loaded: LoadedConfig, provider: str) -> str:
    """Return the digest of a provider's type and address, whatever its name."""
    raw = loaded.config.providers[provider]
    return _digest([raw["type"], raw.get("endpoint"), raw.get("base_url")])


def _digest(value: object) -> str:
    written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.blake2b(written, digest_size=DIGEST_BYTES).hexdigest()


def _simulated(loaded: LoadedConfig, provider: str) -> str:
    """Return the digest of a simulator's settings and of the run's seed, which change its answers; "" for a real provider."""
    raw = loaded.config.providers[provider]
    if raw["type"] != "simulator":
        return ""
    return _digest([loaded.config.run.seed, raw])


def cache_sentence(counts: CacheCounts, saved_usd: float | None) -> str:
    """Describe how many requests were answered without being sent."""
    whole = counts.hits + counts.asked
    levels = f"{counts.memory_hits:,} in memory, {counts.disk_hits:,} on disk"
    saved = "" if not saved_usd else f"; saved {saved_usd:.4f} USD"
    return f"cache: {counts.hits:,} of {whole:,} requests were answered from it ({levels}){saved}"
