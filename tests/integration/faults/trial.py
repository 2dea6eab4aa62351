"""A fault tried out: a real server, a real transport, the runner's own worker, and what came of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import trustme

from providers.credentials import ApiKey
from providers.errors import ProviderError, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation
from providers.provider import SYSTEM_TRUST, Transport, Trust
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport
from providers.transport.sdk import SdkTransport
from providers.usage.estimates import TokenEstimator
from runners.calls.active_sample import ActiveSample
from runners.calls.call_context import Asking, CallContext, Deadlines
from runners.calls.client import ModelClient
from runners.calls.retry import RetryBudget, RetryLimits
from runners.dispatch.dispatcher import Dispatcher, NoUsableInstance
from runners.dispatch.instance_state import InstanceState
from runners.limits.fixed import FixedLimiter
from runners.samples.answer import Answer, Score
from runners.samples.record import Record
from runners.samples.solvers import single_turn
from runners.samples.worker import Method, work
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task
from tests.unit.runners.doubles import BareSlot

from .answers import http
from .server import FaultServer, serving
from .table import GOOD, SECRET, Fault

TRANSPORTS: dict[str, type[NativeTransport] | type[SdkTransport]] = {"native": NativeTransport, "sdk": SdkTransport}
AT_ONCE = 12
PATIENCE_S = 30.0
"""Where the fault is no silence: a machine that is busy must not look like one."""
OPENED_AT = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
INSTANCE = Instance("east/m", "m", "m-deployed", "east", "east/m")
QUESTION = Task("t1", ({"role": "user", "content": "6 × 7?"},), target="42")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sample ended whose instance has the fault."""

    fault: Fault
    transport: str
    error: ProviderError | None
    """Of its first attempt."""
    record: Record | None
    """None where the sample stays pending: its instance is gone for good."""
    requests: int

    @property
    def branch(self) -> str:
        return type(self.error).__name__ if self.error else "an answer"

    @property
    def outcome(self) -> str:
        return self.record.outcome if self.record else "pending"

    @property
    def error_class(self) -> str:
        if self.record is None:
            return self.error.error_class if self.error else "-"
        return self.record.error_class or "-"

    @property
    def sentence(self) -> str:
        """What the user reads."""
        if self.error is not None:
            return str(self.error)
        assert self.record is not None
        about = "about " if self.record.usage_estimated else ""
        said = self.record.output_text or "a tool call"
        return f"{said}, {about}{self.record.input_tokens} + {self.record.output_tokens} tokens"


@dataclass(slots=True)
class _Witness:
    """The station's sender: it sends over the transport and keeps the errors that come back."""

    transport: Transport
    route: Route
    errors: list[ProviderError] = field(default_factory=list)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        try:
            return await self.transport.send(self.route, request, request_id=request_id, deadline=deadline)
        except ProviderError as error:
            self.errors.append(error)
            raise


async def try_out(fault: Fault, kind: str) -> Ended:
    """Work on one sample through a real transport against a server with the fault."""
    bound_s = fault.short_s or PATIENCE_S
    async with _door(fault) as door:
        transport: Transport = TRANSPORTS[kind](Timeouts(PATIENCE_S, bound_s, bound_s), trust=door.trust)
        witness = _Witness(transport, Route(INSTANCE, door.address, ApiKey("SOME_KEY", SECRET)))
        try:
            if fault.before is not None:
                await _ask_before(witness)
            record = await _work(fault, witness)
        finally:
            await transport.aclose()
    return Ended(fault, kind, witness.errors[0] if witness.errors else None, record, len(door.server.heads))


async def try_all(faults: Iterable[Fault]) -> list[Ended]:
    """Every fault over both transports, a dozen at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(fault: Fault, kind: str) -> Ended:
        async with places:
            return await try_out(fault, kind)

    return list(await asyncio.gather(*(one(fault, kind) for fault in faults for kind in fault.over)))


async def _ask_before(witness: _Witness) -> None:
    deadline = asyncio.get_running_loop().time() + 5
    request = ChatRequest(QUESTION.messages)
    await witness.complete(INSTANCE, request, request_id="before/1/1", deadline=deadline)
    await asyncio.sleep(0.05)


async def _work(fault: Fault, witness: _Witness) -> Record | None:
    instance_state = InstanceState(INSTANCE, witness, FixedLimiter(workers=1, qps=None))
    deadlines = Deadlines(attempt_s=fault.attempt_s, sample_s=200.0)
    exchange = CallContext(
        dispatchers={"m": Dispatcher("m", [instance_state], lambda *_: None)},
        estimators={"m": TokenEstimator()},
        asking={"m": Asking(Generation(max_tokens=16, stream=fault.stream), deadlines=deadlines)},
        retries=RetryLimits(max_retries=1, first_wait_s=0.01, longest_wait_s=0.01),
        retry_budget=RetryBudget(0.5),
    )
    sample = Sample(0, "s0", QUESTION, Cell("m", "baseline", 1.0), 0, 7)
    method = Method("run", single_turn, lambda _: _exact, lambda _, __: None)
    try:
        return await work(
            ActiveSample(sample, INSTANCE.name, INSTANCE.name, 0, OPENED_AT), BareSlot(), method, exchange
        )
    except NoUsableInstance:
        return None


async def _exact(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    return Score(1.0, "full") if answer.text == "42" else Score(0.0, "failed", "wrong_answer")


# ------------------------------------------------------------------ doors
@dataclass(frozen=True, slots=True)
class _Open:
    """The address by which a fault's server is reached, and whom the client trusts there."""

    server: FaultServer
    address: str
    trust: Trust = SYSTEM_TRUST


TRUSTED = frozenset({"other name", "expired", "good certificate"})
"""Doors whose authority the client knows: what is wrong there is the certificate itself."""


@asynccontextmanager
async def _door(fault: Fault) -> AsyncIterator[_Open]:
    before = [] if fault.before is None else [fault.before]
    after = [fault.then] if fault.then is not None else [(GOOD,)] if fault.ends is Throttled else []
    scripts = {"m-deployed": [*before, fault.script, *after]}
    if fault.door in {"http", "dead", "unknown", "http on https"}:
        greeting = http(b"", "400 Bad Request") if fault.door == "http on https" else b""
        async with serving(scripts, greeting=greeting) as server:
            yield _Open(server, _address(fault.door, server.port))
        return
    authority = trustme.CA()
    async with serving(scripts, _certified(fault.door, authority)) as server:
        with authority.cert_pem.tempfile() as path:
            trust = Trust(ca_file=path) if fault.door in TRUSTED else SYSTEM_TRUST
            yield _Open(server, _address(fault.door, server.port), trust)


def _address(door: str, port: int) -> str:
    if door == "unknown":
        return "https://no-such-host.invalid/v1"
    if door == "dead":
        return f"http://127.0.0.1:{_free_port()}/v1"
    return f"{'http' if door in {'http', 'https on http'} else 'https'}://localhost:{port}/v1"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _certified(door: str, authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if door == "self-signed":
        with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
        return context
    expires = datetime.now(UTC) - timedelta(days=1) if door == "expired" else None
    name = "elsewhere.invalid" if door == "other name" else "localhost"
    authority.issue_cert(name, not_after=expires).configure_cert(context)
    return context
