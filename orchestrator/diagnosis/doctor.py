"""Checks whether every instance is usable, by one request each with the generation settings and the tools of the sweep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from pydantic import BaseModel

from providers.adapters.settings import WireSettings
from providers.errors import (
    ConnectionLost,
    ContentFiltered,
    ContextTooLong,
    Empty,
    InputError,
    ProviderError,
    Throttled,
    Truncated,
)
from providers.instance import Instance
from providers.messages import Adaptation, ChatRequest, Message, Tool
from providers.provider import Adapter
from providers.transport.network import Network
from providers.wire.operations.adaptation import describe_adaptation
from runners.tools.names import names_of

from ..config.environment import Environment
from ..config.loading import LoadedConfig
from ..config.settings import Config
from ..execution.components import open_providers
from ..execution.history.outcome import ExitCode
from ..execution.owner import asking_of
from ..open_sweep import open_sweep

log = logging.getLogger(__name__)

PATIENCE_SHARE = 1 / 15
"""Share of the deadline of one attempt in the run: 20 s of 300 s."""
MESSAGES: Sequence[Message] = ({"role": "user", "content": "Say: ready"},)
TASKS_READ = 100
"""Tasks that are searched for the first one with tools."""


@dataclass(frozen=True, slots=True)
class InstanceDiagnosis:
    """The result of one probe request to an instance."""

    instance: str
    is_usable: bool
    words: str
    latency_s: float | None
    network: str = ""
    """The proxy, and the certificates in place of the system's, that the environment sets."""


async def diagnose(loaded: LoadedConfig, environment: Environment) -> list[InstanceDiagnosis]:
    """Send one request to every instance of the swept models, concurrently. Raises InputError if a variable is missing."""
    network = environment.network()
    providers = open_providers(loaded, environment.key, network)
    tools = _first_tools(loaded)
    questions = {model: _question(loaded.config, model, tools) for model in providers.instances}
    instances = providers.all_instances()
    async with providers.serving(environment, on_adapted=_say_nothing), asyncio.TaskGroup() as group:
        asked = [
            group.create_task(_ask(instance, providers.adapters[instance.provider], questions[instance.model]))
            for instance in instances
        ]
    ways = {name: _way(settings, network) for name, settings in loaded.providers.items()}
    return [
        replace(task.result(), network=ways[instance.provider]) for instance, task in zip(instances, asked, strict=True)
    ]


def _way(settings: BaseModel, network: Network) -> str:
    """Describe the proxy and certificates between here and a provider that the environment sets; empty for a simulator."""
    address = settings.address if isinstance(settings, WireSettings) else None
    if address is None:
        return ""
    proxy = network.proxy_for(address)
    parts = [f"through {proxy.shown} ({proxy.variable})"] if proxy else []
    certificates = {"SSL_CERT_FILE": network.cert_file, "SSL_CERT_DIR": network.cert_dir}
    if address.startswith("https://"):
        parts += [f"certificates of {path} ({variable})" for variable, path in certificates.items() if path]
    return ", ".join(parts)


def _say_nothing(_instance: str, _adaptation: Adaptation) -> None:
    """Do nothing: the finding reports what an instance refused."""


@dataclass(frozen=True, slots=True)
class _DoctorRequest:
    request: ChatRequest
    patience_s: float


def _question(config: Config, model: str, tools: Sequence[Tool]) -> _DoctorRequest:
    """Build the request that the sweep will send to the model, with other messages."""
    asking = asking_of(config, model)
    is_tested = model in config.swept_models()
    offered = config.tool_formats()[model].offered(tools) if is_tested else ()
    generation = asking.generation if is_tested else asking.judging
    return _DoctorRequest(ChatRequest(MESSAGES, offered, generation), PATIENCE_SHARE * asking.deadlines.attempt_s)


def _first_tools(loaded: LoadedConfig) -> Sequence[Tool]:
    """Return the tools of the first task that has any, under the names that are sent; none if the tasks cannot be read."""
    try:
        opened = open_sweep(loaded)
    except InputError as error:
        log.warning("asked without tools, because the tasks cannot be read: %s", error)
        return ()
    with closing(opened.tasks):
        tasks = (opened.tasks[row].tools for row in opened.sweep.rows[:TASKS_READ])
        tools = next(filter(None, tasks), ())
    names = names_of(tools)
    return tools if names is None else names.tools(tools)


async def _ask(instance: Instance, adapter: Adapter, question: _DoctorRequest) -> InstanceDiagnosis:
    loop = asyncio.get_running_loop()
    since = loop.time()
    try:
        response = await adapter.complete(
            instance, question.request, request_id="doctor/1/1", deadline=since + question.patience_s
        )
    except (Throttled, Empty, ContentFiltered, ContextTooLong, Truncated) as error:
        return InstanceDiagnosis(instance.name, True, f"answers, though: {_words(error)}", loop.time() - since)
    except ProviderError as error:
        return InstanceDiagnosis(instance.name, False, _words(error), None)
    adapted = f"; {describe_adaptation(response.adaptation)}" if response.adaptation else ""
    return InstanceDiagnosis(instance.name, True, f"answers{adapted}", loop.time() - since)


def _words(error: ProviderError) -> str:
    message = str(error).removeprefix(f"{error.evidence.instance}: ")
    return f"cannot be reached: {message}" if isinstance(error, ConnectionLost) else message


def exit_code_of(findings: Sequence[InstanceDiagnosis]) -> ExitCode:
    """Return DONE if all instances are usable, DONE_WITH_FAILURES if some are, else NO_INSTANCE."""
    usable = sum(finding.is_usable for finding in findings)
    if usable == len(findings):
        return ExitCode.DONE
    return ExitCode.DONE_WITH_FAILURES if usable else ExitCode.NO_INSTANCE
