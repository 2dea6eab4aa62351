"""The provider of the matrix: the simulator without a socket, installed through the entry point that any third party would use.

A `storm` lets a share of the samples fail, each storm other samples. A resume without a storm completes them, so that the final content of
a run depends only on its seed.
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
from providers.simulator.settings.provider import EndpointSettings, FaultSettings, LatencySettings, SimulatorSettings

KIND = "in-process"
STORM_SHARE = 12
"""In a storm one of this many requests fails."""


class LocalSettings(BaseModel):
    """Settings of the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = KIND
    deployments: tuple[str, ...]
    latency_s: float
    storm: int = 0
    """Number of the storm; 0 means no storm."""

    def simulator(self) -> SimulatorSettings:
        """Build the settings of the simulator."""
        endpoint = EndpointSettings(model="m", latency=LatencySettings(ttft_s=self.latency_s, itl_s=0.0, noise=0.3))
        faults = FaultSettings(content_filter=0.03, length=0.03)
        return SimulatorSettings(deployments=dict.fromkeys(self.deployments, endpoint), faults=faults)


class Sums:
    """An answer source for "What is n + n?", wrong for one sample in four."""

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:  # noqa: ARG002 - a sample's answer is the same everywhere
        """Answer the question of the last message."""
        number = int(str(request.messages[-1]["content"]).split()[2])
        wrong = zlib.crc32(request_id.split("/")[0].encode()) % 4 == 0
        return SimulatedAnswer(f"It is {2 * number + wrong}.", right=not wrong)


class LocalProvider:
    """An adapter with an identity that outlives the run, so that limits are learned and keys are locked as with a real provider."""

    def __init__(self, name: str, settings: LocalSettings) -> None:
        self._name = name
        self._storm = settings.storm
        deployments = {f"{name}/{deployment}": (DEPLOYMENT_KEY, deployment) for deployment in settings.deployments}
        self._simulator = InProcessSimulator(settings.simulator(), Sums(), deployments)

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """Return one instance per deployment."""
        return [
            plain_instance(self._name, model, deployment, f"{self._name}/{deployment}")
            for deployment in unique_deployments(model, spec)
        ]

    def identity(self, on: Instance) -> str | None:
        """Return the identity under which limits are stored."""
        return f"in-process {on.deployment}"

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Complete the request with the simulator. Raises ServerFault for the samples of a storm."""
        if self._storm and zlib.crc32(f"{self._storm}/{request_id}".encode()) % STORM_SHARE == 0:
            raise ServerFault("a storm", Evidence(on.name, request_id, status=500))
        return await self._simulator.complete(on, request, request_id=request_id, deadline=deadline)

    async def aclose(self) -> None:
        """Close the simulator."""
        self._simulator.close()


def open_local(name: str, settings: LocalSettings, adapter_context: AdapterContext) -> LocalProvider:  # noqa: ARG001 - no key, no address
    """Open the provider."""
    return LocalProvider(name, settings)


LOCAL = AdapterType(LocalSettings, open_local)


def announce_provider(folder: Path) -> None:
    """Write package metadata to `folder` that offers the provider as an installed distribution would."""
    info = folder / "in_process_provider-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: in-process-provider\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{KIND} = {__name__}:LOCAL\n")
