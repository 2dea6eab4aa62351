"""Is every instance usable? One small request each, and what came back in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from providers.errors import ConnectionLost, Empty, ProviderError, Rejected, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest
from providers.provider import Adapter

from ..config.environment import Environment
from ..config.loading import LoadedConfig
from ..execution.components import open_providers
from ..execution.outcome import ExitCode

PATIENCE_S = 20.0
QUESTION = ChatRequest(messages=[{"role": "user", "content": "Say: ready"}], max_tokens=16)


@dataclass(frozen=True, slots=True)
class InstanceDiagnosis:
    instance: str
    is_usable: bool
    words: str
    latency_s: float | None


async def diagnose(loaded: LoadedConfig, environment: Environment) -> list[InstanceDiagnosis]:
    """Ask every instance of the swept models once, all at once; raises InputError where a variable is missing."""
    providers = open_providers(loaded, environment.key)
    async with providers.serving(environment), asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(one, providers.adapters[one.provider])) for one in providers.all_instances()]
    return [task.result() for task in asked]


async def _ask(instance: Instance, adapter: Adapter) -> InstanceDiagnosis:
    loop = asyncio.get_running_loop()
    since = loop.time()
    try:
        await adapter.complete(instance, QUESTION, request_id="doctor/1/1", deadline=since + PATIENCE_S)
    except (Throttled, Empty, Rejected) as error:
        return InstanceDiagnosis(instance.name, True, f"answers, though: {_words(error)}", loop.time() - since)
    except ProviderError as error:
        return InstanceDiagnosis(instance.name, False, _words(error), None)
    return InstanceDiagnosis(instance.name, True, "answers", loop.time() - since)


def _words(error: ProviderError) -> str:
    said = str(error).removeprefix(f"{error.evidence.instance}: ")
    return f"cannot be reached: {said}" if isinstance(error, ConnectionLost) else said


def exit_code_of(findings: Sequence[InstanceDiagnosis]) -> ExitCode:
    usable = sum(finding.is_usable for finding in findings)
    if usable == len(findings):
        return ExitCode.DONE
    return ExitCode.DONE_WITH_FAILURES if usable else ExitCode.NO_INSTANCE
