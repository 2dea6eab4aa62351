"""The provider of the matrix: the simulator without its socket, found through the entry point that any third party would use.

A `storm` makes a share of the samples fail, each storm others. A resume in calm weather completes them, so that what a run ends with is
a function of its seed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from providers.adapters.registry import ENTRY_POINT_GROUP, AdapterContext, AdapterType
from providers.adapters.routed import plain_instance, unique_deployments
from providers.errors import Evidence, ServerFault
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse
from providers.provider import RouteSpec
from providers.simulator.answers.source import SimulatedAnswer
from providers.simulator.endpoint import DEPLOYMENT_KEY
from providers.simulator.in_process import InProcessSimulator
from providers.simulator.settings import EndpointSettings, FaultSettings, LatencySettings, SimulatorSettings

KIND = "in-process"
STORM_SHARE = 12
"""One request in so many fails in a storm."""


class LocalSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = KIND
    deployments: tuple[str, ...]
    latency_s: float
    storm: int = 0
    """Its number; 0 is calm weather."""

    def simulator(self) -> SimulatorSettings:
        endpoint = EndpointSettings(model="m", latency=LatencySettings(ttft_s=self.latency_s, itl_s=0.0, noise=0.3))
        faults = FaultSettings(content_filter=0.03, length=0.03)
        return SimulatorSettings(deployments=dict.fromkeys(self.deployments, endpoint), faults=faults)


class Sums:
    """Answers "What is n + n?", wrongly for one sample in four."""

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:  # noqa: ARG002 - a sample's answer is the same everywhere
        number = int(str(request.messages[-1]["content"]).split()[2])
        wrong = zlib.crc32(request_id.split("/")[0].encode()) % 4 == 0
        return SimulatedAnswer(f"It is {2 * number + wrong}.", right=not wrong)


class LocalProvider:
    """Implements Adapter. It outlives its run, so that limits are learnt and keys are locked as with a real one."""

    def __init__(self, name: str, settings: LocalSettings) -> None:
        self._name = name
        self._storm = settings.storm
        places = {f"{name}/{deployment}": (DEPLOYMENT_KEY, deployment) for deployment in settings.deployments}
        self._simulator = InProcessSimulator(settings.simulator(), Sums(), places)

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        return [
            plain_instance(self._name, model, one, f"{self._name}/{one}") for one in unique_deployments(model, spec)
        ]

    def identity(self, on: Instance) -> str | None:
        return f"in-process {on.deployment}"

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        if self._storm and zlib.crc32(f"{self._storm}/{request_id}".encode()) % STORM_SHARE == 0:
            raise ServerFault("a storm", Evidence(on.name, request_id, status=500))
        return await self._simulator.complete(on, request, request_id=request_id, deadline=deadline)

    async def aclose(self) -> None:
        self._simulator.close()


def open_local(name: str, settings: LocalSettings, adapter_context: AdapterContext) -> LocalProvider:  # noqa: ARG001 - no key, no address
    return LocalProvider(name, settings)


LOCAL = AdapterType(LocalSettings, open_local)


def announce_provider(folder: Path) -> None:
    """Make `folder`, once it is on the path, offer the provider as an installed distribution would."""
    told = folder / "in_process_provider-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: in-process-provider\nVersion: 1\n")
    (told / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{KIND} = {__name__}:LOCAL\n")
