"""Everything that is known before anything is sent: the sweep, its instances, the plan, and the directory that a new run gets."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from providers.credentials import ApiKey
from providers.errors import InputError
from providers.instance import Instance
from providers.wire.received import SHORTEST_KEY
from runners.samples.answer import Scorer, Solver
from runners.samples.bitmap import Bitmap
from sharding.planner import Layout, SweepPlan, build_plan

from ..config.loading import LoadedConfig
from ..open_sweep import OpenSweep, method_parts, open_sweep
from ..results.directory import Manifest, RunDirectory, new_directory
from .components import check_method, check_tools, instances_with_all_keys, require_prices


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before anything is sent."""

    loaded: LoadedConfig
    sweep: OpenSweep
    instances: Mapping[str, Sequence[Instance]]
    scorer: str | None = None
    """The name of a scorer that was passed in from Python: it wins over every name in the file."""

    def plan(self, done: Bitmap | None = None, asked: Bitmap | None = None) -> SweepPlan:
        """Shards over what is not done yet; of that, what is `asked` for."""
        remaining = None if done is None or not done.count else lambda ordinal: ordinal not in done
        if asked is not None:
            remaining = asked.__contains__
        layout = Layout(self.loaded.config.run.stagger_s, remaining, method_parts(self.loaded.config, self.scorer))
        return build_plan(self.sweep.sweep, self.instances, layout)


def prepare(
    loaded: LoadedConfig, key: Callable[[str], ApiKey], *, solver: Solver | None = None, scorer: Scorer | None = None
) -> Prepared:
    """Read the tasks, lay out the sweep, name the instances. Raises InputError for whatever a person can have got wrong,
    so that nothing has been made by then; `key` does where a variable is missing."""
    check_method(loaded.config, solver, scorer)
    require_prices(loaded.config)
    _require_command(loaded.config.run.notify)
    keys: list[ApiKey] = []

    def noted(name: str) -> ApiKey:
        keys.append(key(name))
        return keys[-1]

    instances = instances_with_all_keys(loaded, noted)
    _require_no_key_in(loaded.raw, keys)
    prepared = Prepared(loaded, open_sweep(loaded), instances, code_name(scorer) if scorer else None)
    prepared.sweep.sweep.check_plans()
    check_tools(loaded.config, prepared.sweep)
    _require_shard(prepared.plan(), loaded.config.run.debug_process_num)
    return prepared


def _require_no_key_in(raw: Mapping[str, Any], keys: Sequence[ApiKey]) -> None:
    """The manifest keeps the configuration: whoever pastes a key into it, in `extra_body` or a command, would store it."""
    text = orjson.dumps(raw).decode()
    for key in keys:
        if len(key.secret) >= SHORTEST_KEY and key.secret in text:
            raise InputError(
                f"the value of {key.name} stands in the configuration itself; take it out: keys stay in variables"
            )


def _require_command(notify: str | None) -> None:
    if notify is None:
        return
    try:
        program = shlex.split(notify)[0]
    except (ValueError, IndexError) as error:
        raise InputError(f"--notify {notify!r} is not a command; quote it as for a shell") from error
    if shutil.which(program) is None:
        raise InputError(f"--notify: there is no program {program!r} on the PATH")


def code_name(code: Solver | Scorer) -> str:
    """What a person's own function is called in fingerprints: `module:function`."""
    return f"{code.__module__}:{getattr(code, '__qualname__', type(code).__qualname__)}"


def _require_shard(plan: SweepPlan, number: int | None) -> None:
    shards = len(plan.stages[0])
    if number is not None and number > shards:
        raise InputError(
            f"DEBUG_PROCESS_NUM is {number}, but the plan has {shards} shards; choose one from 1 to {shards}"
        )


def create(prepared: Prepared) -> RunDirectory:
    """A new run directory with its manifest."""
    config, plan = prepared.loaded.config, prepared.plan()
    directory = new_directory(Path(config.run.output_dir))
    directory.write_manifest(
        Manifest(
            run_id=directory.path.name,
            raw=prepared.loaded.raw,
            base=str(prepared.loaded.base),
            storage_format=config.run.storage_format,
            total=len(prepared.sweep.sweep),
            fingerprint=plan.fingerprint,
            parts=plan.parts,
        )
    )
    return directory
