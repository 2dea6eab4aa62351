"""Trust in run directories: one that this user did not start runs nothing and sends no key, unless the user says so.

A manifest names commands, functions and addresses. The digests of the manifests of this user's own runs are files in the state directory.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from providers.adapters.registry import BUILT_IN
from providers.errors import InputError
from providers.file_modes import PRIVATE_FOLDER

from ...config.environment import TRUST, is_all_trusted
from ...results.run_directory.directory import Manifest, RunDirectory
from ..limits.user_state import user_state

log = logging.getLogger(__name__)

FOLDER = "trusted"
"""In the state directory: a file per run, named after the digest of its manifest, with the path of the run inside."""
Command = Literal["resume", "rescore", "cache import"]
DEFAULT_PORTS = {"http": 80, "https": 443}
SCORERS = ("run.scorer", "tasks.scorer")
"""The settings that a scorer for all tasks replaces."""


def trust_run(directory: RunDirectory) -> None:
    """Record that this user trusts what the run names, because it is of the user's own configuration."""
    path = _record(directory.read_manifest())
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.write_text(f"{directory.path.absolute()}\n", encoding="utf-8")
    except OSError as error:
        log.warning("cannot write %s: %s; a resume of code or with keys will need --trust", path, error.strerror)


def is_trusted(directory: RunDirectory) -> bool:
    """Return whether this user has started the run, or has trusted it before, with the manifest as it is now."""
    return _record(directory.read_manifest()).exists()


def require_trusted(
    directory: RunDirectory, command: Command, given: Collection[str] = (), *, is_given: bool = False
) -> bool:
    """Return whether the run is trusted. Raises InputError where it is not, and the command would run what it names.

    `given` are the settings that the user gives with this command, and that the manifest does not decide; `is_given` is the user's consent,
    which is recorded.
    """
    if is_trusted(directory):
        return True
    if is_given or is_all_trusted():
        trust_run(directory)
        return True
    effects = list(dict.fromkeys([*_effects(directory.read_manifest(), command, given), *_links(directory)]))
    if effects:
        raise InputError(untrusted(f"{directory.path}: {command} would {', '.join(effects)}"))
    return False


def untrusted(what: str) -> str:
    """Build the message about what a run of somebody else would do."""
    return (
        f"{what}, and this user did not start the run on this machine; if you trust who did, pass --trust (trust=True from Python), "
        f"or set {TRUST}=1 where the state directory is another, as in containers"
    )


def _record(manifest: Manifest) -> Path:
    known = orjson.dumps([manifest.raw, manifest.base], option=orjson.OPT_SORT_KEYS)
    return user_state().path / FOLDER / hashlib.sha256(known).hexdigest()


# ------------------------------------------------------------------ what a manifest names
def _effects(manifest: Manifest, command: Command, given: Collection[str]) -> Iterator[str]:
    """Say what a command would do that a stranger's manifest may not decide. The manifest is read as it stands, in whatever shape."""
    raw = manifest.raw
    run, tasks, providers = _mapping(raw.get("run")), _mappings(raw.get("tasks")), _mapping(raw.get("providers"))
    for entry in providers.values():
        kind = _mapping(entry).get("type")
        if not (isinstance(kind, str) and kind in BUILT_IN):
            yield f"load the provider type {kind!r}"
        if command == "resume":
            yield from _sent_keys(_mapping(entry))
            yield from (f"run the script {script}" for script in _scripts(entry))
    if command == "resume" and "run.notify" not in given and run.get("notify"):
        yield f"run the command {run['notify']!r}"
    if command == "resume" and "run.solver" not in given and _is_code(run.get("solver")):
        yield f"run the solver {run['solver']}"
    scored = [] if "tasks.scorer" in given else [entry.get("scorer") for entry in tasks]
    scorers = [*scored, *([] if "run.scorer" in given else [run.get("scorer")])]
    yield from (f"run the scorer {name}" for name in map(_scorer_name, scorers) if _is_code(name))
    yield from (f"run the reader {entry['reader']}" for entry in tasks if _is_code(entry.get("reader")))
    if command != "rescore" and "cache.dir" not in given and (kept := _mapping(raw.get("cache")).get("dir")):
        yield f"keep answers in {kept}"
    folder = Path(manifest.base)
    if (folder / ".env").is_file() and folder.resolve() != Path.cwd():
        yield f"read settings and keys from {folder / '.env'}"


def _links(directory: RunDirectory) -> Iterator[str]:
    """Say which folders of the run are links: what is written there is somewhere else."""
    for folder in (directory.results, directory.journal, directory.superseded):
        if folder.is_symlink():
            yield f"write to {folder.resolve()} through the link {folder.name}"


def _sent_keys(provider: Mapping[str, Any]) -> Iterator[str]:
    """Say which keys would go to an address where no run of this user has sent them."""
    address = str(provider.get("endpoint") or provider.get("base_url") or "")
    names = [
        provider.get("api_key_env"),
        "entra" if provider.get("auth") == "entra" else None,
        *_listed(provider.get("api_key_envs")),
        *_mapping(provider.get("header_envs")).values(),
    ]
    is_usual = provider.get("verify_tls", True) is True and not provider.get("ca_file")
    known = [
        identity.split() for identity in user_state().limits() if is_usual and _server(identity) == _server(address)
    ]
    for name in filter(None, names):
        if not any(name in identity for identity in known):
            yield f"send the key {name} to {address or 'the address of its provider type'}"


def _server(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address: one that only begins alike is another."""
    try:
        parts = urlsplit(address.strip().partition(" ")[0])
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", address, 0
    return parts.scheme, parts.netloc.rpartition(":")[0].lower() if parts.port else parts.netloc.lower(), port


def _scripts(value: object) -> Iterator[str]:
    """Find the functions that simulators answer with."""
    for key, inner in _mapping(value).items():
        if key == "function" and _is_code(inner):
            yield str(inner)
        yield from _scripts(inner)


def _scorer_name(scorer: object) -> object:
    return scorer.get("name") if isinstance(scorer, Mapping) else scorer


def _is_code(name: object) -> bool:
    return isinstance(name, str) and ":" in name


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return list(map(_mapping, _listed(value)))
